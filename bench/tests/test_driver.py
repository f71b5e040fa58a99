"""The driver process against small systems of our own, over real sockets: it must see what they do wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bench.errors import BenchError
from bench.load_process import LoadProcess, driver
from bench.protocol import Aim, PhaseResult, Prepare
from bench.webhooks import number_in

KEY = b"k" * 32
SECRET = "whsec_" + base64.b64encode(KEY).decode()
APP_SECRET = "app"
PLAN = Prepare(messages=60, contacts=10, connections=4, pad=50, limit_seconds=20)


class Relay(BaseHTTPRequestHandler):
    """Delivers what it gets before it answers 200: a system with one fault, or none."""

    protocol_version = "HTTP/1.1"
    sink_port = 0
    fault = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        wanted = "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
        if self.headers["x-hub-signature-256"] != wanted:
            self._answer(401)
            return
        number = number_in(body)
        odd = number == 50
        if odd and self.fault == "refuse":
            self._answer(503)
            return
        if not (odd and self.fault == "lose"):
            self._deliver(body, key=b"wrong" if odd and self.fault == "missign" else KEY)
        if odd and self.fault == "repeat":
            self._deliver(body, key=KEY)
        self._answer(200)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        pass

    def _deliver(self, body: bytes, *, key: bytes) -> None:
        signature = base64.b64encode(hmac.new(key, b"id.1." + body, hashlib.sha256).digest()).decode()
        headers = {"webhook-id": "id", "webhook-timestamp": "1", "webhook-signature": f"v1,{signature}"}
        connection = http.client.HTTPConnection("127.0.0.1", self.sink_port, timeout=10)
        connection.request("POST", "/hook", body, headers)
        connection.getresponse().read()
        connection.close()

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()


@contextmanager
def _relay(load: LoadProcess, fault: str = "") -> Iterator[None]:
    sink_port = int(load.sink.rsplit(":", 1)[1].split("/")[0])
    handler = type("OneRelay", (Relay,), {"sink_port": sink_port, "fault": fault})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        load.aim(Aim(ports=(server.server_port,), path="/w", app_secret=APP_SECRET, signing_secret=SECRET))
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _run(folder: Path, fault: str = "", plan: Prepare = PLAN) -> PhaseResult:
    with driver(folder) as load, _relay(load, fault):
        load.prepare(plan)
        return load.go()


def test_a_closed_loop_and_then_an_open_one(tmp_path: Path) -> None:
    with driver(tmp_path) as load, _relay(load):
        load.prepare(PLAN)
        closed = load.go()
        load.prepare(Prepare(messages=40, contacts=10, connections=4, pad=50, limit_seconds=20, rate=200))
        opened = load.go()
    for result, count in ((closed, 60), (opened, 40)):
        assert result.whole
        assert (result.accepted, result.delivered, result.duplicates, result.foreign) == (count, count, 0, 0)
        assert result.signatures_checked == (2 if result is closed else 0)
        assert 0 < result.end_to_end.p50 <= result.end_to_end.p99
    assert opened.seconds + opened.late.max / 1000 >= 39 / 200, "from the first, which may be late, to the last"


def test_a_loss_shows_when_the_limit_is_over(tmp_path: Path) -> None:
    plan = Prepare(messages=60, contacts=10, connections=4, pad=50, limit_seconds=3)
    result = _run(tmp_path, "lose", plan)
    assert (result.lost, result.delivered, result.accepted) == (1, 59, 60)
    assert "not done" in result.trouble[0]


@pytest.mark.parametrize(
    ("fault", "field"), [("refuse", "refused"), ("missign", "signatures_bad"), ("repeat", "duplicates")]
)
def test_each_fault_shows(tmp_path: Path, fault: str, field: str) -> None:
    assert getattr(_run(tmp_path, fault), field) == 1


def test_a_system_that_is_not_there(tmp_path: Path) -> None:
    with driver(tmp_path) as load:
        load.aim(Aim(ports=(1,), path="/w", app_secret="a", signing_secret=SECRET))
        with pytest.raises(BenchError, match="cannot connect"):
            load.prepare(PLAN)
