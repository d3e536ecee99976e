#!/usr/bin/env python3
"""bench-decision: from an alert to an action and its parameters; ours and llama-server with the same model file, by turns, warm.

The peer answers two prompts, under a JSON schema that holds it to the 27 actions:
  (a) as the predecessor asked: some 3,300 tokens, the alert before the framework, so that little of it is the same twice;
  (b) ours: what never changes first, so that its cache serves every alert.
It is asked for action, parameters and confidence alone. The predecessor wanted reasons as well before it could act: what is
measured here is less than what it had to wait for."""
import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time

import harness

sys.path.insert(0, os.path.join(harness.TOP, "tests", "engine"))
import peer  # noqa: E402

SCENARIOS = os.path.join(harness.TOP, "tests", "scenarios", "dev.jsonl")
RUNBOOKS = os.path.join(harness.TOP, "models", "runbooks")
FRAMEWORK_TOKENS = 3300


class Ours:
    """One process with the model loaded; see decision_tool.c."""

    def __init__(self, *settings):
        self.process = subprocess.Popen([harness.build_file("tests", "bench", "decision_tool"), SCENARIOS, "slm.cache_ttl=0s",
                                         "slm.timeout=10m", *settings], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise RuntimeError("decision_tool ended at \"%s\"" % line)
        return answer

    def seconds(self, line):
        return float(self.ask(line)) / 1000

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def schema(actions):
    parameters = {"type": "object", "properties": {"replicas": {"type": "integer", "minimum": 0, "maximum": 100},
                                                   "memory_limit": {"type": "string", "maxLength": 8}}, "additionalProperties": False}
    return {"type": "object", "required": ["action", "parameters", "confidence"], "additionalProperties": False,
            "properties": {"action": {"enum": actions}, "parameters": parameters,
                           "confidence": {"type": "number", "minimum": 0, "maximum": 1}}}


def framework(server):
    """Rules of the predecessor's length, from our own runbooks: how the words read does not matter to the clock."""
    text = ""
    for name in sorted(os.listdir(RUNBOOKS)) * 4:
        with open(os.path.join(RUNBOOKS, name), encoding="utf-8") as file:
            text += file.read() + "\n"
        tokens = server.post("/tokenize", {"content": text})["tokens"]
        if len(tokens) >= FRAMEWORK_TOKENS - 300:
            return server.post("/detokenize", {"tokens": tokens[:FRAMEWORK_TOKENS - 300]})["content"]
    raise RuntimeError("too few runbooks to make %d tokens of" % FRAMEWORK_TOKENS)


class Peer:
    def __init__(self, server, rules, actions):
        self.server, self.rules, self.schema = server, rules, schema(actions)

    def ask(self, messages, connection=None):
        body = {"messages": messages, "temperature": 0, "max_tokens": 120, "cache_prompt": True,
                "response_format": {"type": "json_schema", "json_schema": {"name": "decision", "strict": True, "schema": self.schema}}}
        began = time.monotonic()
        answer = (connection or self.server).post("/v1/chat/completions", body)
        took = time.monotonic() - began
        if "action" not in json.loads(answer["choices"][0]["message"]["content"]):
            raise RuntimeError("llama-server gave no action: %r" % answer)
        return took

    def as_before(self, prompt, connection=None):
        text = "You are a Kubernetes operator's assistant. Analyse this alert:\n%s\n\n%s\nAnswer with one JSON object." % (
            prompt["user"], self.rules)
        return self.ask([{"role": "user", "content": text}], connection)

    def as_ours(self, prompt):
        return self.ask([{"role": "system", "content": prompt["system"]}, {"role": "user", "content": prompt["user"]}])


def by_turns(ours, peers, count):
    """One alert after another, each by everybody, who begins in turn."""
    first = lambda i: ours.seconds("one %d" % i)
    takes = [first] + peers
    times = [[] for _ in takes]
    for i in range(count):
        for at in range(len(takes)):
            which = (i + at) % len(takes)
            times[which].append(takes[which](i))
        print("\r%d of %d alerts" % (i + 1, count), end="\n" if i + 1 == count else "", file=sys.stderr, flush=True)
    return times


def one_by_one(run, ours, prompts, actions, model):
    with peer.Server(model, "-c", "4096") as server:
        them = Peer(server, framework(server), actions)
        for prompt in prompts[:2]:
            them.as_before(prompt)
        ours.seconds("one 0")
        mine, before = by_turns(ours, [lambda i: them.as_before(prompts[i])], len(prompts))
    with peer.Server(model, "-c", "4096") as server:       # of its own, so that (a) does not push (b)'s prefix out of its cache
        them = Peer(server, "", actions)
        them.as_ours(prompts[0])
        again, same = by_turns(ours, [lambda i: them.as_ours(prompts[i])], len(prompts))
    mine_all = mine + again
    run.compare("alert to action and parameters, beside (a)", "s", mine, before, 15, "<= 0.5 s", harness.median(mine_all) <= 0.5,
                less_is_better=True)
    run.compare("alert to action and parameters, beside (b)", "s", again, same, 3, less_is_better=True)


def together(run, ours, prompts, actions, model, many):
    rounds = 3
    alone, batch = harness.pairs(rounds, lambda: sum(ours.seconds("one %d" % i) for i in range(many)) / many,
                                 lambda: ours.seconds("batch 0 %d" % many) / many)
    run.compare("%d alerts in one batch, each; beside one by one" % many, "s", batch, alone, 2, less_is_better=True)
    with peer.Server(model, "-np", "8", "-c", str(8 * 4096)) as server:
        rules = framework(server)

        def ask(prompt):
            connection = peer.Connection(server.port)
            return Peer(server, rules, actions).as_before(prompt, connection)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            began = time.monotonic()
            list(pool.map(ask, prompts))
            theirs = (time.monotonic() - began) / len(prompts)
    run.compare("the same beside (a) with 8 slots, each", "s", batch, [theirs] * len(batch), 10, less_is_better=True)


def from_start(run):
    program = harness.build_file("prometheus-alerts-slm")
    alert = os.path.join(harness.TOP, "examples", "alert.json")
    times = []
    for _ in range(10):
        began = time.monotonic()
        subprocess.run([program, "analyze", alert, "-o", "json"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - began)
    times = times[1:]                                      # the first fills the caches
    run.figure("process start to first decision", "s", times, "<= 0.5", harness.median(times) <= 0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=20)
    parser.add_argument("--together", type=int, default=200)
    options = parser.parse_args()
    why = peer.available() or peer.why_no_model()
    if why:
        sys.exit("bench-decision: " + why)
    model, run = peer.real_model(), harness.Run("decision")
    listed = subprocess.run([harness.build_file("prometheus-alerts-slm"), "actions", "list", "-o", "json"], check=True,
                            capture_output=True, text=True).stdout
    actions = [action["name"] for action in json.loads(listed)["actions"]]
    ours = Ours("slm.model=" + model)
    prompts = [json.loads(ours.ask("prompt %d" % i)) for i in range(options.alerts)]
    from_start(run)
    one_by_one(run, ours, prompts, actions, model)
    together(run, ours, prompts, actions, model, min(options.together, int(ours.ask("count"))))
    ours.close()
    sys.exit(run.finish())


if __name__ == "__main__":
    main()
