"""What a sender hands out of the answers of allow-listed addresses, whatever the other side does."""

from __future__ import annotations

import pytest
from tests.contract.authority import DAY, NOW, Authority
from tests.contract.listening import OK, answering, listening, on_both_loops, saying, sending
from tests.contract.test_sender_guard import resolving

from tellwire.ports.http_out import Answer, Request

SECRET = b"planted"
HEAD = b"X-Secret: " + SECRET + b"\r\nContent-Length: %d\r\n\r\n"
WHOLE = b"HTTP/1.1 %d Said\r\n" + HEAD + SECRET


def seen(came: Answer) -> tuple[int, str, str, tuple[tuple[str, str], ...], bytes, bool]:
    return came.status, came.failure, came.cause, came.headers, came.body, came.truncated


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (200, ""),
        (302, "redirects are not followed"),
        (401, "your server answered 401"),
        (500, "your server answered 500"),
    ],
)
@on_both_loops
async def test_of_a_whole_answer_its_status_is_left(status, cause):
    async with listening(answering(WHOLE % (status, len(SECRET)))) as server, sending(shows_answers=False) as sender:
        for _ in range(2):  # on a fresh connection, and on the same once more
            came = await sender.send(Request(url=server.url))
            assert seen(came) == (status, "", cause, (), b"", False)
            assert came.actual.body == SECRET
            assert ("x-secret", "planted") in came.actual.headers
        assert server.connections == 1


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (SECRET + b"\r\n\r\n", "your server's answer is not valid HTTP: "),
        (b"HTTP/1.1 101 Switching Protocols\r\nX-Secret: planted\r\n\r\n", "your server's answer is not an HTTP/1.1 "),
        (b"HTTP/1.1 100 Continue\r\nX-Secret: planted\r\n\r\n" * 2000, "your server's answer has too many or too "),
        (b"", "your server closed the connection before answering"),
    ],
)
@on_both_loops
async def test_a_failure_is_told_in_our_own_words(said, cause):
    async with listening(saying(said)) as server, sending(shows_answers=False) as sender:
        came = await sender.send(Request(url=server.url))
        assert (came.status, came.headers, came.body, came.truncated) == (0, (), b"", False)
        assert came.cause.startswith(cause)
        assert "planted" not in came.cause


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 planted\r\nX-Secret: " + SECRET * 9999 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nplanted: \x00planted\r\n\r\n",
        b"HTTP/1.1 200 OK\nplanted planted\n\nplanted",
        b"HTTP/1.1 200 OK\r\n" + HEAD % 99 + SECRET,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nplanted\r\n",
    ],
)
@on_both_loops
async def test_of_an_odd_answer_its_status_is_left(said):
    async with listening(saying(said)) as server, sending(shows_answers=False) as sender:
        came = await sender.send(Request(url=server.url))
    assert seen(came) == (200, "", "", (), b"", False)


@on_both_loops
async def test_a_certificate_inside_is_not_described(tmp_path):
    authority = Authority(tmp_path)
    resolve, _ = resolving(["127.0.0.1"])
    expired = authority.server("hooks.example", since=NOW - 9 * DAY, until=NOW - DAY)
    async with listening(answering(OK), tls=expired) as server:
        for shows_answers, cause in (
            (False, "certificate expired"),
            (True, f"certificate expired on {NOW - DAY:%Y-%m-%d}"),
        ):
            async with sending(shows_answers=shows_answers, resolver=resolve, tls=authority.client) as sender:
                came = await sender.send(Request(url=f"https://hooks.example:{server.port}/"))
                assert (came.failure, came.cause) == ("tls", cause)


@on_both_loops
async def test_what_never_left_hides_nothing():
    resolve, _ = resolving([])
    async with sending(shows_answers=False, resolver=resolve) as sender:
        came = await sender.send(Request(url="https://nowhere.example/"))
        assert (came.failure, came.cause, came.hidden) == ("dns", "could not resolve the host name", None)
        came = await sender.send(Request(url="https://10.0.0.1/"))
        assert (came.failure, came.hidden) == ("forbidden", None)
