"""Whatever a program on this machine answers, and whatever headers come, is an answer that the server takes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from tellwire.cli.forwarding import Forwarder
from tellwire.cli.listening import _answer_of
from tellwire.errors import BadSettings
from tellwire.web.api.endpoint_pull import PullAnswers, _receipts

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_ANSWERS = {
    "a redirect": b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx",
    "no chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n",
    "a long line": b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n",
    "no status": b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
    "a status above all": b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": b"\x1b[2J\r\n\r\n",
    "nothing": b"",
    "binary": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\0\x1b\xff\xfe",
    "much": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"\xff" * 100_000,
}


@contextmanager
def _program(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A program that answers one request."""
    got: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(5)
            got.append(connection.recv(65_536))
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        thread = threading.Thread(target=_quietly, args=(serve, listening))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/{'x' * 2100}", got
        thread.join()


def _quietly(serve: object, listening: socket.socket) -> None:
    try:
        serve(listening)  # type: ignore[operator]
    except OSError:
        return


@pytest.mark.parametrize("name", _ANSWERS)
def test_every_answer_is_one_that_the_server_takes(name: str) -> None:
    """One that it refuses would be handed out again, and sent on again, for ever."""
    with _program(_ANSWERS[name]) as (url, _):
        came = Forwarder(url, paths={}, headers=[], seconds=5).send("messages.insert", [], b"{}")
    row = {"delivery_id": "0199a7c2-4f10-7c3a-9d55-0a1b2c3d4e5f", "receipt": "1.0.1"}
    given = msgspec.json.encode({"answers": [_answer_of(row, came)]})
    assert _receipts(msgspec.json.decode(given, type=PullAnswers).answers)


@pytest.mark.parametrize("header", [("a\r\nX: y", "b"), ("a", "b\r\nX: y"), ("a", "…"), ("", "x")])
def test_a_header_that_would_begin_another_is_not_sent(header: tuple[str, str]) -> None:
    came = Forwarder("http://127.0.0.1:1/", paths={}, headers=[], seconds=1).send("e", [header], b"{}")
    assert came.failure in {"protocol", "refused"}
    assert not came.status


def test_headers_of_the_connection_are_ours() -> None:
    with _program(_OK) as (url, got):
        others = [("Content-Length", "5"), ("Transfer-Encoding", "chunked"), ("Host", "evil"), ("X-Kept", "yes")]
        assert Forwarder(url, paths={}, headers=[("Host", "my.test")], seconds=5).send("e", others, b"{}").ok
    head = got[0].lower()
    assert (head.count(b"content-length"), head.count(b"\r\nhost:"), head.count(b"transfer-")) == (1, 1, 0)
    assert b"x-kept: yes" in head
    assert b"host: my.test" in head
    with pytest.raises(BadSettings, match="of the connection"):
        Forwarder("http://127.0.0.1:1/", paths={}, headers=[("Content-Length", "1")], seconds=1)
