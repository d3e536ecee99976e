#!/usr/bin/env python3
"""performance.py FOLDER PAGE: write docs/performance.md from the JSON files that benchmarks left in FOLDER."""
import glob
import json
import os
import sys


def show(value):
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def section(path):
    with open(path, encoding="utf-8") as file:
        run = json.load(file)
    machine = run.get("machine", {})
    lines = [f"\n## {run['name']}\n",
             f"{run.get('date', '')}, commit {run.get('commit', '')}, {machine.get('cpu', '')}, {machine.get('cores', '')} cores, "
             f"{machine.get('memory_gib', '')} GiB, {machine.get('isa', '')}: `make bench-{run['name']}`\n",
             "| figure | value | unit | goal | peer | ratio | met |", "|---|---|---|---|---|---|---|"]
    for figure in run.get("figures", []):
        cells = [figure.get("name")] + [show(figure.get(key)) for key in ("value", "unit", "goal", "peer", "ratio", "met")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    folder, page = sys.argv[1:]
    paths = sorted(glob.glob(os.path.join(folder, "*.json")))
    text = "# Performance\n\nMade by `make bench`; do not edit. Each table says where and when it was measured.\n"
    text += "".join(section(path) for path in paths)
    with open(page, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"{page}: {len(paths)} benchmarks")


main()
