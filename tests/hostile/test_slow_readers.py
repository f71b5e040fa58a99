"""Clients that ask for much and read little or nothing, on a real loop and real sockets, with short deadlines."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.processes import until
from tests.hostile.hostile_world import rest_of, send
from tests.served import Served, served

from tellwire.web.bounds import Bounds

BOUNDS = Bounds(read_seconds=0.6, idle_seconds=0.6, linger_seconds=0.3, sweep_seconds=0.05)
ASKED = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n%b\r\n"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("slow"), bounds=BOUNDS) as running:
        running.get("/openapi.json")
        yield running


def connected(app: Served) -> socket.socket:
    sock = socket.socket()
    sock.settimeout(20)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", app.port))
    return sock


def closed(app: Served, reason: str) -> int:
    return app.world.store.counters.http_closed[reason]


def test_a_client_that_reads_nothing_is_closed(app: Served) -> None:
    before = closed(app, "slow_reader")
    with connected(app) as sock:
        sock.sendall(ASKED % b"" * 200)
        until(lambda: closed(app, "slow_reader") > before, what="its end")
    assert app.call("GET", "/livez").status == 200


def test_a_client_that_reads_nothing_of_a_last_answer_is_closed(app: Served) -> None:
    before = closed(app, "slow_reader")
    with connected(app) as sock:
        sock.sendall(ASKED % b"" * 60 + ASKED % b"Connection: close\r\n")
        until(lambda: closed(app, "slow_reader") > before, what="its end")


def test_a_client_that_reads_slowly_gets_everything(app: Served) -> None:
    with connected(app) as sock:
        sock.sendall(ASKED % b"Connection: close\r\n")
        whole = bytearray()
        while piece := sock.recv(8192):
            whole += piece
    head, _, body = bytes(whole).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head


def test_an_idle_connection_is_closed(app: Served) -> None:
    with connected(app) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert rest_of(sock).count(b"HTTP/1.1 200") == 1


def test_after_a_refusal_the_connection_ends_also_for_a_client_that_goes_on(app: Served) -> None:
    with connected(app) as sock:
        assert send(sock, [b"nonsense\r\n\r\n", *[b"x" * 65_536] * 1000]) < 30_000_000


def test_stopping_waits_for_nobody_who_is_silent(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        held = [connected(app) for _ in range(20)]
        held[0].sendall(b"GET /livez HT")
    for sock in held:
        sock.close()
