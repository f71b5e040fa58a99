"""The sender against servers that break HTTP's grammar and yet say plainly that they took the request."""

from __future__ import annotations

import pytest
from tests.contract.listening import OK, answering, listening, on_both_loops, saying, sending

from tellwire.ports.http_out import Request

LINE = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"

FRAMED = {
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "one bare line feed": LINE + b"X-A: b\n" + LENGTH + b"\r\nok",
    "a bare line feed ends the head": LINE + LENGTH + b"\nok",
    "a folded header": LINE + b"X-Policy: a;\r\n b\r\n" + LENGTH + b"\r\nok",
    "a header folded by a tab": LINE + b"X-Policy: a;\r\n\tb\r\n" + LENGTH + b"\r\nok",
    "a space before the colon": LINE + b"X-A : b\r\n" + LENGTH + b"\r\nok",
    "a space before the colon of the length": LINE + b"Content-Length : 2\r\n\r\nok",
    "a space in a name": LINE + b"X A: b\r\n" + LENGTH + b"\r\nok",
    "a name with brackets": LINE + b"X[A]: b\r\n" + LENGTH + b"\r\nok",
    "a name beyond ASCII": LINE + "X-Größe: 1\r\n".encode() + LENGTH + b"\r\nok",
    "no name": LINE + b": b\r\n" + LENGTH + b"\r\nok",
    "a line without a colon": LINE + b"nonsense\r\n" + LENGTH + b"\r\nok",
    "a control character in a value": LINE + b"X: a\x01b\r\n" + LENGTH + b"\r\nok",
    "NUL in a value": LINE + b"X: a\x00b\r\n" + LENGTH + b"\r\nok",
    "the length twice": LINE + LENGTH * 2 + b"\r\nok",
    "the length twice in one header": LINE + b"Content-Length: 2, 2\r\n\r\nok",
    "spaces after a chunk's size": CHUNKED + b"2 \r\nok\r\n0\r\n\r\n",
    "chunks with bare line feeds": CHUNKED + b"2\nok\n0\n\n",
    "a chunk with an extension and a space": CHUNKED + b"2 ;a=b\r\nok\r\n0 \r\n\r\n",
    "chunked beside a length": LINE + b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "identity beside a length": LINE + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\nok",
    "chunked, told twice": LINE + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n2\r\nok\r\n0\r\n\r\n",
    "identity beside chunked": LINE + b"Transfer-Encoding: identity, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "129 headers": LINE + b"X: y\r\n" * 128 + LENGTH + b"\r\nok",
    "500 headers": LINE + LENGTH + b"X: y\r\n" * 500 + b"\r\nok",
    "a reason with control characters": b"HTTP/1.1 200 O\x01K\r\n" + LENGTH + b"\r\nok",
    "no reason and no space": b"HTTP/1.1 200\r\n" + LENGTH + b"\r\nok",
    "two spaces before the status": b"HTTP/1.1  200 OK\r\n" + LENGTH + b"\r\nok",
    "a version that nobody has": b"HTTP/1.7 200 OK\r\n" + LENGTH + b"\r\nok",
    "an early hint with bare line feeds": b"HTTP/1.1 103 Hint\nX: y\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "an early hint before bare line feeds": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "empty lines before bare line feeds": b"\r\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok",
}

KEPT = {
    "129 headers",
    "500 headers",
    "no reason and no space",
    "a reason with control characters",
    "chunked, told twice",
    "identity beside chunked",
}
"""What the strict parser reads by itself: where these end is in no doubt."""


@pytest.mark.parametrize("name", FRAMED)
@on_both_loops
async def test_a_readable_answer_is_taken_whole_and_an_odd_connection_is_not_kept(name):
    async with listening(answering(FRAMED[name])) as server, sending() as sender:
        for number in (1, 2):
            came = await sender.send(Request(url=server.url))
            assert (came.status, came.failure, came.cause, came.ok) == (200, "", "", True)
            assert (came.body, came.truncated) == (b"ok", False)
            assert server.connections == (1 if name in KEPT else number)
        if name not in KEPT:
            await server.departed(2)


@pytest.mark.parametrize("name", FRAMED)
@on_both_loops
async def test_what_follows_such_an_answer_is_never_the_next_answer(name):
    evil = b"HTTP/1.1 500 Evil\r\nContent-Length: 0\r\n\r\n"
    async with listening(answering(FRAMED[name] + evil)) as server, sending() as sender:
        for number in (1, 2):
            came = await sender.send(Request(url=server.url))
            assert (came.status, came.body) == (200, b"ok")
            assert server.connections == number


@on_both_loops
async def test_headers_are_read_as_they_were_meant():
    raw = b"HTTP/1.1 503 Busy\nRetry-After : 7\nX-Policy: a;\n b\n\tc\nnonsense\nContent-Length: 0\n\n"
    async with listening(answering(raw)) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
    assert (came.status, came.failure, came.cause) == (503, "", "your server answered 503")
    assert came.headers == (("retry-after", "7"), ("x-policy", "a; b c"), ("content-length", "0"))


UNFRAMED = {
    "two lengths": LINE + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "two lengths in one header": LINE + b"Content-Length: 2, 3\r\n\r\nok",
    "a negative length": LINE + b"Content-Length: -1\r\n\r\nok",
    "a length in powers": LINE + b"Content-Length: 1e3\r\n\r\nok",
    "an empty length": LINE + b"Content-Length:\r\n\r\nok",
    "a chunk of no size": CHUNKED + b"2\r\nok\r\nzz\r\n",
    "a chunk of a negative size": CHUNKED + b"2\r\nok\r\n-1\r\nx\r\n",
    "a chunk that is too large to be": CHUNKED + b"2\r\nok\r\nffffffffffffffffffff\r\n",
    "a chunk that is longer than it says": CHUNKED + b"2\r\nokxyz\r\n",
}


@pytest.mark.parametrize("name", UNFRAMED)
@on_both_loops
async def test_what_cannot_be_framed_is_decided_at_once_by_its_status(name):
    async with listening(answering(UNFRAMED[name])) as server, sending() as sender:
        for number in (1, 2):
            came = await sender.send(Request(url=server.url))  # the server holds the connection open
            assert (came.status, came.failure, came.cause, came.ok) == (200, "", "", True)
            assert (came.body, came.truncated) == (b"ok", True)
            assert server.connections == number
        await server.departed(2)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 204 No Content",
        LINE,
        LINE + b"Content-Len",
        LINE + LENGTH,
        LINE + LENGTH + b"\r\n",
        LINE + LENGTH + b"\r\no",
        CHUNKED,
        CHUNKED + b"2\r\no",
        CHUNKED + b"2\r\nok\r\n",
        b"HTTP/1.1 201 Created\n\nok",
    ],
)
@pytest.mark.parametrize("how", ["closed", "reset"])
@on_both_loops
async def test_a_status_counts_however_soon_the_connection_ends(raw, how):
    async def script(peer):
        await peer.request()
        await peer.say(raw)
        if how == "reset":
            peer.reset()

    async with listening(script) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
        assert (came.ok, came.failure, came.cause) == (True, "", "")
        assert server.connections == 1


@pytest.mark.parametrize("status", [b"400 Bad", b"410 Gone", b"429 Slow", b"500 Error", b"503 Busy", b"302 Found"])
@on_both_loops
async def test_another_status_counts_as_well(status):
    raw = b"HTTP/1.1 " + status + b"\nRetry-After: 3\n\n"
    async with listening(saying(raw)) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
    assert (came.status, came.failure, came.ok) == (int(status[:3]), "", False)
    assert ("retry-after", "3") in came.headers


@on_both_loops
async def test_a_kept_connection_that_turns_odd_is_dropped():
    async with listening(answering(OK, FRAMED["bare line feeds"])) as server, sending() as sender:
        for connections in (1, 1, 2):
            assert (await sender.send(Request(url=server.url))).body == b"ok"
            assert server.connections == connections
