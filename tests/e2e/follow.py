"""What demo and test ask of one scene's incident as it goes its way."""

from parts import Missing, wait_until

ENDED_BADLY = ("refused", "failed", "unknown", "unsupported", "cancelled")


class Follow:
    def __init__(self, parts, scene, end):
        self.parts, self.scene, self.end = parts, scene, end  # end: → when a step that begins now must have happened

    def incident(self):
        return self.parts.incident_of(self.scene.namespace, self.scene.name)

    def until(self, what, holds):
        """The incident, once it is there and holds(incident)."""
        def look():
            incident = self.incident()
            return incident if incident and holds(incident) else None
        return wait_until(self.end(), f"{what} ({self.scene.title})", look, 0.2)

    def alert(self):
        return wait_until(self.end(), f"alert {self.scene.alert} firing in Prometheus",
                          lambda: self.parts.firing(**self.scene.alert), 0.2)

    def decided(self):
        return self.until("a decision", lambda incident: incident["decision"])

    def check_decision(self, incident):
        if incident["decision"]["action"] not in self.scene.actions:
            raise Missing(f"{self.scene.title}: one of {sorted(self.scene.actions)} was to be decided: "
                          f"{incident['decision']['reasoning']}")

    def judged(self):
        """Once there is an execution, there is a verdict; `pending` is one that waits for somebody."""
        incident = self.executed("pending", "approved", "executing", "completed")
        if not incident["verdict"]:
            raise Missing(f"{self.scene.title}: {incident['execution']['state']} without a verdict")
        return incident

    def executed(self, *states):
        def holds(incident):
            execution = incident["execution"]
            if execution and execution["state"] in ENDED_BADLY and execution["state"] not in states:
                raise Missing(f"{self.scene.title}: {execution['action']} is {execution['state']}: {execution['error']}")
            return execution and execution["state"] in states
        return self.until(f"an execution that is {' or '.join(states)}", holds)

    def approve(self, execution):
        self.parts.ours("executions", "approve", execution["id"], "--by", "somebody on call", "--no-wait")

    def deny(self, execution, reason):
        self.parts.ours("executions", "deny", execution["id"], "--by", "somebody on call", "--reason", reason)

    def check_changed(self, before):
        after = self.scene.seen(self.parts)
        if after == before:
            raise Missing(f"{self.scene.title}: {self.scene.field} is {before} as before")
        return after

    def resolved(self):
        return self.until("the end of the alert", lambda incident: incident["status"] == "resolved")

    def assessed(self):
        return self.until("an assessment", lambda incident: (incident["assessment"] or {}).get("state") == "done")
