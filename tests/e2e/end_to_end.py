#!/usr/bin/env python3
"""end_to_end.py PROGRAM: every scene from the firing rule to the changed object, and its twin to an object that is not changed,
all at once, as in a bad night. What was changed is counted by the API server's audit log. KEEP=1 leaves the folder."""

import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from follow import Follow  # noqa: E402
from parts import Missing, Parts  # noqa: E402
from scenes import SCENES, TWINS  # noqa: E402

PATIENCE = 240  # seconds for each step on a busy machine; an idle one needs a tenth


def check(good, what):
    if not good:
        raise Missing(what)


def changes(parts, scene, before):
    follow = Follow(parts, scene, PATIENCE)
    alert = follow.alert() if not follow.incident() else None  # it may have been mended already
    follow.check_decision(follow.decided())
    incident = follow.judged()
    verdict = incident["verdict"]["verdict"]
    if verdict == "require_approval":
        check(scene.seen(parts) == before, f"{scene.title}: {scene.field} was changed before somebody said yes")
        follow.approve(incident["execution"])
    else:
        check(verdict == "allow", f"{scene.title}: it is executed, and the verdict is {verdict}")
    execution = follow.executed("completed")["execution"]
    after = follow.check_changed(before)
    if scene.repair:
        parts.kubectl(*scene.repair)
    follow.resolved()
    assessment = follow.assessed()["assessment"]
    check(assessment["criteria"]["alert_resolved"] == 1, f"{scene.title}: assessed as {assessment['criteria']}")
    check(alert is None or alert["labels"]["severity"] == incident["severity"], f"{scene.title}: another severity")
    return f"{execution['action']}: {before} → {after}"


def holds_still(parts, scene, before):
    follow = Follow(parts, scene, PATIENCE)
    follow.alert()
    decision = follow.decided()["decision"]
    execution = follow.executed("refused", "completed")["execution"]
    if scene.held_back == "policy":  # what it denies is not even offered, and somebody is told
        check(decision["feasible"] == ["notify_only"], f"{scene.title}: {decision['feasible']} were offered")
        check((execution["action"], execution["state"]) == ("notify_only", "completed"),
              f"{scene.title}: {execution['action']} is {execution['state']}")
    else:
        check(decision["action"] in scene.actions, f"{scene.title}: {decision['action']} was decided")
        check(scene.held_back in execution["error"], f"{scene.title}: refused for another reason: {execution['error']}")
    check(follow.parts.firing(**scene.alert), f"{scene.title}: the alert has ended, and nobody has mended it")
    check(scene.seen(parts) == before, f"{scene.title}: {scene.field} was changed")
    return execution["error"] or "somebody was told"


def one_write_each(parts):
    """Of our account, no object but those of SCENES was changed, and the drained node's pods were evicted."""
    for line in parts.writes():
        what, where = line.split()[1:3]
        if what in ("events", "pods/eviction"):
            continue
        check(any(where == f"{scene.namespace or '-'}/{scene.name}" for scene in SCENES), f"our account wrote: {line}")


def cooldown(parts):
    """The same trouble right after the cure: the same decision, refused until the cooldown is over."""
    scene = next(scene for scene in SCENES if "rollback_deployment" in scene.actions)
    follow, first = Follow(parts, scene, PATIENCE), Follow(parts, scene, 5).incident()["id"]
    parts.kubectl(*scene.trouble)
    broken = scene.seen(parts)
    follow.until("another incident", lambda incident: incident["id"] != first)
    execution = follow.executed("refused", "completed")["execution"]
    check(execution["state"] == "refused" and "cooldown" in execution["error"], f"cooldown: {execution['state']}: "
          f"{execution['error']}")
    check(scene.seen(parts) == broken, f"cooldown: {scene.field} was changed")
    return execution["error"]


def run(parts):
    for start in (parts.start_cluster, parts.ready, parts.start_monitoring, parts.start_server):
        start()
    before = {}
    for scene in SCENES + TWINS:
        parts.kubectl(*scene.trouble)
        before[scene.title] = scene.seen(parts)
    cases = [(scene.title, changes, (parts, scene, before[scene.title])) for scene in SCENES]
    cases += [(f"{scene.title}, held back", holds_still, (parts, scene, before[scene.title])) for scene in TWINS]
    cases += [("the audit log's count", one_write_each, (parts,)), ("the same again at once", cooldown, (parts,))]
    failed = 0
    for title, case, arguments in cases:
        try:
            print(f"ok    {title}: {case(*arguments) or 'as it should be'}", flush=True)
        except Missing as missing:
            failed += 1
            print(f"FAIL  {title}: {missing}", flush=True)
    return failed


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="alerts-e2e-")
    parts, began, failed = Parts(sys.argv[1], folder), time.monotonic(), 1
    try:
        failed = run(parts)
    except Missing:
        traceback.print_exc()
    finally:
        if failed and "server" in parts.processes:
            print(parts.end_of_log("server", 40))
        parts.stop()
        if not os.environ.get("KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{failed} failed, {time.monotonic() - began:.0f} s")
    sys.exit(1 if failed else 0)


main()
