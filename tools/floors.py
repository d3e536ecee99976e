#!/usr/bin/env python3
"""floors.py: includes point down. The floors are the table of docs/architecture.md; this reads it and looks at every
#include "ROOM/…" under src/: a room may include its own files and those of rooms on lower floors, nothing else.
Prints each offence as FILE:LINE; exit 1 if there is one."""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROW = re.compile(r"^\|\s*(\d+)\s*\|([^|]*)\|")
ROOM = re.compile(r"`([a-z0-9_]+)/?`")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z0-9_]+)/')


def read_floors(path):
    floors = {}
    with open(path, encoding="utf-8") as page:
        for line in page:
            row = ROW.match(line)
            for room in ROOM.findall(row.group(2)) if row else ():
                floors[room] = int(row.group(1))
    return floors


def sources(src):
    for folder, _, names in os.walk(src):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield os.path.join(folder, name)


def check(path, room, floors, src):
    with open(path, encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            included = INCLUDE.match(line)
            other = included.group(1) if included else room
            if other == room or (other not in floors and not os.path.isdir(os.path.join(src, other))):
                continue
            where = f"{os.path.relpath(path, TOP)}:{number}"
            if other not in floors:
                yield f"{where}: {other}/ is not in docs/architecture.md's table"
            elif floors[other] >= floors[room]:
                yield f"{where}: {room}/ (floor {floors[room]}) includes {other}/ (floor {floors[other]})"


def main():
    src = os.path.join(TOP, "src")
    floors = read_floors(os.path.join(TOP, "docs", "architecture.md"))
    found = []
    for path in sources(src):
        room = os.path.relpath(path, src).split(os.sep)[0]
        if not os.path.isdir(os.path.join(src, room)):
            continue                      # main.c: above all rooms
        if room not in floors:
            found.append(f"src/{room}: not in docs/architecture.md's table")
            continue
        found += check(path, room, floors, src)
    print("\n".join(sorted(set(found))) if found else f"floors: {len(floors)} rooms, every include points down")
    return 1 if found else 0


sys.exit(main())
