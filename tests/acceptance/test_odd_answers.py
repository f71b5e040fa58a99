"""Subscribers that break HTTP's grammar and took the event: over real HTTP each event is sent once, on both stores."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import every, logged_url, request, running, until
from tests.postgres_server import drop_database, fresh_database
from tests.world import envelope, incoming

import tellwire_sdk

ADMIN = "an-invented-admin-key-for-these-tests"
SECRET = "an-app-secret-for-tests"
ODD = {
    "line-feeds": b"HTTP/1.1 200 OK\nContent-Length: 4\n\ndone",
    "one-line-feed": b"HTTP/1.1 200 OK\r\nX-Server: mine\nContent-Length: 4\r\n\r\ndone",
    "folded": b"HTTP/1.1 200 OK\r\nX-Policy: one;\r\n  two\r\nContent-Length: 4\r\n\r\ndone",
    "space-before-colon": b"HTTP/1.1 200 OK\r\nX-Server : mine\r\nContent-Length: 4\r\n\r\ndone",
    "length-twice": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\ndone",
    "space-after-size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4 \r\ndone\r\n0\r\n\r\n",
    "two-framings": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n4\r\ndone\r\n0\r\n\r\n",
    "identity": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 4\r\n\r\ndone",
    "many-headers": b"HTTP/1.1 200 OK\r\n" + b"X-Many: y\r\n" * 300 + b"Content-Length: 4\r\n\r\ndone",
    "odd-name": b"HTTP/1.1 200 OK\r\nX(Odd) Name: y\r\nContent-Length: 4\r\n\r\ndone",
    "lengths-that-differ": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\ndone",
    "two-answers": b"HTTP/1.1 200 OK\nContent-Length: 4\n\ndoneHTTP/1.1 500 Evil\r\nContent-Length: 0\r\n\r\n",
}


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of a fresh database of each kind."""
    if request.param == "sqlite":
        yield {}
        return
    url = fresh_database(migrated=False)
    yield {"DATABASE_URL": url, "MASTER_KEY": base64.b64encode(bytes(32)).decode()}
    drop_database(url)


@contextmanager
def subscriber() -> Iterator[tuple[str, Counter[str]]]:
    """A server that answers each path of `ODD` with those bytes, holds its connections open, and counts by path."""
    asked: Counter[str] = Counter()

    class Handler(socketserver.StreamRequestHandler):
        def _line(self) -> bytes:
            try:
                return self.rfile.readline()
            except OSError:  # the client dropped the connection
                return b""

        def handle(self) -> None:
            while line := self._line():
                name = line.split()[1].decode().strip("/")
                length = 0
                while (header := self.rfile.readline()) not in (b"\r\n", b""):
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.partition(b":")[2])
                self.rfile.read(length)
                asked[name] += 1
                self.wfile.write(ODD[name])

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            serving.join()


def test_an_event_that_was_taken_is_sent_once_whatever_the_grammar_of_the_answer(
    tmp_path: Path, store: dict[str, str]
) -> None:
    ours = {
        "ADMIN_KEY": ADMIN,
        "META_APP_SECRET": SECRET,
        "AUTO_ACCOUNTS": "true",
        "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
        "SHOW_ALLOW_LISTED_ANSWERS": "true",
    }
    with subscriber() as (target, asked), running("serve", "--migrate", cwd=tmp_path, **(ours | store)) as server:
        url = server.wait_for(logged_url, stream="err")
        names: dict[str, str] = {}
        for name in ODD:
            draft = {"url": f"{target}/{name}", "format": "row", "events": ["messages.insert"]}
            status, made = request(f"{url}/v1/webhook-endpoints", key=ADMIN, method="POST", body=draft)
            assert status == 201, made
            names[made["id"]] = name
        for number in (1, 2):
            raw = json.dumps(envelope(incoming(f"wamid.odd.{number}"))).encode()
            signed = {"X-Hub-Signature-256": tellwire_sdk.hub_signature(raw, SECRET)}
            assert request(f"{url}/meta/webhook", method="POST", body=raw, headers=signed)[0] == 200
            deliveries = until(lambda n=number: _tried(url, n), what="an attempt of each")  # type: ignore[misc]
            assert {names[each["endpoint_id"]]: each["state"] for each in deliveries} == dict.fromkeys(ODD, "delivered")
            assert asked == dict.fromkeys(ODD, number)
        for each in deliveries:
            _, found = request(f"{url}/v1/deliveries/{each['id']}/attempts", key=ADMIN)
            attempts = found["data"]
            assert [(tried["response_status"], tried["cause"]) for tried in attempts] == [(200, "")]
            assert attempts[0]["response_body"] == "done"


def _tried(url: str, number: int) -> list[dict[str, Any]] | None:
    """All deliveries, once there are `number` of each endpoint and each has an attempt."""
    found = every(url, "deliveries", key=ADMIN)
    return found if len(found) == number * len(ODD) and all(each["attempt_count"] for each in found) else None
