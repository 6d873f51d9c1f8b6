"""The processes a check runs: broker, webhook receiver and the service itself, in a folder of their own.

Everything is ended by the id of the process it was started with, and the folder goes when the check passes.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_" + "dmlnaWwtY2hlY2stc2VjcmV0LW9mLTMyLWJ5dGVzIQ=="


class CheckFailed(Exception):
    """What went wrong, in one line."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what):
    """Polls; the condition is about other processes, which tell nobody."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise CheckFailed(f"{what}: not after {seconds} s")
        time.sleep(0.01)


class Stage:
    """A folder with a broker, a receiver and a vigil; used as a context manager."""

    def __init__(self, name):
        self.name = name
        self.vigil = os.environ.get("VIGIL", str(ROOT / ".build/release/vigil"))
        if not os.access(self.vigil, os.X_OK):
            raise CheckFailed(f"{self.vigil} is not there: swift build --configuration release --product vigil")
        self.environment = dict(os.environ, SWIFT_BACKTRACE="enable=no", HOOK_SECRET=SECRET, LC_ALL="C.UTF-8")
        self.processes = []

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"vigil-{self.name}-"))
        return self

    def __exit__(self, kind, *_):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        if kind is None:
            shutil.rmtree(self.folder)
        else:
            print(f"logs and store stay in {self.folder}", file=sys.stderr)

    def start(self, arguments, log, **more):
        with open(self.folder / log, "ab") as file:
            process = subprocess.Popen(
                [str(argument) for argument in arguments], stdin=subprocess.DEVNULL,
                stdout=more.pop("stdout", file), stderr=file, env=self.environment, cwd=ROOT, **more)
        self.processes.append(process)
        return process

    def run(self, *arguments, check=True):
        """Runs vigil to its end; what it wrote to standard output."""
        done = subprocess.run(
            [self.vigil, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=self.environment, cwd=ROOT, timeout=120)
        if check and done.returncode != 0:
            said = done.stderr.decode().strip().splitlines()
            raise CheckFailed(f"vigil {arguments[0]}: exit status {done.returncode}: {said[-1] if said else ''}")
        return done.stdout

    # The broker

    def start_broker(self):
        self.broker_port = free_port()
        data = self.folder / "broker"
        data.mkdir()
        lines = [f"listener {self.broker_port} 127.0.0.1", f"persistence_location {data}/"]
        if os.geteuid() == 0:
            lines.append("user root")
        text = (ROOT / "Deploy/mosquitto.conf").read_text() + "\n" + "\n".join(lines) + "\n"
        (self.folder / "mosquitto.conf").write_text(text)
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        broker = self.start([program, "-c", self.folder / "mosquitto.conf"], "broker.log")

        def answers():
            if broker.poll() is not None:
                raise CheckFailed(f"mosquitto ended with status {broker.returncode}")
            try:
                socket.create_connection(("127.0.0.1", self.broker_port), timeout=1).close()
                return True
            except OSError:
                return False

        wait_until(answers, 10, "broker listens")
        return broker

    # The receiver

    def start_sink(self, fail_every=0, sleep_ms=0):
        self.webhooks = self.folder / "webhooks"
        self.webhooks.touch()
        port_file = self.folder / "sink.port"
        sink = self.start(
            [sys.executable, Path(__file__).parent / "webhook_sink.py", self.webhooks, port_file, fail_every, sleep_ms],
            "sink.log")
        wait_until(port_file.exists, 10, "receiver listens")
        self.sink_port = int(port_file.read_text())
        return sink

    # The service

    def configure(self, clock, identity="device", shards=1):
        self.http_port = free_port()
        self.store = self.folder / "store"
        self.configuration = self.folder / "vigil.yaml"
        self.configuration.write_text(f"""\
identity: {identity}
clock: {clock}
engine: {{ shards: {shards} }}
brokers:
  - {{ url: "mqtt://127.0.0.1:{self.broker_port}", client_id: vigil-check }}
rules: {{ path: "{ROOT}/Rules", set: adult-ward }}
store: {{ path: "{self.store}" }}
receivers:
  - {{ name: sink, url: "http://127.0.0.1:{self.sink_port}/hook", secret: env:HOOK_SECRET, payload: full, \
allow_private: true, agreement: check }}
http: {{ listen: "127.0.0.1:{self.http_port}" }}
""")

    def start_vigil(self):
        return self.start([self.vigil, "run", "-c", self.configuration], "vigil.log")

    def metrics(self):
        """Every sample of /metrics by its name with labels; nothing while the service does not answer."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=2)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
        except (OSError, http.client.HTTPException):
            return {}
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
        return {name: float(value) for name, value in rows}

    def is_ready(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=2)
            connection.request("GET", "/readyz")
            status = connection.getresponse().status
            connection.close()
            return status == 200
        except (OSError, http.client.HTTPException):
            return False

    def messages_taken_in(self):
        return self.metrics().get('vigil_ingest_messages_total{lane="broker-1"}', 0)

    def wait_ready(self, process, seconds=20):
        def ready():
            self.expect_alive(process)
            return self.is_ready()

        wait_until(ready, seconds, "vigil is ready")

    def expect_alive(self, process):
        if process.poll() is not None:
            raise CheckFailed(f"vigil ended by itself with status {process.returncode}: {self.last_log_line()}")

    def stop_vigil(self, process):
        process.terminate()
        try:
            status = process.wait(20)
        except subprocess.TimeoutExpired:
            raise CheckFailed("vigil did not stop within 20 s of SIGTERM") from None
        if status != 0:
            raise CheckFailed(f"vigil stopped with status {status}: {self.last_log_line()}")

    def last_log_line(self):
        lines = (self.folder / "vigil.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

    def log_lines(self):
        """Every line vigil logged that is a JSON object."""
        for line in (self.folder / "vigil.log").read_text(errors="replace").splitlines():
            if line.startswith("{"):
                try:
                    yield json.loads(line)
                except ValueError:
                    # The line a kill cut short.
                    continue


# What a receiver got


def received(path):
    """Webhooks as (id, status, body bytes), in order of arrival."""
    rows = []
    text = path.read_bytes()
    # The receiver may be writing its newest line.
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        name, status, body = line.split(b"\t", 2)
        rows.append((name.decode(), int(status), body))
    return rows


def document(body):
    """The alert document of a webhook body, byte for byte."""
    start = body.index(b'"data":') + len(b'"data":')
    return body[start:-1]


# Alerts of the service itself: about the machine it runs on, not about the recording.
OWN_RULES = {"monitoring-degraded", "delivery-failed", "receiver-parked", "device-unassigned"}


def is_digest(body):
    """Whether it is one webhook about many alerts that ended while they could not be delivered."""
    return b'"type":"alert.digest"' in body[:100]


def digested(path):
    """Newest sequence by alert id of what the receiver accepted as part of a digest."""
    found = {}
    for _, status, body in received(path):
        if status == 204 and is_digest(body):
            for alert in json.loads(document(body))["alerts"]:
                found[alert["alert_id"]] = max(alert["sequence"], found.get(alert["alert_id"], 0))
    return found


def alert_documents(path):
    """The set of alert documents a receiver accepted one by one, those about the service itself left out."""
    found = set()
    for _, status, body in received(path):
        if is_digest(body):
            continue
        data = document(body)
        if status == 204 and json.loads(data).get("rule", {}).get("id") not in OWN_RULES:
            found.add(data)
    return found


def alert_id(data):
    return re.search(rb'"alert_id":"([^"]+)"', data).group(1).decode()


def phase(data):
    return json.loads(data)["phase"]


def first_difference(expected, got):
    """One line about two sets of documents that should be equal."""
    missing, extra = sorted(expected - got), sorted(got - expected)
    text = f"{len(missing)} missing, {len(extra)} too many of {len(expected)}"
    for name, rows in (("missing", missing), ("too many", extra)):
        if rows:
            text += f"; first {name}: {rows[0].decode(errors='replace')[:400]}"
    return text


def main(check):
    """Runs a check; one line says why it failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        check()
    except CheckFailed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)
