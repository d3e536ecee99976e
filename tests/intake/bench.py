#!/usr/bin/env python3
"""bench.py PROGRAM LOAD CLAIM RUNS SECONDS: prints a table and writes build/bench/intake.json."""
import datetime
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

CONNECTIONS = 64
GROUP = 100


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


def wait_until_ready(url):
    for _ in range(400):
        try:
            get(url)
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) / 1024


class Ours:
    path, flags = "/alerts", []

    def __init__(self, program, folder):
        self.port = free_port()
        settings = {"store.url": f"sqlite:{folder}/store.db", "server.webhook_port": self.port, "slm.provider": "none",
                    "server.metrics_port": self.port, "server.health_port": self.port, "intake.inbox_limit": 10**9}
        command = [program, "serve"] + [x for k, v in settings.items() for x in ("--set", f"{k}={v}")]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until_ready(f"http://127.0.0.1:{self.port}/ready")

    def worked_in(self):
        return json.loads(get(f"http://127.0.0.1:{self.port}/status"))["counts"]["alerts_processed"]


class Alertmanager:
    path, flags = "/api/v2/alerts", ["--api"]

    def __init__(self, program, folder):
        self.port = free_port()
        with open(f"{folder}/alertmanager.yml", "w") as file:
            file.write("route: { receiver: none }\nreceivers: [{ name: none }]\n")
        self.process = subprocess.Popen(
            [program, f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="], stderr=subprocess.DEVNULL)
        wait_until_ready(f"http://127.0.0.1:{self.port}/-/ready")

    def worked_in(self):
        return None


def measure(kind, program, load, alerts, seconds):
    folder = tempfile.mkdtemp(prefix="bench-intake-")
    server = kind(program, folder)
    idle = resident_mb(server.process.pid)
    before = time.monotonic()
    output = subprocess.run([load, str(server.port), server.path, str(seconds), str(CONNECTIONS), str(alerts)] + server.flags,
                            check=True, capture_output=True, text=True).stdout
    result = json.loads(output)
    result["through_per_s"] = (server.worked_in() or 0) / (time.monotonic() - before)
    result["idle_mb"], result["loaded_mb"] = idle, resident_mb(server.process.pid)
    server.process.terminate()
    server.process.wait()
    shutil.rmtree(folder)
    return result


def median(values):
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def interval(values):
    """The median's 95 % interval by order statistics; for few values their range."""
    ordered, n = sorted(values), len(values)
    cut = max(0, int(n / 2 - 0.98 * n ** 0.5))
    return ordered[cut], ordered[n - 1 - cut]


def claim_us(program):
    folder = tempfile.mkdtemp(prefix="bench-claim-")
    output = subprocess.run([program, f"sqlite:{folder}/store.db", "1000", "100000", "1000000"], check=True,
                            capture_output=True, text=True).stdout
    shutil.rmtree(folder)
    return {int(rows): us for rows, us in json.loads(output).items()}


def stripped_mb(program):
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["strip", "-o", out.name, program], check=True)
        return os.path.getsize(out.name) / 1e6


def machine():
    with open("/proc/cpuinfo") as file:
        info = file.read()
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 2**20
    flags = re.search(r"flags\s*:(.*)", info)
    isa = next((name for name in ("avx512_vnni", "avx2", "asimd") if flags and name in flags[1].split()), "")
    name = re.search(r"model name\s*:\s*(.*)", info)
    return {"cpu": name[1] if name else os.uname().machine, "cores": os.cpu_count(), "memory_gib": round(memory, 1), "isa": isa}


class Figures:
    def __init__(self):
        self.rows = []

    def add(self, name, values, unit, goal=None, above=True, peers=None):
        value = median(values)
        row = {"name": name, "value": round(value, 3), "unit": unit, "interval": [round(v, 3) for v in interval(values)],
               "goal": goal, "peer": None, "ratio": None, "met": None}
        if peers:
            row["peer"] = round(median(peers), 3)
            row["ratio"] = round(median([a / b for a, b in zip(values, peers)]), 3)
            row["met"] = row["ratio"] >= 0.95
        elif goal is not None:
            row["met"] = value >= goal if above else value <= goal
        self.rows.append(row)

    def print(self):
        print(f"{'figure':<48}{'value':>12}  {'95 % interval':<22}{'unit':<12}{'goal':>9}{'peer':>11}{'ratio':>8}  met")
        for row in self.rows:
            low, high = row["interval"]
            show = ["" if row[k] is None else f"{row[k]:g}" for k in ("goal", "peer", "ratio")]
            met = {None: "", True: "yes", False: "NO"}[row["met"]]
            print(f"{row['name']:<48}{row['value']:>12.6g}  {f'{low:g} … {high:g}':<22}{row['unit']:<12}{show[0]:>9}{show[1]:>11}{show[2]:>8}  {met}")


def main():
    program, load, claim, runs, seconds = sys.argv[1:4] + [int(sys.argv[4]), int(sys.argv[5])]
    peer = shutil.which("prometheus-alertmanager")
    results = {(kind, alerts): [] for kind in (Ours, Alertmanager) for alerts in (GROUP, 1)}
    for run in range(runs):
        order = [Ours, Alertmanager] if run % 2 == 0 else [Alertmanager, Ours]
        for alerts in (GROUP, 1):
            for kind in order:
                if kind is Ours or peer:
                    results[kind, alerts].append(measure(kind, program if kind is Ours else peer, load, alerts, seconds))
    figures = Figures()
    pick = lambda kind, alerts, name: [r[name] for r in results[kind, alerts]]
    groups, single = pick(Ours, GROUP, "alerts_per_s"), pick(Ours, 1, "requests_per_s")
    figures.add("durable alerts/s, groups of 100", groups, "alerts/s", 50000)
    figures.add("  the same through to incidents", pick(Ours, GROUP, "through_per_s"), "alerts/s")
    figures.add("durable requests/s, one alert each", single, "requests/s", 15000)
    figures.add("  their p99", pick(Ours, 1, "p99_ms"), "ms", 50, above=False)
    figures.add("  the same through to incidents", pick(Ours, 1, "through_per_s"), "alerts/s")
    if peer:
        figures.add("alerts/s in groups, against Alertmanager", groups, "alerts/s", 1, peers=pick(Alertmanager, GROUP, "alerts_per_s"))
        figures.add("requests/s, against Alertmanager", single, "requests/s", 1, peers=pick(Alertmanager, 1, "requests_per_s"))
        figures.add("Alertmanager's resident memory under load", pick(Alertmanager, GROUP, "loaded_mb"), "MB")
    figures.add("resident memory, idle", pick(Ours, GROUP, "idle_mb"), "MB", 20, above=False)
    figures.add("resident memory under load", pick(Ours, GROUP, "loaded_mb"), "MB", 100, above=False)
    figures.add("binary, stripped", [stripped_mb(program)], "MB", 4, above=False)
    claims = claim_us(claim)
    for rows, us in claims.items():
        figures.add(f"claim with {rows} rows in the inbox", [us], "us")
    figures.add("claim, slowest to quickest of these", [max(claims.values()) / min(claims.values())], "x", 1.5, above=False)
    figures.print()
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    os.makedirs("build/bench", exist_ok=True)
    with open("build/bench/intake.json", "w") as file:
        json.dump({"name": "intake", "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                   "commit": commit, "machine": machine(), "figures": figures.rows}, file, indent=1)


main()
