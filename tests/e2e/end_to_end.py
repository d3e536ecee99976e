#!/usr/bin/env python3
"""end_to_end.py PROGRAM: every scene from the firing rule to the changed object, and its twin to an object that is not changed,
all at once, as in a bad night. What was changed is counted by the API server's audit log. KEEP=1 leaves the folder."""

import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from follow import Follow  # noqa: E402
from parts import Missing, Parts, wait_until  # noqa: E402
from scenes import HELD_BACK, SCENES, TWINS  # noqa: E402

PATIENCE = 120  # seconds for all cases together, from the first trouble on; two cores need half of it
NODES = 8


def check(good, what):
    if not good:
        raise Missing(what)


def changes(scene, parts, before, end):
    follow = Follow(parts, scene, end)
    alert = follow.alert() if not follow.incident() else None  # it may have been mended already
    follow.check_decision(follow.decided())
    incident = follow.judged()
    verdict = incident["verdict"]["verdict"]
    if verdict == "require_approval":
        check(scene.seen(parts) == before, f"{scene.field} was changed before somebody said yes")
        follow.approve(incident["execution"])
    else:
        check(verdict == "allow", f"it is executed, and the verdict is {verdict}")
    execution = follow.executed("completed")["execution"]
    after = follow.check_changed(before)
    if scene.repair:
        parts.kubectl(*scene.repair)
    follow.resolved()
    assessment = follow.assessed()["assessment"]
    check(assessment["criteria"]["alert_resolved"] == 1, f"assessed as {assessment['criteria']}")
    check(alert is None or alert["labels"]["severity"] == incident["severity"], "another severity")
    return f"{execution['action']}, {verdict}: {before} → {after}"


def is_told(follow, incident):
    """What policy denies is not even offered, and somebody is told."""
    check(incident["decision"]["feasible"] == ["notify_only"], f"{incident['decision']['feasible']} were offered")
    execution = follow.executed("completed")["execution"]
    check(execution["action"] == "notify_only", f"{execution['action']} was done")
    return "somebody was told"


def is_held_back(follow, incident, why):
    follow.check_decision(incident)
    execution = follow.executed("pending", *why.states)["execution"]
    check(not why.denied or execution["state"] == "pending", f"nobody was asked, and it is {execution['state']}")
    if why.denied:
        follow.deny(execution, why.says)
    elif execution["state"] == "pending":
        follow.approve(execution)
    error = follow.executed(*why.states)["execution"]["error"]
    check(why.says in error, f"{why.says!r} is not why: {error}")
    return error


def is_not_worked_on(follow, parts):
    stored = wait_until(follow.end(), f"{follow.scene.title}: the alert stored", lambda: [
        alert for alert in parts.api("alerts?limit=200")["alerts"] if alert["namespace"] == follow.scene.namespace], 0.5)
    check(stored[0]["filtered"], "a filter accepted it")
    check(not follow.incident(), "there is an incident")
    return "stored, and not worked on"


def holds_still(scene, parts, before, end):
    follow, why = Follow(parts, scene, end), HELD_BACK[scene.held_back]
    follow.alert()
    if why.not_worked_on:
        said = is_not_worked_on(follow, parts)
    elif why.not_offered:
        said = is_told(follow, follow.decided())
    else:
        said = is_held_back(follow, follow.decided(), why)
    check(parts.firing(**scene.alert), "the alert has ended, and nobody has mended it")
    return f"{why.by}: {said}"


def cooldown(scene, parts, end):
    """The same trouble right after the cure: the same decision, refused until the cooldown is over."""
    follow = Follow(parts, scene, end)
    first = follow.incident()["id"]
    scene.trouble(parts)
    broken = scene.seen(parts)
    follow.until("another incident", lambda incident: incident["id"] != first)
    follow.check_decision(follow.decided())
    error = follow.executed("refused")["execution"]["error"]
    check("cooldown" in error, f"refused for another reason: {error}")
    check(scene.seen(parts) == broken, f"{scene.field} was changed")
    return error


def twice(scene, parts, before, end):
    said = changes(scene, parts, before, end)
    return f"{said}; the same again: {cooldown(scene, parts, end)}"


def case_of(scene):
    return holds_still if scene.held_back else twice if scene.again else changes


def still_as_before(parts, before):
    for scene in TWINS:
        check(scene.seen(parts) == before[scene.title], f"{scene.title}: {scene.field} was changed")
    return f"{len(TWINS)} objects"


def one_write_each(parts):
    """Each scene's action is one write of our account, and it wrote nothing else: an Event, or the eviction of a pod of the
    workload that was on the drained node."""
    lines = [line for line in parts.writes() if line.split()[1] != "events"]
    for scene in SCENES:
        count = sum(bool(re.fullmatch(scene.write, line)) for line in lines)
        check(count == 1, f"{scene.title}: {count} writes, not one: {scene.write}")
    allowed = [scene.write for scene in SCENES] + ["create pods/eviction shop/batch-.*"]
    for line in lines:
        check(any(re.fullmatch(pattern, line) for pattern in allowed), f"our account wrote: {line}")
    return f"{len(lines)} writes for {len(SCENES)} actions"


def report(title, case, *arguments):
    try:
        said, failed = f"ok    {title}: {case(*arguments)}", 0
    except Missing as missing:
        said, failed = f"FAIL  {title}: {missing}", 1
    except Exception:
        said, failed = f"FAIL  {title}: {traceback.format_exc()}", 1
    sys.stdout.write(said + "\n")  # at once: several threads report
    sys.stdout.flush()
    return failed


def start(parts):
    parts.start_cluster()
    parts.prepare(SCENES + TWINS)
    parts.start_monitoring()
    parts.start_server()


def broken(scene, parts):
    scene.trouble(parts)
    return scene.title, scene.seen(parts)


def run(parts):
    start(parts)
    all_scenes = SCENES + TWINS
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        before = dict(pool.map(lambda scene: broken(scene, parts), all_scenes))
    last = time.monotonic() + PATIENCE
    with concurrent.futures.ThreadPoolExecutor(len(all_scenes)) as pool:
        cases = [pool.submit(report, f"{scene.title}{', held back' if scene.held_back else ''}", case_of(scene),
                             scene, parts, before[scene.title], lambda: last) for scene in all_scenes]
        failed = sum(case.result() for case in cases)
    return failed + report("what was held back, at the end", still_as_before, parts, before) + \
        report("the audit log's count", one_write_each, parts)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="alerts-e2e-")
    os.environ["CLUSTER_NODES"] = str(NODES)
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
