#!/usr/bin/env python3
"""bench-engine: prefill, decoding, decoding behind 1000 tokens, eight sequences at once, start and memory; ours and
llama.cpp's in turn on the same files in one run, and what this machine's memory and arithmetic allow, measured between.

Models: the real 135M (Q4_1), the same shape in Q4_0, Q8_0 and F16, and the shapes of Granite 2B and of the 1B mixture in
Q4_K_M, with random weights: made once, kept in the cache folder (6 GB). A share is the median divided by the ceiling:
arithmetic for prefill (2 operations a parameter and token), reading all weights of a token once for decoding."""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

import harness

sys.path.insert(0, os.path.join(harness.TOP, "tests", "engine"))
import make_gguf  # noqa: E402
import peer  # noqa: E402

BYTES = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 12: (256, 144), 13: (256, 176),
         14: (256, 210), 30: (1, 2)}
MODELS = {                                # name: (preset, type, goals)
    "135m-q4_1": ("smollm2-135m", "real", dict(prefill_share=0.40, prefill=4, decode_share=0.60, decode=2, deep=3, batch=6,
                                               start=0.15, memory=64)),
    "2b-q4_k_m": ("granite-2b", "Q4_K_M", dict(prefill_share=0.55, prefill=2, decode_share=0.90, decode=1, deep=1.5, batch=4,
                                               start=1.0, memory=256)),
    "moe-1b-q4_k_m": ("granite-moe-1b", "Q4_K_M", dict(prefill_share=0.35, prefill=2, decode_share=0.80, decode=1.4, deep=1.8,
                                                       batch=2.5, start=0.6, memory=128)),
    "135m-q4_0": ("smollm2-135m", "Q4_0", dict(prefill=1, decode=1, batch=1)),
    "135m-q8_0": ("smollm2-135m", "Q8_0", dict(prefill=1, decode=1, batch=1)),
    "135m-f16": ("smollm2-135m", "F16", dict(prefill=1, decode=1, batch=1)),
}


def model_file(name):
    preset, kind, _ = MODELS[name]
    if kind == "real":
        return peer.real_model()
    folder = os.path.join(os.path.dirname(os.path.dirname(peer.real_model())), "bench")
    os.makedirs(folder, exist_ok=True)
    path, f16 = os.path.join(folder, name + ".gguf"), os.path.join(folder, preset + "-f16.gguf")
    target = f16 if kind == "F16" else path
    if not os.path.exists(target):
        if not os.path.exists(f16):
            print("making %s" % f16, file=sys.stderr)
            subprocess.run([sys.executable, make_gguf.__file__, "--preset", preset, "--type", "f16", "-o", f16 + ".part"],
                           check=True)
            os.rename(f16 + ".part", f16)
        if kind != "F16":
            peer.run("llama-quantize", f16, path + ".part", kind, "2", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            os.rename(path + ".part", path)
    return target


def weights_of(path):
    """(parameters that work on a token in prefill, bytes that decoding a token reads, bytes in all)"""
    reader = make_gguf.Reader(path)
    arch = reader.values["general.architecture"].decode()
    share = reader.values.get(arch + ".expert_used_count", 1) / (reader.values.get(arch + ".expert_count") or 1)
    infos = []
    for _ in range(struct.unpack_from("<Q", reader.raw, 8)[0]):
        name, size = reader.string().decode(), 1
        for _ in range(reader.number("<I")):
            size *= reader.number("<Q")
        kind = reader.number("<I")
        reader.number("<Q")
        block, length = BYTES[kind]
        infos.append((name, size, size // block * length))
    tied = not any(name == "output.weight" for name, _, _ in infos)
    working = read = total = 0
    for name, size, length in infos:
        part = share if "_exps" in name else 1
        total += length
        if name.startswith(("token_embd", "output.")):
            read += length if tied or name.startswith("output.") else 0
            continue
        working += size * part
        read += length * part
    return working, read, total


class Ours:
    """One process with the model loaded; see engine_tool.c."""

    def __init__(self, path, cache, threads, isa):
        self.process = subprocess.Popen([harness.build_file("tests", "bench", "engine_tool"), path, cache, str(threads), isa],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.isa = self.ask("isa")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise RuntimeError("engine_tool ended at \"%s\"" % line)
        return answer

    def rate(self, line):
        return float(self.ask(line))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def llama_bench(path, threads, *options):
    out = peer.run("llama-bench", "-m", path, "-t", str(threads), "-r", "1", "-o", "json", *options, capture_output=True).stdout
    return [run["avg_ts"] for run in json.loads(out)][-1]


def llama_batched(path, threads, sequences, tokens):
    out = peer.run("llama-batched-bench", "-m", path, "-c", "2048", "-npp", "64", "-ntg", str(tokens), "-npl", str(sequences),
                   "-t", str(threads), "--output-format", "jsonl", capture_output=True).stdout.decode()
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")][-1]["speed_tg"]


def our_start(path, cache, isa):
    """From exec to the first token's logits, prepared file in the page cache."""
    began = time.monotonic()
    subprocess.run([harness.build_file("tests", "bench", "engine_tool"), path, cache, "2", isa], input="decode 1 0\n", text=True,
                   stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def their_start(path):
    began = time.monotonic()
    with peer.Server(path) as server:
        server.post("/completion", {"prompt": "a", "n_predict": 1})
        return time.monotonic() - began


def limit(*args):
    out = subprocess.run([harness.build_file("tests", "bench", "limits"), *map(str, args)], check=True, capture_output=True,
                         text=True).stdout
    return float(out.split()[0])


class Ceilings:
    """Measured before and after each figure; the median of all counts."""

    def __init__(self, threads, megabytes):
        self.threads, self.megabytes, self.reads, self.peaks = threads, max(16, megabytes), [], []
        self.measure()

    def measure(self):
        self.reads.append(limit("read", self.megabytes, self.threads))
        self.peaks.append(limit("int8", self.threads))


def promise(name, share, goals, key):
    """The goal's text, whether the share is reached, and the ratio that is wanted beside it."""
    wanted = goals.get(key + "_share")
    text = "share >= %d %%" % round(100 * wanted) if wanted else None
    print("%-46s %9.1f %% of what this machine allows" % (name + ", share", 100 * share), flush=True)
    return text, wanted is None or share >= wanted


def bench_model(run, name, options, points):
    path, goals, t = model_file(name), MODELS[name][2], options.threads
    parameters, read, total = weights_of(path)
    ceilings = Ceilings(t, int(total / 2 ** 20))
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as cache:
        ours = Ours(path, cache, t, options.isa)
        run.isa = ours.isa
        ours.rate("prefill 64")
        measured = {}
        for key, mine, theirs in (
                ("prefill", "prefill 512", lambda: llama_bench(path, t, "-p", "512", "-n", "0")),
                ("decode", "decode 64 0", lambda: llama_bench(path, t, "-p", "0", "-n", "64")),
                ("deep", "decode 32 1000", lambda: llama_bench(path, t, "-p", "0", "-n", "32", "-d", "1000")),
                ("batch", "batch 8 32", lambda: llama_batched(path, t, 8, 32))):
            if options.figures and key not in options.figures:
                continue
            measured[key] = harness.pairs(options.pairs, lambda line=mine: ours.rate(line), theirs)
            ceilings.measure()
        memory = ours.rate("memory")
        ours.close()
        report(run, name, goals, measured, ceilings, parameters, read, points)
        if "start" in goals and (not options.figures or "start" in options.figures):
            mine, its = harness.pairs(options.pairs, lambda: our_start(path, cache, options.isa), lambda: their_start(path))
            run.figure(name + ": start to first token", "s", mine, "<= %g" % goals["start"],
                       harness.median(mine) <= goals["start"], harness.median(its), harness.median(its) / harness.median(mine))
        if "memory" in goals:
            run.figure(name + ": memory beside the weights", "MB", memory, "<= %g" % goals["memory"], memory <= goals["memory"])


def report(run, name, goals, measured, ceilings, parameters, read, points):
    bandwidth, peak = harness.median(ceilings.reads), harness.median(ceilings.peaks)
    run.figure(name + ": limit, reading", "GB/s", ceilings.reads)
    run.figure(name + ": limit, 8-bit arithmetic", "Gop/s", ceilings.peaks)
    words = {"prefill": "prefill, 512 tokens", "decode": "decode, empty cache", "deep": "decode behind 1000 tokens",
             "batch": "8 sequences at once"}
    tokens_at_once = {"prefill": 256, "decode": 1, "batch": 8}
    for key, (mine, its) in measured.items():
        ceiling = peak * 1e9 / (2 * parameters) if key == "prefill" else bandwidth * 1e9 / read
        title = "%s: %s" % (name, words[key])
        text, reached = None, True
        if key in ("prefill", "decode"):
            text, reached = promise(title, harness.median(mine) / ceiling, goals, key)
        run.compare(title, "tokens/s", mine, its, goals.get(key), text, reached)
        if key in tokens_at_once:
            for whose, values in (("ours", mine), ("llama.cpp", its)):
                points.append((name, key, whose, 2 * parameters * tokens_at_once[key] / read,
                               harness.median(values) * 2 * parameters / 1e9, bandwidth, peak))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="135m-q4_1,2b-q4_k_m,moe-1b-q4_k_m,135m-q4_0,135m-q8_0,135m-f16")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa", default="", help="scalar, avx2, avx512vnni, neon; without: the fastest")
    parser.add_argument("--figures", default="", help="of prefill,decode,deep,batch,start")
    parser.add_argument("--svg", default=os.path.join(harness.TOP, "docs", "engine-roofline.svg"))
    options = parser.parse_args()
    options.figures = [one for one in options.figures.split(",") if one]
    why = peer.available() or peer.why_no_model()
    if why:
        sys.exit("bench-engine: " + why)
    run, points = harness.Run("engine"), []
    print("llama.cpp %s, %d threads, %d pairs" % (peer.run("--version", capture_output=True, text=True).stdout.strip(),
                                                 options.threads, options.pairs))
    for name in options.models.split(","):
        bench_model(run, name, options, points)
    if points:
        import roofline
        roofline.draw(points, options.svg)
    sys.exit(run.finish())


if __name__ == "__main__":
    main()
