"""llama.cpp beside us: its server started, asked and stopped; tests/bench/peer-llama.sh sets it up."""
import http.client
import json
import os
import socket
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(TOP, "tests", "bench", "peer-llama.sh")


def real_model():
    """The 135M model, where `make model` puts it."""
    return subprocess.run([os.path.join(TOP, "tools", "fetch-model"), "--path", "smollm2-135m"], check=True,
                          capture_output=True, text=True).stdout.strip()


def why_no_model():
    """None if the model is there, or could be fetched now."""
    if not os.path.exists(real_model()):
        subprocess.run([os.path.join(TOP, "tools", "fetch-model"), "smollm2-135m"], check=False)
    return None if os.path.exists(real_model()) else "the 135M model is not there: make model"


def available():
    """Set the peer up; None where that works, else why not (no Debian archive in reach)."""
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no reason given"])[-1]


def run(program, *args, **options):
    return subprocess.run([SCRIPT, program, *args], check=True, **options)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Connection:
    """One connection to it, kept open; for each thread its own."""

    def __init__(self, port):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def is_up(self):
        try:
            self.http.request("GET", "/health")
            reply = self.http.getresponse()
            reply.read()
            return reply.status == 200
        except OSError:
            self.http.close()
            return False

    def post(self, path, body):
        for attempt in (1, 2):
            try:
                self.http.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                return json.loads(self.http.getresponse().read())
            except (http.client.HTTPException, OSError):
                if attempt == 2:
                    raise
                self.http.close()


class Server:
    """with Server(model) as server: server.post("/tokenize", {...})"""

    def __init__(self, model, *options):
        self.port = free_port()
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [SCRIPT, "llama-server", "-m", os.path.abspath(model), "-t", "2", "-c", "2048", "-np", "1", "--host",
             "127.0.0.1", "--port", str(self.port), "--no-webui", "--no-warmup", *options], stdout=self.log,
            stderr=subprocess.STDOUT)
        self.connection = Connection(self.port)

    def __enter__(self):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.connection.is_up():
                return self
            time.sleep(0.02)
        self.log.seek(0)
        text = self.log.read().decode(errors="replace")[-2000:]
        self.__exit__()
        raise RuntimeError("llama-server did not come up:\n" + text)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def post(self, path, body):
        return self.connection.post(path, body)
