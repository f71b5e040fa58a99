"""Meta's POSTs as connections carry them (kept, closed, pipelined, in pieces, with `Expect`): the same answers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from tests.served import Served, served, sign
from tests.world import envelope, incoming

GOOD, BAD = b"HTTP/1.1 200 OK", b"HTTP/1.1 401 Unauthorized"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("connections")) as running:
        yield running


def post(wamid: str, *headers: str, secret: str | None = None) -> tuple[bytes, bytes]:
    """Head and body of a signed POST."""
    body = json.dumps(envelope(incoming(wamid))).encode()
    signature = sign(body, secret) if secret else sign(body)
    lines = ["POST /meta/webhook HTTP/1.1", "Host: here", f"Content-Length: {len(body)}"]
    lines += [f"X-Hub-Signature-256: sha256={signature}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), body


def answers(connection: socket.socket, count: int) -> list[tuple[bytes, bytes]]:
    """The next answers: status line and what follows it, head and body."""
    found = []
    stream = connection.makefile("rb")
    for _ in range(count):
        status = stream.readline().rstrip()
        head = b"".join(iter(stream.readline, b"\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        found.append((status, head + stream.read(length)))
    return found


def connected(app: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", app.port), timeout=20)


def test_a_connection_is_kept_also_after_a_refusal(app: Served) -> None:
    with connected(app) as connection:
        for number in range(3):
            connection.sendall(b"".join(post(f"wamid.kept{number}")))
            [(status, head)] = answers(connection, 1)
            assert status == GOOD
            assert b"content-length: 0\r\n" in head
            assert b"date: " in head
            connection.sendall(b"".join(post(f"wamid.kept{number}", secret="not-the-one")))
            assert answers(connection, 1)[0][0] == BAD


def test_a_connection_is_closed_where_the_client_wants_it(app: Served) -> None:
    with connected(app) as connection:
        connection.sendall(b"".join(post("wamid.closed", "Connection: close")))
        [(status, head)] = answers(connection, 1)
        assert (status, b"connection: close" in head) == (GOOD, True)
        assert connection.recv(1) == b""


def test_pipelined_posts_are_answered_in_order(app: Served) -> None:
    with connected(app) as connection:
        good, bad = b"".join(post("wamid.pipe")), b"".join(post("wamid.pipe", secret="not-the-one"))
        connection.sendall(good + bad + good)
        assert [status for status, _ in answers(connection, 3)] == [GOOD, BAD, GOOD]


def test_a_body_may_come_later_and_in_pieces(app: Served) -> None:
    head, body = post("wamid.pieces")
    with connected(app) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (head[:30], head[30:], body[:100], body[100:]):
            connection.sendall(piece)
        assert answers(connection, 1)[0][0] == GOOD
    assert app.query("SELECT count(*) FROM messages WHERE wamid = 'wamid.pieces'") == [(1,)]


def test_expect_is_answered_before_the_body_comes(app: Served) -> None:
    head, body = post("wamid.expect", "Expect: 100-continue")
    with connected(app) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert answers(connection, 1)[0][0] == GOOD


def test_a_client_that_leaves_before_the_answer_costs_nobody_else(app: Served) -> None:
    with connected(app) as connection:
        connection.sendall(b"".join(post("wamid.gone")))
    assert app.meta(envelope(incoming("wamid.after"))).status == 200
