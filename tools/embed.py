#!/usr/bin/env python3
"""Put files into the program: embed.py [--table NAME] OUT.c OUT.h FILE... makes a `const struct str NAME` for each, NAME
from the file's name; with --table also `const struct str *const NAME[]` of them all, ended by NULL. The bytes are taken in by the assembler, so that megabytes cost no compile time; a NUL follows them."""
import os
import re
import sys


def symbol(path):
    return re.sub(r"[^0-9A-Za-z]", "_", os.path.basename(path))


def main():
    arguments = sys.argv[1:]
    table = arguments[1] if arguments[0] == "--table" else None
    source, header, *paths = arguments[2 if table else 0:]
    guard = re.sub(r"[^0-9A-Za-z]", "_", os.path.basename(header)).upper()
    with open(header, "w") as out:
        out.write(f"#ifndef {guard}\n#define {guard}\n\n#include \"base/str.h\"\n\n")
        for path in paths:
            out.write(f"extern const struct str {symbol(path)};\n")
        if table:
            out.write(f"extern const struct str *const {table}[];\n")
        out.write("\n#endif\n")
    with open(source, "w") as out:
        out.write(f"#include \"{os.path.basename(header)}\"\n")
        for path in paths:
            name = symbol(path)
            out.write(f"""
__asm__(".pushsection .rodata\\n.balign 16\\n{name}_bytes:\\n.incbin \\"{os.path.abspath(path)}\\"\\n.byte 0\\n.popsection\\n");
extern const char {name}_bytes[] __attribute__((visibility("hidden")));
const struct str {name} = {{ {name}_bytes, {os.path.getsize(path)} }};
""")
        if table:
            out.write(f"\nconst struct str *const {table}[] = {{ {', '.join('&' + symbol(path) for path in paths)}, NULL }};\n")


main()
