"""What a connection may send: any bytes, however they are cut, get the same answer, and no more than the bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.web.connection_world import SMALL, Wired, deaf, pieces_of

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nAuthorization: z\r\n\r\n"
)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def outcome(*pieces: bytes, app: Any = None) -> Any:
    """What a connection comes to that gets these pieces."""

    async def work() -> Any:
        wired = Wired(app) if app else Wired()
        await wired.give(*pieces)
        return wired.outcome()

    return asyncio.run(work())


def seen(*pieces: bytes) -> list[Any]:
    """Each answer: what the app saw of the request, or the status and the kind of the problem."""
    answers, _, _ = outcome(*pieces)
    return [
        json.loads(body) if status == 200 else [status, json.loads(body)["type"].rpartition(":")[2]]
        for status, body in answers
    ]


# --- any bytes --------------------------------------------------------------------------------------------------------

LINES = st.sampled_from(
    [
        b"GET /a HTTP/1.1",
        b"POST /b HTTP/1.1",
        b"POST /b HTTP/1.0",
        b"GET /" + b"u" * 70 + b" HTTP/1.1",
        b"GET /",
        b"get / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"CONNECT h:1 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET //[x HTTP/1.1",
        b"GET http://x/y?z HTTP/1.1",
        b"Host: x",
        b"a:",
        b"a",
        b" folded",
        b"Content-Length: 5",
        b"Content-Length: 0",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: 5, 5",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding : chunked",
        b"Connection: close",
        b"Connection: upgrade",
        b"Upgrade: h2c",
        b"Expect: 100-continue",
        b"X: " + b"v" * 300,
        b"0",
        b"5",
        b"5;" + b"e" * 300,
        b"hello",
        b"",
        b"",
    ]
)
PARTS = st.one_of(
    st.sampled_from([GET, POST, CHUNKED]),
    st.builds(lambda line, end: line + end, LINES, st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"\r\n\r\n"])),
    st.binary(max_size=20),
)
BYTES = st.lists(PARTS, max_size=14).map(b"".join)


@given(BYTES, st.lists(st.integers(1, 600), max_size=8))
def test_it_does_not_matter_how_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    whole = outcome(data)
    assert outcome(*pieces_of(data, cuts)) == whole
    assert outcome(*pieces_of(data, range(len(data)))) == whole


@given(BYTES, st.lists(st.integers(1, 600), max_size=8))
def test_any_bytes_are_answered_or_waited_for(data: bytes, cuts: list[int]) -> None:
    async def work() -> None:
        wired = Wired(deaf)
        await wired.give(*pieces_of(data, cuts))
        wired.protocol.connection_lost(None)
        assert wired.counters.http_connections == 0
        assert all(status < 500 for status, _ in wired.answers())

    run(work())


# --- heads ------------------------------------------------------------------------------------------------------------


def head(size: int) -> bytes:
    """A request whose head has this many bytes."""
    start, end = b"GET /a HTTP/1.1\r\nX: ", b"\r\n\r\n"
    return start + b"v" * (size - len(start) - len(end)) + end


HEADS = [
    (head(SMALL.head), ["GET", "/a", ["x"], ""]),
    (head(SMALL.head + 1), [431, "head-too-large"]),
    (head(SMALL.head * 10), [431, "head-too-large"]),
    (b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * SMALL.fields + b"\r\n", ["GET", "/", ["a"] * SMALL.fields, ""]),
    (b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * (SMALL.fields + 1) + b"\r\n", [431, "too-many-fields"]),
    (b"GET /" + b"u" * (SMALL.url - 1) + b" HTTP/1.1\r\n\r\n", ["GET", "/" + "u" * (SMALL.url - 1), [], ""]),
    (b"GET /" + b"u" * SMALL.url + b" HTTP/1.1\r\n\r\n", [414, "url-too-long"]),
    (b"GET /" + b"u" * SMALL.head, [414, "url-too-long"]),
    (b"\r\n\r\nGET /a HTTP/1.1\r\n\r\n", ["GET", "/a", [], ""]),
]


@pytest.mark.parametrize(("request_", "expected"), HEADS, ids=range(len(HEADS)))
def test_heads_are_bounded(request_: bytes, expected: list[Any]) -> None:
    assert seen(request_) == [expected]
    assert seen(*pieces_of(request_, range(len(request_)))) == [expected]


def test_each_pipelined_head_has_bounds_of_its_own() -> None:
    fits = head(SMALL.head)
    assert seen(fits + fits + fits) == [["GET", "/a", ["x"], ""]] * 3
    assert seen(POST + CHUNKED + head(SMALL.head + 1))[2:] == [[431, "head-too-large"]]


MALFORMED = {
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/0.9 with a field": b"GET /\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.0": b"GET / HTTP/3.0\r\n\r\n",
    "lower case": b"get / HTTP/1.1\r\n\r\n",
    "line feeds": b"GET / HTTP/1.1\n\n",
    "a folded field": b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "a space before the colon": b"POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\nhello",
    "a NUL": b"GET / HTTP/1.1\r\nA: b\0\r\n\r\n",
    "CONNECT": b"CONNECT h:1 HTTP/1.1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "the same length twice": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": b"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello",
    "a signed length": b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello",
    "a length beyond all": b"POST / HTTP/1.1\r\nContent-Length: 9999999999999999\r\n\r\nhello",
    "length and chunked": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk without a size": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    "a chunk longer than it says": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n",
    "a chunk in hex of another kind": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a line feed in a size": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
    "a trailer that is none": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_others_may_read_otherwise_is_400_and_ends_the_connection(name: str) -> None:
    answers, closed, ended = outcome(MALFORMED[name] + GET)
    assert [status for status, _ in answers] == [400]
    assert (closed, ended) == ({"malformed": 1}, True)


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_bodies_end_where_they_end() -> None:
    expected = [["POST", "/c", ["transfer-encoding"], "hello"], ["POST", "/b", ["content-length", "host"], "hello"]]
    assert seen(CHUNKED + POST + CHUNKED + GET)[:2] == expected


def test_trailers_are_dropped() -> None:
    assert seen(CHUNKED) == [["POST", "/c", ["transfer-encoding"], "hello"]]


def test_an_upgrade_is_ignored_and_its_body_is_read() -> None:
    upgrade = POST.replace(b"Host: x", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c")
    assert [each[3] for each in seen(upgrade + GET)] == ["hello", ""]


@pytest.mark.parametrize(
    ("chunk", "count", "fits"),
    [
        (b"1\r\nx\r\n", 1024, True),
        (b"1\r\nx\r\n", 1100, False),
        (b"40\r\n" + b"x" * 64 + b"\r\n", 5000, True),
        (b"1;" + b"e" * 200 + b"\r\nx\r\n", 1100, False),
        (b"1;" + b"e" * 255 + b"\r\nx\r\n", 1, False),
    ],
)
def test_chunks_bring_more_than_they_cost(chunk: bytes, count: int, fits: bool) -> None:
    body = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * count + b"0\r\n\r\n"
    [status] = [status for status, _ in outcome(*pieces_of(body, range(0, len(body), 900)))[0]]
    assert status == (200 if fits else 400)


def test_trailers_are_bounded() -> None:
    start = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    assert [status for status, _ in outcome(start + b"a:b\r\n" * 10_000)[0]] == [400]
    assert [status for status, _ in outcome(start + b"a:" + b"b" * 300)[0]] == [400]


@pytest.mark.parametrize("size", [SMALL.unread, SMALL.unread + 1])
def test_what_still_comes_after_the_answer_is_thrown_away_within_bounds(size: int) -> None:
    async def work() -> None:
        wired = Wired(deaf)
        await wired.give(b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)
        assert wired.answers() == [(200, b"/a")]
        await wired.give(b"x" * size, GET)
        assert len(wired.answers()) == (2 if size <= SMALL.unread else 1)
        assert wired.closed == ({} if size <= SMALL.unread else {"too_much_unread": 1})

    run(work())


def test_after_an_answer_in_place_of_100_the_connection_ends() -> None:
    request = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    answers, _, ended = outcome(request, GET, app=deaf)
    assert ([status for status, _ in answers], ended) == ([200], True)


def test_what_is_pipelined_waits_as_bytes_and_within_bounds() -> None:
    count = SMALL.pipelined // len(GET)
    assert len(seen(GET * count)) == count

    async def work() -> None:
        wired = Wired()
        await wired.give(GET * (count + 2))
        assert [status for status, _ in wired.answers()] == [200]
        assert wired.wire.closing
        assert wired.closed == {"pipelined": 1}

    run(work())
