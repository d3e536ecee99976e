#!/usr/bin/env python3
"""Render the written alert rules (rules/*.rules) as labelled scenarios (*.jsonl).

    render.py [--check] [--variants N] [--rules DIR] [--out DIR]

One rules file becomes one jsonl file, a scenario a line. Invented values depend on the
rule's file and name and the variant's number alone, so the output is the same on every machine.
--check verifies every rule, prints the counts and writes nothing. README.md beside this
file describes the format of the rules.
"""
import argparse
import collections
import datetime
import itertools
import json
import pathlib
import random
import re
import sys
import urllib.parse

ACTIONS = """
    audit_logs backup_data cleanup_storage collect_diagnostics compact_storage cordon_node
    create_heap_dump drain_node enable_debug_mode expand_pvc failover_database
    increase_resources migrate_workload notify_only optimize_resources quarantine_pod
    repair_database reset_service_mesh restart_daemonset restart_network restart_pod
    rollback_deployment rotate_secrets scale_deployment scale_statefulset update_hpa
    update_network_policy""".split()
CATEGORIES = "core storage lifecycle security network database observability resources".split()
SEVERITIES = "none info warning error critical page ticket high low major minor".split()
STYLES = "prom map doc plain msg".split()
FIELDS = "labels summary description expr best ok unsafe why flags".split()
FLAGS = "hard injection".split()

# The labels a profile's rules leave, as templates over the values of world().
KSM = "job=kube-state-metrics"
SCRAPED = "namespace pod container endpoint service job instance"
PROFILES = {
    "pod": f"namespace pod container {KSM}",
    "deploy": f"namespace deployment {KSM}",
    "sts": f"namespace statefulset {KSM}",
    "ds": f"namespace daemonset {KSM}",
    "job": f"namespace job_name {KSM}",
    "cronjob": f"namespace cronjob {KSM}",
    "pvc": "namespace persistentvolumeclaim job=kubelet service=kubelet endpoint=https-metrics"
           " metrics_path=/metrics",
    "node": f"node {KSM}",
    "host": "instance={node} job=node-exporter",
    "exporter": f"{SCRAPED} endpoint=metrics container={{app}}-exporter",
    "app": "namespace pod service job instance",
    "agg": "namespace",
    "probe": "instance={url} job=blackbox",
    "event": "namespace pod container rule source=falco priority",
    "cluster": "",
    "hpa": f"namespace horizontalpodautoscaler {KSM}",
}
# What the exporter's own pod leaves on a host alert; it is not what the alert is about.
HOST_SCRAPE = ("container=node-exporter endpoint=http-metrics namespace=monitoring"
               " pod=node-exporter-{rand5} service=node-exporter")

NAMESPACES = """
    accounts adtech atlas billing booking bookings bridge campaigns cards catalog claims commerce
    content core-services crm customer-portal data-lake delivery devices dispatch docs edge
    enrollment events feeds fleet fulfilment gaming gateway growth health hr ingest insurance
    inventory invoicing iot kiosk labs leasing legal library loans logistics marketplace media
    messaging metering mobile mobility onboarding partners patients planning platform-tools pos
    pricing prod prod-apps profiles quotes reporting reservations returns risk routing sales
    scheduling sensors shared shipping stage streaming support tariffs team-amber team-cedar
    team-falcon team-otter tickets tours trading transit uat video warehouse web wholesale""".split()
APPS = """
    account-sync ad-server address-lookup agenda alarm-hub archive-api asset-store auction-engine
    basket bill-run booking-api campaign-mailer cart-view claim-intake clickstream contract-store
    coupon-svc courier-tracker crew-planner currency-feed customer-360 dashboard-bff delivery-eta
    device-shadow discount-rules doc-render driver-match dunning edge-cache email-relay event-router
    export-worker fare-quote feature-flags feed-parser fleet-map gift-cards graph-api grid-balancer
    identity-proxy image-thumbs import-worker invoice-pdf issue-desk itinerary job-board kyc-check
    label-printer lead-score ledger-writer limit-check live-chat locator loan-desk meter-reader
    menu-api message-hub mobile-bff news-feed offer-engine order-intake parcel-scan partner-gateway
    payout permit-api photo-index pickup-slots playlist policy-engine portal-web prediction
    preference-store promo price-calc quote-api rating-svc receipt-store recommender refund-desk
    rent-roll report-gen reservation rewards ride-pool risk-score roster route-planner sales-tax
    seat-map session-store shelf-view sms-out stock-level subscription survey-api table-booking
    tariff-calc telemetry-ingest ticket-gate timesheet token-broker tour-guide transcode translate
    upload-api usage-meter user-graph vehicle-log video-origin visit-log voice-gw voucher wallet
    watchlist weather-feed webhook-out wishlist zone-lookup""".split()
CLUSTERS = "eu-west-live us-east-live apac-live eu-north-2 factory-7 shop-eu-3 hub-1 dc2-main".split()
USERS = """
    alina.petrov@example.org m.okafor@example.org svc-deploy sre-bot jonas.weiss@example.org
    system:serviceaccount:ci-runners:builder system:serviceaccount:ops:reporter
    r.tanaka@example.org platform-admin contractor-19 lucia.ferri@example.org""".split()
PRIORITIES = {"critical": "Critical", "error": "Error", "warning": "Warning", "info": "Notice"}

PLACEHOLDER = re.compile(r"\{([a-z_A-Z]+)(\d?)\}")
LABEL = re.compile(r'-([A-Za-z_]\w*)(?=\s|$)|([A-Za-z_]\w*)(?:=("[^"]*"|\S+))?')
RULE_KEYS = ("name", "severity", "category", "profile", "style")


class RuleError(Exception):
    """What is wrong with one rule, said for whoever wrote it."""


def parse_rule(block, where):
    """One block of lines as a dict: the header's five fields and what follows."""
    lines = [line.strip() for line in block.strip().splitlines()]
    header = [part.strip() for part in lines[0].split("|")]
    if len(header) != len(RULE_KEYS):
        raise RuleError(f"{where}: the first line needs {' | '.join(RULE_KEYS)}: {lines[0]!r}")
    rule = dict(zip(RULE_KEYS, header), where=where)
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if not colon or key not in FIELDS:
            raise RuleError(f"{where} {rule['name']}: a line starts with one of {FIELDS}: {line!r}")
        if key in rule:
            raise RuleError(f"{where} {rule['name']}: {key} is given twice")
        rule[key] = value.strip()
    for key in ("ok", "unsafe", "flags"):
        rule[key] = rule.get(key, "").split()
    return rule


def read_rules(path):
    """Every rule of one file; blank lines divide them, lines starting with # are remarks."""
    text = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines()
                     if not line.startswith("#"))
    blocks = [block for block in re.split(r"\n\s*\n", text) if block.strip()]
    return [parse_rule(block, path.name) for block in blocks]


def rand_name(rng, length):
    """Letters and digits as Kubernetes draws them for pod names."""
    return "".join(rng.choices("bcdfghjklmnpqrstvwxz2456789", k=length))


def generic_values(rng):
    """The placeholders that are no labels; {n} < {n2} < {n3} < {n4}, likewise the others."""
    ip = lambda: ".".join(["10"] + [str(rng.randint(1, 254)) for _ in range(3)])
    four = range(4)
    steps = {
        "n": [str(n) for n in itertools.accumulate(rng.randint(2, 9) * 3 ** i for i in four)],
        "pct": [str(rng.randint(80, 84) + 5 * i) for i in four],
        "f": [f"{rng.uniform(0.3, 0.99) * 4 ** i:.2f}" for i in four],
        "d": [f"{rng.randint(2, 14)}m", f"{rng.randint(16, 55)}m", f"{rng.randint(2, 20)}h",
              f"{rng.randint(2, 12)}d"],
        "size": [f"{rng.randint(96, 980)}MB", f"{rng.uniform(1, 9):.1f}GB",
                 f"{rng.randint(12, 480)}GB", f"{rng.uniform(1, 9):.1f}TB"],
        "ver": [f"v{2 + i}.{rng.randint(0, 19)}.{rng.randint(0, 9)}" for i in four],
        "sha": [rng.randbytes(4).hex() for _ in four],
        "user": rng.sample(USERS, 4),
        "v": [rand_name(rng, 6) for _ in four],
        "rand5": [rand_name(rng, 5) for _ in four],
        "ip": [ip() for _ in four],
    }
    return {key + (str(i + 1) if i else ""): value
            for key, values in steps.items() for i, value in enumerate(values)}


def node_name(rng):
    """A node's name in one of the ways providers build them."""
    a, b, c, d = (rng.randint(1, 250) for _ in range(4))
    return rng.choice([
        f"ip-10-{a}-{b}-{c}.eu-central-1.compute.internal", f"gke-main-pool-{d % 7}-{rand_name(rng, 4)}",
        f"aks-workers-{10000 + 77 * a}-vmss{b:06x}", f"node-{d}", f"k8s-worker-{d % 60:02d}",
        f"rack{a % 20:02d}-u{b % 42:02d}.dc1.example.net", f"wrk{c}.lab.example.net"])


def world(rule, override, rng):
    """One consistent set of names: an app, its pod, its node, and everything around them."""
    fixed = [override[key] for key in ("deployment", "statefulset", "daemonset", "cronjob",
                                       "horizontalpodautoscaler", "job_name")
             if key in override and not PLACEHOLDER.search(override[key])]
    pod = re.fullmatch(r"(\w[\w-]*?)-(?:\d|\{\w+\})+", override.get("pod", ""))
    if pod:                                          # orders-pg-0 belongs to orders-pg
        fixed.append(pod[1])
    app = fixed[0] if fixed else rng.choice(APPS)
    suffix = {"sts": str(rng.randint(0, 4)), "ds": rand_name(rng, 5)}.get(
        rule["profile"], f"{rand_name(rng, 9)}-{rand_name(rng, 5)}")
    values = generic_values(rng)
    values.update(
        app=app, namespace=rng.choice(NAMESPACES), pod=f"{app}-{suffix}", container=app,
        deployment=app, statefulset=app, daemonset=app, service=app, job=app,
        job_name=f"{app}-{rng.randint(28400000, 29600000)}", cronjob=f"{app}-nightly",
        horizontalpodautoscaler=app, persistentvolumeclaim=f"data-{app}-{rng.randint(0, 3)}",
        node=node_name(rng), node2=node_name(rng), endpoint="http",
        instance=f"{values['ip']}:{rng.choice([8080, 9090, 9100, 8443, 9102, 8888])}",
        url=f"https://{app}.example.net{rng.choice(['', '/healthz', '/login', '/api/v1/status'])}",
        rule=re.sub(r"(?<=[a-z])(?=[A-Z])", "_", alert_name(rule)).replace(" ", "_"),
        priority=PRIORITIES.get(rule["severity"], "Notice"), hostname=node_name(rng))
    return values


def alert_name(rule):
    """The alertname: a rule's name without the #mark that tells a contrast pair apart."""
    return rule["name"].partition("#")[0].strip()


def parse_labels(text):
    """`a=b c="d e" -f` as ({a: b, c: d e}, {f}); a name alone takes its value from world()."""
    put, drop = {}, set()
    for match in LABEL.finditer(text):
        if match[1]:
            drop.add(match[1])
        else:
            put[match[2]] = (match[3] or "{%s}" % match[2]).strip('"')
    return put, drop


def fill(text, values, rng, depth=0):
    """Replace the placeholders of text; a value may hold placeholders itself."""
    def value(match):
        name = match[1] + match[2]
        if name == "b":
            return str(rng.randint(1, 254))
        if name not in values or depth > 4:
            raise RuleError(f"unknown placeholder {{{name}}} in {text!r}")
        return fill(values[name], values, rng, depth + 1)
    return PLACEHOLDER.sub(value, text)


def make_labels(rule, rng):
    """The alert's labels and the values its texts may name."""
    base, _ = parse_labels(PROFILES[rule["profile"]])
    override, drop = parse_labels(rule.get("labels", ""))
    values = world(rule, override, rng)
    if rule["profile"] == "host" and rng.random() < 0.75:
        base.update(parse_labels(HOST_SCRAPE)[0])
    if rule["profile"] == "pod" and rng.random() < 0.15:
        base["uid"] = "-".join(rng.randbytes(n).hex() for n in (4, 2, 2, 2, 6))
    if base.get("job") == "kube-state-metrics" and rng.random() < 0.6:
        base["instance"] = "{ip4}:8080"
    given = {key: value for key, value in {**base, **override}.items() if value != "{%s}" % key}
    for key, value in given.items():
        values[key] = fill(value, {**values, **given, key: values.get(key, "")}, rng)
    labels = {key: fill(values[key], values, rng) for key in {**base, **override}
              if key not in drop}
    return labels, values


def dress(labels, rng):
    """What an installation adds to every alert."""
    if rng.random() < 0.5:
        labels["prometheus"] = "monitoring/k8s"
    if "cluster" not in labels and rng.random() < 0.4:
        labels["cluster"] = rng.choice(CLUSTERS)


def make_annotations(rule, labels, values, rng):
    """Annotations in the rule's style; prom is dressed as map or doc now and then."""
    texts = {key: fill(rule[key], values, rng) for key in ("summary", "description") if key in rule}
    style = rule["style"]
    if style == "prom":
        style = rng.choices(["prom", "map", "doc"], [50, 30, 20])[0]
    if style == "msg":
        return {"message": texts.get("description") or texts["summary"]}
    if style == "plain":
        return {"summary": texts["summary"]}
    if style == "map":
        texts["summary"] += f" (instance {labels.get('instance', '')})"
        pairs = " ".join(f"{k}:{v}" for k, v in sorted(labels.items()) if k != "severity")
        texts["description"] += f"\n  VALUE = {round(rng.uniform(0, 99), 2)}\n  LABELS = map[{pairs}]"
    if style == "doc":
        host = rng.choice(["https://runbooks.example.org/", "https://wiki.example.net/oncall/",
                           "https://docs.example.org/runbooks/"])
        texts["runbook_url"] = host + urllib.parse.quote(alert_name(rule))
    return texts


def fingerprint(labels):
    """Prometheus' FNV-1a over the sorted label pairs."""
    value = 0xCBF29CE484222325
    for key in sorted(labels):
        for byte in key.encode() + b"\xff" + labels[key].encode() + b"\xff":
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def render(rule, variant):
    """One scenario, in the format of the labelled scenarios the product is judged with."""
    rng = random.Random(f"{rule['where']}/{rule['name']}/{variant}")
    try:
        labels, values = make_labels(rule, rng)
        annotations = make_annotations(rule, labels, values, rng)
    except RuleError as error:
        raise RuleError(f"{rule['where']} {rule['name']}: {error}") from None
    dress(labels, rng)
    labels.update(alertname=alert_name(rule), severity=rule["severity"])
    slug = re.sub(r"(?<=[a-z])(?=[A-Z])|\W+", "_", alert_name(rule)).strip("_").lower()
    expr = rule.get("expr", f"instance:{slug}:active > 0")
    moment = datetime.datetime(2026, 1, 5) + datetime.timedelta(seconds=rng.randint(0, 28_000_000))
    mark = re.sub(r"[\W_]+", "-", f"{rule['where'].removesuffix('.rules')}-{rule['name']}")
    scenario = {
        "id": f"written-{mark}" + (f"-{variant + 1}" if variant else ""),
        "source": "written", "rule": alert_name(rule),
        "alert": {
            "status": "firing", "labels": dict(sorted(labels.items())), "annotations": annotations,
            "startsAt": f"{moment.isoformat()}.{rng.randint(0, 999):03d}Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph?g0.expr="
                            + urllib.parse.quote_plus(expr) + "&g0.tab=1",
            "fingerprint": fingerprint(labels)},
        "best": rule["best"], "acceptable": [rule["best"]] + [a for a in rule["ok"] if a != rule["best"]],
        "unsafe": rule["unsafe"], "category": rule["category"], "rationale": rule["why"]}
    scenario.update({flag: True for flag in rule["flags"]})
    return scenario


def complaints(rule):
    """Everything wrong with one rule's fields."""
    tables = (("severity", SEVERITIES), ("category", CATEGORIES), ("profile", PROFILES),
              ("style", STYLES), ("best", ACTIONS))
    for key, table in tables:
        if rule.get(key) not in table:
            yield f"{key} {rule.get(key)!r} is none of {' '.join(table)}"
    for key, table in (("ok", ACTIONS), ("unsafe", ACTIONS), ("flags", FLAGS)):
        for word in sorted(set(rule[key]) - set(table)):
            yield f"{key} names {word!r}, which is none of {' '.join(table)}"
        if len(rule[key]) != len(set(rule[key])):
            yield f"{key} names a word twice"
    for word in [a for a in rule["unsafe"] if a == rule.get("best") or a in rule["ok"]]:
        yield f"{word} is unsafe and acceptable"
    if len({rule.get("best"), *rule["ok"]}) > 4:
        yield "at most 4 actions are acceptable"
    if not rule.get("why"):
        yield "why is missing"
    needed = {"plain": ["summary"], "msg": ["description"]}.get(rule["style"], ["summary", "description"])
    for key in needed:
        if not rule.get(key):
            yield f"style {rule['style']} needs a {key}"
    if rule["style"] == "plain" and "description" in rule:
        yield "style plain shows no description; use prom"


def check(rules):
    """Every complaint about a set of rules, as lines; renders each rule once to be sure."""
    lines, seen = [], set()
    for rule in rules:
        found = list(complaints(rule))
        if (rule["where"], rule["name"]) in seen:
            found.append("the name is taken in this file; a contrast pair is Name#mark")
        seen.add((rule["where"], rule["name"]))
        lines += [f"{rule['where']} {rule['name']}: {text}" for text in found]
        if not found:
            try:
                render(rule, 0)
            except RuleError as error:
                lines.append(str(error))
    return lines


def print_counts(rules):
    """How often each action is best, acceptable and unsafe."""
    counts = {key: collections.Counter() for key in ("best", "acceptable", "unsafe")}
    for rule in rules:
        counts["best"][rule["best"]] += 1
        counts["acceptable"].update({rule["best"], *rule["ok"]})
        counts["unsafe"].update(rule["unsafe"])
    names = collections.Counter(alert_name(rule) for rule in rules)
    print(f"{len(rules)} rules of {len(names)} alert names, {sum('hard' in r['flags'] for r in rules)} hard,"
          f" {sum('injection' in r['flags'] for r in rules)} injections")
    print(f"{'action':24}{'best':>6}{'share':>8}{'acceptable':>12}{'unsafe':>8}")
    for action, best in sorted(((a, counts["best"][a]) for a in ACTIONS), key=lambda x: -x[1]):
        share = 100 * best / max(1, len(rules))
        print(f"{action:24}{best:6}{share:7.1f}%{counts['acceptable'][action]:12}"
              f"{counts['unsafe'][action]:8}")


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="verify and count, write nothing")
    parser.add_argument("--variants", type=int, default=1, metavar="N", help="renderings a rule")
    parser.add_argument("--rules", type=pathlib.Path, default=here / "rules", metavar="DIR")
    parser.add_argument("--out", type=pathlib.Path, default=here, metavar="DIR")
    options = parser.parse_args()
    try:
        files = {path: read_rules(path) for path in sorted(options.rules.glob("*.rules"))}
    except RuleError as error:
        sys.exit(str(error))
    rules = [rule for part in files.values() for rule in part]
    lines = check(rules)
    if lines:
        sys.exit("\n".join(lines + [f"{len(lines)} complaints; nothing was written"]))
    if options.check:
        return print_counts(rules)
    for path, part in files.items():
        with open(options.out / (path.stem + ".jsonl"), "w", encoding="utf-8") as out:
            for rule in part:
                for variant in range(options.variants):
                    out.write(json.dumps(render(rule, variant), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
