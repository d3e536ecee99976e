#!/usr/bin/env python3
"""Our tokens against llama.cpp's, on thousands of texts.

  tokenizer_peer.py TOOL [MODEL...]      TOOL: tokenize_tool of the build

Without MODEL: the 135M model that `make model` fetched, and its vocabulary said again under each pre-tokenizer and as
both of SentencePiece's models, so that every path sees a real vocabulary. Valid texts go through llama-server's /tokenize one by one, with and without special tokens. Bytes that are not UTF-8
cannot be put into JSON: they go through llama-tokenize, many to a file, with a line between that no merge crosses."""
import struct
import subprocess
import sys
import tempfile

import peer
import texts


def ours(tool, model, items, parse):
    records = b"".join(struct.pack("<I", len(item)) + item for item in items)
    command = [tool, model] + (["parse"] if parse else [])
    out = subprocess.run(command, input=records, capture_output=True, check=True).stdout
    return [[int(id) for id in line.split()] for line in out.decode().splitlines()]


def compare(items, mine, theirs):
    bad = [(item, a, b) for item, a, b in zip(items, mine, theirs) if a != b]
    for item, a, b in bad[:5]:
        print("  %r\n    ours   %s\n    theirs %s" % (item[:120], a[:40], b[:40]))
    return len(bad) + abs(len(mine) - len(theirs))


def valid_texts(tool, model, lines):
    items, bad = [line.encode() for line in lines], 0
    with peer.Server(model) as server:
        for parse in (True, False):
            theirs = [server.post("/tokenize", {"content": line, "add_special": False, "parse_special": parse})["tokens"]
                      for line in lines]
            bad += compare(items, ours(tool, model, items, parse), theirs)
    return bad


def llama_tokenize(model, text):
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        out = peer.run("llama-tokenize", "-m", model, "-f", file.name, "--ids", "--no-bos", "--no-escape", "--log-disable",
                       capture_output=True).stdout.decode()
    return [int(id) for id in out.strip().strip("[]").split(",") if id.strip()]


def broken_texts(tool, model):
    items, size = list(texts.broken()), 40
    files = [b"\n".join(items[at:at + size]) for at in range(0, len(items), size)]
    return compare(files, ours(tool, model, files, True), [llama_tokenize(model, text) for text in files])


def variants(folder):
    """One small model for each way to tokenize, all with the real model's vocabulary."""
    real = peer.real_model()
    yield real
    for option, names in (("--pre", ("gpt-2", "refact", "llama-bpe", "qwen2")), ("--tokenizer", ("spm", "unigram"))):
        for name in names:
            path = "%s/%s.gguf" % (folder, name)
            subprocess.run([sys.executable, peer.TOP + "/tests/engine/make_gguf.py", "--layers", "1", "--vocab-from", real,
                            option, name, "-o", path], check=True)
            yield path


def main():
    why = peer.available() or (None if sys.argv[2:] else peer.why_no_model())
    if why:
        print("skipped: " + why)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        return compare_models(sys.argv[1], sys.argv[2:] or variants(folder))


def compare_models(tool, models):
    bad, lines = 0, texts.lines()
    for model in models:
        wrong = valid_texts(tool, model, lines)
        wrong += broken_texts(tool, model)
        print("%s: %d texts, with and without special tokens, and %d that are not UTF-8: %d differ"
              % (model.rsplit("/", 1)[-1], len(lines), len(list(texts.broken())), wrong))
        bad += wrong
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
