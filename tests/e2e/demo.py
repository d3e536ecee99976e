#!/usr/bin/env python3
"""demo.py PROGRAM: `make demo`. Breaks four things in a real Kubernetes API and shows, step by step, what becomes of each
alert; undoes one execution at the end. Exit status 1 if any step did not happen. KEEP=1 leaves the folder with all logs."""

import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from follow import Follow  # noqa: E402
from parts import Missing, Parts  # noqa: E402
from scenes import DEMO  # noqa: E402

PATIENCE = 120  # seconds for each step; an idle machine needs a tenth
BOLD, DIM, RED, END = ("\033[1m", "\033[2m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("",) * 4


def soon():
    return time.monotonic() + PATIENCE


def say(what, text, detail=""):
    print(f"  {BOLD}{what:<11}{END} {text}", flush=True)
    for line in detail.splitlines():
        print(f"              {DIM}{line}{END}", flush=True)


def parameters_of(decision):
    return ", ".join(f"{name}={value}" for name, value in (decision["parameters"] or {}).items()) or "no parameters"


def show_decision(incident):
    decision = incident["decision"]
    chances = sorted(((p, a) for a, p in (decision["distribution"] or {}).items()), reverse=True)[:4]
    bars = "\n".join(f"{action:<22} {p:6.1%} {'█' * round(p * 30)}" for p, action in chances)
    say("decision", f"{decision['action']} ({parameters_of(decision)}), confidence {decision['confidence']:.0%}, "
        f"by {decision['model']} in {decision['duration_ms']:.0f} ms", bars)


def carry_out(follow):
    """The execution's end; where it waits for a person, the demo is that person."""
    incident = follow.judged()
    verdict, execution = incident["verdict"], incident["execution"]
    say("verdict", f"{verdict['verdict']}, by rule {verdict['rule']}: {verdict['reason']}")
    if verdict["verdict"] == "require_approval":
        say("approval", f"the demo says yes: prometheus-alerts-slm executions approve {execution['id']}")
        follow.approve(execution)
    execution = follow.executed("completed")["execution"]
    say("execution", f"{execution['action']} {execution['state']} in {execution['duration_ms']:.0f} ms", execution["id"])
    return execution


def play(parts, number, scene):
    print(f"\n{BOLD}{number}. {scene.title}{END}")
    follow = Follow(parts, scene, soon)
    scene.trouble(parts)
    before = scene.seen(parts)
    began = time.monotonic()
    say("trouble", scene.broken, f"simulated: {scene.simulated}")
    alert = follow.alert()
    say("alert", f"{alert['labels']['alertname']} fires in Prometheus {time.monotonic() - began:.1f} s later",
        alert["annotations"]["description"])
    incident = follow.until("an incident", lambda incident: True)
    say("incident", f"{incident['id']}, {incident['severity']}, of {incident['kind']} {incident['name']}")
    incident = follow.decided()
    show_decision(incident)
    follow.check_decision(incident)
    execution = carry_out(follow)
    say("changed", f"{scene.field}: {before} → {follow.check_changed(before)}", "as the API server answers now")
    if scene.repair:
        parts.kubectl(*scene.repair)
        say("repair", "a technician mends it", "simulated: kubectl " + " ".join(scene.repair))
    follow.resolved()
    say("resolved", f"the alert has ended, {time.monotonic() - began:.1f} s after the trouble began")
    assessment = follow.assessed()["assessment"]
    criteria = ", ".join(f"{name} {value}" for name, value in assessment["criteria"].items() if value is not None)
    say("assessed", f"score {assessment['score']:.2f}, confidence {assessment['confidence']:.2f}", criteria)
    return execution


def undo(parts, scene, execution):
    print(f"\n{BOLD}{len(DEMO) + 1}. undo: {execution['action']} of {scene.name}{END}")
    before = scene.seen(parts)
    say("command", f"prometheus-alerts-slm executions undo {execution['id']}",
        parts.ours("executions", "undo", execution["id"], "--by", "demo", "--reason", "shown in the demo"))
    after = Follow(parts, scene, soon).check_changed(before)
    say("changed", f"{scene.field}: {before} → {after}", "as the API server answers now")


def show(parts):
    print("Real: the Kubernetes API server with its controllers and scheduler, kube-state-metrics, Prometheus, Alertmanager,\n"
          "prometheus-alerts-slm with its embedded model. Simulated: nodes, containers and disks, by kwok and a test controller.\n"
          "Waits are seconds where a real cluster has minutes (tests/e2e/rules.yml).")
    began = time.monotonic()
    for what, start in (("Kubernetes", parts.start_cluster), ("its workloads", lambda: parts.prepare(DEMO)),
                        ("Prometheus and Alertmanager", parts.start_monitoring), ("prometheus-alerts-slm", parts.start_server)):
        start()
        say("started", f"{what}, {time.monotonic() - began:.1f} s")
    executions = [play(parts, i + 1, scene) for i, scene in enumerate(DEMO)]
    undo(parts, DEMO[-1], executions[-1])
    print(f"\n{BOLD}What our account changed, as the API server's audit log has it{END}")
    for line in parts.writes():
        print(f"  {line}")
    print(f"\n{BOLD}Every step happened, in {time.monotonic() - began:.0f} s.{END}")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="alerts-demo-")
    parts, status = Parts(sys.argv[1], folder), 0
    try:
        show(parts)
    except Missing as missing:
        print(f"\n{RED}This step did not happen:{END} {missing}", file=sys.stderr)
        if "server" in parts.processes:
            print(parts.end_of_log("server", 12), file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    finally:
        parts.stop()
        if os.environ.get("KEEP"):
            print(f"all logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


main()
