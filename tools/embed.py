#!/usr/bin/env python3
"""Turn files into C: embed.py OUT.c OUT.h FILE... writes a `const struct str NAME` for each, NAME from the file's name."""
import os
import re
import sys

BYTES_A_LINE = 24


def symbol(path):
    return re.sub(r"[^0-9A-Za-z]", "_", os.path.basename(path))


def main():
    source, header, *paths = sys.argv[1:]
    guard = re.sub(r"[^0-9A-Za-z]", "_", os.path.basename(header)).upper()
    with open(header, "w") as out:
        out.write(f"#ifndef {guard}\n#define {guard}\n\n#include \"base/str.h\"\n\n")
        for path in paths:
            out.write(f"extern const struct str {symbol(path)};\n")
        out.write("\n#endif\n")
    with open(source, "w") as out:
        out.write(f"#include \"{os.path.basename(header)}\"\n")
        for path in paths:
            with open(path, "rb") as file:
                data = file.read()
            name = symbol(path)
            out.write(f"\nstatic const char {name}_bytes[] = {{\n")
            for at in range(0, len(data), BYTES_A_LINE):
                out.write(" ".join(f"{b - 256 if b > 127 else b}," for b in data[at:at + BYTES_A_LINE]) + "\n")
            out.write("0 };\n")
            out.write(f"const struct str {name} = {{ {name}_bytes, {len(data)} }};\n")


main()
