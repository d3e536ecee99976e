"""What demo and test ask of one scene's incident as it goes its way."""

from parts import Missing, wait_for

ENDED_BADLY = ("refused", "failed", "unknown", "unsupported", "cancelled")


class Follow:
    def __init__(self, parts, scene, patience):
        self.parts, self.scene, self.patience = parts, scene, patience  # patience: seconds for each step

    def incident(self):
        return self.parts.incident_of(self.scene.namespace, self.scene.name)

    def until(self, what, holds):
        """The incident, once it is there and holds(incident)."""
        def look():
            incident = self.incident()
            return incident if incident and holds(incident) else None
        return wait_for(self.patience, f"{what} ({self.scene.title})", look)

    def alert(self):
        return wait_for(self.patience, f"alert {self.scene.alert} firing in Prometheus",
                        lambda: self.parts.firing(**self.scene.alert))

    def decided(self):
        return self.until("a decision", lambda incident: incident["decision"])

    def check_decision(self, incident):
        if incident["decision"]["action"] not in self.scene.actions:
            raise Missing(f"{self.scene.title}: one of {sorted(self.scene.actions)} was to be decided: "
                          f"{incident['decision']['reasoning']}")

    def judged(self):
        """Once there is a verdict; an execution that is refused before is none."""
        return self.executed("pending", "approved", "executing", "completed", judged=True)

    def executed(self, *states, judged=False):
        def holds(incident):
            execution = incident["execution"]
            if judged and not incident["verdict"] and execution and execution["state"] == "pending":
                return False
            if execution and execution["state"] in ENDED_BADLY and execution["state"] not in states:
                raise Missing(f"{self.scene.title}: {execution['action']} is {execution['state']}: {execution['error']}")
            return execution and execution["state"] in states
        return self.until(f"an execution that is {' or '.join(states)}", holds)

    def approve(self, execution):
        def say_yes():
            try:
                return self.parts.ours("executions", "approve", execution["id"], "--by", "somebody on call", "--no-wait")
            except Missing as missing:  # the verdict is recorded a moment before the question is
                if "waits for nobody's approval" in str(missing):
                    return None
                raise
        wait_for(self.patience, f"an answer to {execution['id']}", say_yes)

    def check_changed(self, before):
        after = self.scene.seen(self.parts)
        if after == before:
            raise Missing(f"{self.scene.title}: {self.scene.field} is {before} as before")
        return after

    def resolved(self):
        return self.until("the end of the alert", lambda incident: incident["status"] == "resolved")

    def assessed(self):
        return self.until("an assessment", lambda incident: (incident["assessment"] or {}).get("state") == "done")
