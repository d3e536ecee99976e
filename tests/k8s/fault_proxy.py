#!/usr/bin/env python3
"""A proxy of the tests' own in front of the real API server, which breaks what it is told to break.

    fault_proxy.py --upstream KUBECONFIG --kubeconfig OUT [--port N]

Writes a kubeconfig that leads through it (plain HTTP on loopback; the proxy has the upstream's credentials), prints
`ready PORT` and serves until its standard input closes, so that it ends with the test that started it. What to break is
told by  POST /__fault  with a JSON list of rules, replacing the ones before; GET /__fault gives them with their counts.

    {"fault": "409", "method": "PATCH", "path": "^/apis/apps/v1/.*/scale$", "times": 1, "after": 0, "dry_run": false}

method and path (a regular expression, without the query) choose requests, absent: all; times: how often (absent: always);
after: let so many pass first; dry_run: only requests with (true) or without (false) dryRun=All in query or body.

    409 403 404 500 503 429     that Status, nothing forwarded; 429 and 503 with "Retry-After: 1" ("retry_after" changes it)
    reset-before  reset-after   the connection is reset before the request is forwarded; after the server has answered
    hang-before   hang-after    no answer for "seconds" (30); before or after it is forwarded
    slow                        forwarded, the answer's body dribbles over "seconds" (3)
    invalid-json  half          forwarded, the answer is not JSON; is cut in the middle, with its full Content-Length
    watch-410                   a watch: an ERROR event with code 410; other requests pass
    exec-cut                    an exec: cut after the command's first output; reset-after and hang-after cut it before the
                                upgrade's answer is passed on
"""
import argparse
import base64
import http.client
import json
import os
import re
import select
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

REASONS = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 429: "TooManyRequests", 500: "InternalError",
           503: "ServiceUnavailable"}


class Upstream:
    """Where the real one is, and with which certificate it is asked."""

    def __init__(self, path):
        text = open(path).read()
        value = lambda key: (re.search(r"(?:^|[{,\s])%s:\s*\"?([^\s\",}]+)" % key, text, re.M) or [None, None])[1]
        url = urlsplit(value("server"))
        self.host, self.port = url.hostname, url.port
        self.folder = os.path.dirname(os.path.abspath(path))
        self.context = ssl.create_default_context(cafile=self.file(value, "certificate-authority"))
        self.context.load_cert_chain(self.file(value, "client-certificate"), self.file(value, "client-key"))

    def file(self, value, key):
        if value(key):
            return os.path.join(self.folder, value(key))
        with tempfile.NamedTemporaryFile(delete=False) as out:
            out.write(base64.b64decode(value(key + "-data")))
        return out.name

    def connect(self):
        return http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=400)

    def socket(self):
        return self.context.wrap_socket(socket.create_connection((self.host, self.port)), server_hostname=self.host)


class Rules:
    def __init__(self):
        self.lock, self.rules = threading.Lock(), []

    def replace(self, rules):
        with self.lock:
            self.rules = [dict(rule, seen=0, done=0) for rule in rules]

    def choose(self, method, path, is_dry):
        with self.lock:
            for rule in self.rules:
                if rule.get("method", method) != method or not re.search(rule.get("path", ""), path):
                    continue
                if "dry_run" in rule and rule["dry_run"] != is_dry:
                    continue
                rule["seen"] += 1
                if rule["seen"] <= rule.get("after", 0) or rule["done"] >= rule.get("times", 1 << 60):
                    continue
                rule["done"] += 1
                return rule
        return None


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def reset(self):
        """RST instead of FIN, as a machine does that has lost the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def answer(self, status, body, headers=(), kind="application/json"):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, rule):
        status_object = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": REASONS[status], "code": status,
                         "message": "fault %d of the test's proxy" % status, "metadata": {}, "details": {}}
        retry = [("Retry-After", str(rule.get("retry_after", 1)))] if status in (429, 503) else []
        if rule.get("retry_after", 1) is None:
            retry = []
        self.answer(status, json.dumps(status_object).encode(), retry)

    def control(self, body):
        rules = self.server.rules
        if self.command == "POST":
            rules.replace(json.loads(body))
        with rules.lock:
            self.answer(200, json.dumps(rules.rules).encode())

    def upstream_headers(self):
        drop = ("host", "connection", "content-length", "transfer-encoding", "authorization", "accept-encoding")
        return {name: value for name, value in self.headers.items() if name.lower() not in drop}

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/__fault":
            return self.control(body)
        path = urlsplit(self.path).path
        is_dry = "dryRun=All" in self.path or b'"dryRun":["All"]' in body
        rule = self.server.rules.choose(self.command, path, is_dry)
        if self.headers.get("Upgrade"):
            return self.tunnel(rule)
        fault = rule["fault"] if rule else ""
        if fault.isdigit():
            return self.refuse(int(fault), rule)
        if fault == "reset-before":
            return self.reset()
        if fault == "hang-before":
            time.sleep(rule.get("seconds", 30))
            return self.reset()
        if fault == "watch-410" and "watch=1" in self.path:
            event = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
            return self.answer(200, json.dumps(event).encode() + b"\n")
        self.forward(body, fault, rule)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def forward(self, body, fault, rule):
        upstream = self.server.upstream.connect()
        try:
            upstream.request(self.command, self.path, body or None, self.upstream_headers())
            answer = upstream.getresponse()
            if not fault and "watch=1" in self.path:
                return self.stream(answer)
            self.finish_answer(answer, answer.read(), fault, rule)
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            self.close_connection = True
        finally:
            upstream.close()

    def finish_answer(self, answer, data, fault, rule):
        if fault == "reset-after":
            return self.reset()
        if fault == "hang-after":
            time.sleep(rule.get("seconds", 30))
            return self.reset()
        headers = [(n, v) for n, v in answer.getheaders()
                   if n.lower() not in ("content-length", "transfer-encoding", "connection", "content-type")]
        kind = answer.getheader("Content-Type") or "application/json"
        if fault == "invalid-json":
            return self.answer(answer.status, b'{"kind": "Nonsense", ' + data[:20] + b"\xff}", headers, kind)
        if fault in ("slow", "half"):
            return self.dribble(answer.status, data, headers, kind, fault, rule)
        self.answer(answer.status, data, headers, kind)

    def dribble(self, status, data, headers, kind, fault, rule):
        self.send_response(status)
        for name, value in headers + [("Content-Type", kind), ("Content-Length", str(len(data)))]:
            self.send_header(name, value)
        self.end_headers()
        if fault == "half":
            self.wfile.write(data[:len(data) // 2])
            return self.reset()
        step = max(len(data) // 10, 1)
        for at in range(0, len(data), step):
            self.wfile.write(data[at:at + step])
            self.wfile.flush()
            time.sleep(rule.get("seconds", 3) / 10)

    def stream(self, answer):
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            piece = answer.read1(65536)
            try:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            except OSError:
                return
            if not piece:
                return

    def tunnel(self, rule):
        """An upgrade (exec): the two ends are joined; with exec-cut until the first bytes after the upgrade's answer."""
        fault = rule["fault"] if rule else ""
        if fault.isdigit():
            return self.refuse(int(fault), rule)
        if fault == "reset-before":
            return self.reset()
        if fault == "invalid-json":
            return self.answer(200, b'{"kind": "Nonsense", \xff}')
        if fault in ("hang-before", "slow"):
            time.sleep(rule.get("seconds", 3))
            if fault == "hang-before":
                return self.reset()
        upstream = self.server.upstream.socket()
        lines = ["%s %s HTTP/1.1" % (self.command, self.path), "Host: %s" % self.server.upstream.host]
        lines += ["%s: %s" % pair for pair in self.headers.items() if pair[0].lower() not in ("host", "authorization")]
        upstream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answered = 0
        self.close_connection = True
        ends = {self.connection: upstream, upstream: self.connection}
        while True:
            ready = [upstream] if upstream.pending() else select.select(list(ends), [], [], 400)[0]
            for end in ready:
                data = end.recv(65536)
                answered += end is upstream
                if end is upstream and fault in ("reset-after", "hang-after"):
                    time.sleep(rule.get("seconds", 3) if fault == "hang-after" else 0.2)  # the command has run by then
                    upstream.close()
                    return self.reset()
                if not data:
                    upstream.close()
                    return
                if fault == "exec-cut" and end is upstream and answered > 1:
                    upstream.close()
                    return self.reset()
                ends[end].sendall(data)
            if not ready:
                return


KUBECONFIG = """apiVersion: v1
kind: Config
current-context: faulty
clusters: [{name: faulty, cluster: {server: "http://127.0.0.1:%d"}}]
users: [{name: faulty, user: {}}]
contexts: [{name: faulty, context: {cluster: faulty, user: faulty}}]
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Proxy)
    server.daemon_threads = True
    server.upstream, server.rules = Upstream(options.upstream), Rules()
    with open(options.kubeconfig, "w") as out:
        out.write(KUBECONFIG % server.server_port)
    print("ready", server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()
