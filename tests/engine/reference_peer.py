#!/usr/bin/env python3
"""Our logits and llama.cpp's, both against the float64 reference; and both ways to write on greedily.

  reference_peer.py TOOL [--fast]       TOOL: run_tool of the build; --fast: the small models only

For each model: the mean Kullback-Leibler divergence of our next-token distribution from the reference's over at least 200
positions may be at most 1.05 times that of llama.cpp on the same positions.

Greedy text: the first 64 tokens behind 50 prompts. Both round activations to eight bits, each in its own way, and are off
by some 0.08 nats at a token for it; so the texts part where the two likeliest are about so near. Where they part, the
reference decides who is right: we may be wrong no more often than llama.cpp is (within chance: two standard deviations),
and never by half a nat.

llama.cpp's distributions come from llama-perplexity --save-all-logits: sixteen bits for a log-probability, none more than
16 nats below the likeliest. So all three are compared on the tokens that the reference has within 14 nats of its best.
The step of these sixteen bits, 0.0002 nats, adds 5e-9 to a divergence: models whose divergence is not well above that
(F32 weights) are held to an absolute bound instead."""
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

import peer
import reference
import texts

LIMIT, NOISE, TIE, WRONG = 1.05, 2e-7, 0.02, 0.5


def ours(tool, model, tokens, first, folder):
    out = os.path.join(folder, "logits")
    subprocess.run([tool, "logits", model, str(first), out], input=" ".join(map(str, tokens)) + "\n", text=True, check=True)
    return np.fromfile(out, dtype="<f4").astype(np.float64).reshape(len(tokens) - first, -1)


def theirs(model, context, folder):
    """(tokens of a chunk, log-probabilities of its second half) for each chunk"""
    text, out = os.path.join(folder, "text"), os.path.join(folder, "theirs")
    with open(text, "w", encoding="utf-8") as file:
        file.write("\n".join(texts.SCRIPTS[:3] + [texts.CODE] + texts.lines(3, 5000)[-220:]))
    peer.run("llama-perplexity", "-m", os.path.abspath(model), "-f", text, "-c", str(context), "-b", str(context),
             "--chunks", "1", "-t", "2", "--save-all-logits", out, capture_output=True)
    with open(out, "rb") as file:
        raw = file.read()
    assert raw[:8] == b"_logits_", "another format of llama-perplexity"
    n_ctx, n_vocab, n_chunk = struct.unpack_from("<3i", raw, 8)
    tokens = np.frombuffer(raw, "<i4", n_chunk * n_ctx, 20)
    width, rows = 2 * ((n_vocab + 1) // 2) + 4, n_ctx - 1 - n_ctx // 2
    table = np.frombuffer(raw, "<u2", rows * width, 20 + 4 * len(tokens)).reshape(rows, width)
    scales = table[:, :4].copy().view("<f4").astype(np.float64)
    return tokens[:n_ctx], table[:, 4:4 + n_vocab] * scales[:, :1] + scales[:, 1:], n_ctx // 2


def divergence(base, other):
    """Mean KL over positions, on the tokens that the reference has within 14 nats of its best."""
    total = 0.0
    for p, q in zip(base, other):
        near = p > p.max() - 14
        p, q = reference.log_softmax(p[near]), reference.log_softmax(q[near])
        total += float(np.sum(np.exp(p) * (p - q)))
    return total / len(base)


def compare(tool, name, model, context, folder):
    tokens, peer_logits, first = theirs(model, context, folder)
    n = len(peer_logits)
    base = reference.log_softmax(reference.logits(model, tokens, first)[:n])
    mine = divergence(base, reference.log_softmax(ours(tool, model, tokens, first, folder)[:n]))
    its = divergence(base, peer_logits)
    ok = mine <= max(LIMIT * its, NOISE)
    print("%-28s %d positions: ours %.3e, llama.cpp %.3e, ratio %.3f%s"
          % (name, n, mine, its, mine / max(its, 1e-300), "" if ok else "  OVER THE LIMIT"), flush=True)
    return ok


def small_models(folder):
    """Random ones of each architecture and each kind of block; K-blocks by llama-quantize."""
    make = os.path.join(peer.TOP, "tests", "engine", "make_gguf.py")
    for arch in ("llama", "granite", "granitemoe"):
        for kind in ("f32", "q8_0", "q4_0", "q4_1"):
            path = "%s/%s-%s.gguf" % (folder, arch, kind)
            subprocess.run([sys.executable, make, "--preset", "small-" + arch, "--type", kind, "-o", path], check=True)
            yield "%s %s" % (arch, kind), path
        for kind in ("Q4_K_M", "Q5_K_M", "Q6_K", "Q5_0", "Q5_1"):
            path = "%s/%s-%s.gguf" % (folder, arch, kind)
            peer.run("llama-quantize", "%s/%s-f32.gguf" % (folder, arch), path, kind, "2", capture_output=True)
            yield "%s %s" % (arch, kind), path


def prompts():
    starts = ["The pod is crashing because", "A node has run out of memory, so we", "Restart the deployment when",
              "In Kubernetes, a persistent volume", "The capital of France is", "def fibonacci(n):", "Once upon a time",
              "1, 2, 3, 4,", "Dear team,", "The alert fired at"]
    for i, start in enumerate(starts):
        yield from (start, "Question: %s?\nAnswer:" % start, start + " " + starts[i - 1], "- %s\n-" % start,
                    "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n" % start)


def greedy(tool, model):
    """50 prompts; where the texts part, the reference decides."""
    with peer.Server(model) as server:
        ids, wanted = [], []
        for prompt in prompts():
            ids.append(server.post("/tokenize", {"content": prompt, "parse_special": True})["tokens"])
            reply = server.post("/completion", {"prompt": ids[-1], "n_predict": 64, "temperature": 0, "top_k": 1,
                                                "cache_prompt": False, "return_tokens": True, "samplers": ["top_k"]})
            wanted.append(reply["tokens"])
    lines = "".join(" ".join(map(str, prompt)) + "\n" for prompt in ids)
    got = subprocess.run([tool, "greedy", model, "64"], input=lines, capture_output=True, text=True, check=True).stdout
    loaded, same, ties, gaps = reference.Model(model), 0, 0, []
    for prompt, line, theirs_ids in zip(ids, got.splitlines(), wanted):
        mine = [int(id) for id in line.split()]
        at = next((i for i, (a, b) in enumerate(zip(mine, theirs_ids)) if a != b), None)
        if at is None:
            same += 1
            continue
        row = reference.log_softmax(reference.logits(loaded, prompt + mine[:at], len(prompt) + at - 1))[0]
        gap = row[theirs_ids[at]] - row[mine[at]]
        ties += abs(gap) < TIE
        gaps += [gap] if abs(gap) >= TIE else []
    wrong, right = sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps)
    print("greedy: of %d texts %d the same to the last token, %d part at a near-tie, %d where the reference sides with us, "
          "%d where it sides with llama.cpp (by %.3f nats at most)" % (len(ids), same, ties, right, wrong, max(gaps + [0])))
    return wrong <= right + 2 * (wrong + right) ** 0.5 and max(gaps + [0]) < WRONG


def main():
    why = peer.available() or peer.why_no_model()
    if why:
        print("skipped: " + why)
        return 77
    tool, ok = sys.argv[1], True
    with tempfile.TemporaryDirectory() as folder:
        for name, path in small_models(folder):
            ok = compare(tool, name, path, 512, folder) and ok
        if "--fast" not in sys.argv:
            ok = compare(tool, "SmolLM2 135M Q4_1", peer.real_model(), 512, folder) and ok
            ok = greedy(tool, peer.real_model()) and ok
    return not ok


if __name__ == "__main__":
    sys.exit(main())
