"""Whatever a server says, in whatever pieces: there is one decision, and a status line that can be read is it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tellwire.http_client.connection import Connection, ConnectionLimits, Exchange

LIMITS = ConnectionLimits(body=64, head=2048, headers=8, wire=4096)

PIECES = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b" ", b"\t", b":", b"0", b"2", b"ok", b"fff", b"zz", b"\x00", b"\xff",
    b"Content-Length: 2\r\n", b"Content-Length:2\n", b"Content-Length : 02\r\n", b"Content-Length: 2, 3\r\n",
    b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\n", b"Transfer-Encoding : identity\r\n",
    b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"X: a\r\n b\r\n", b"X Y: z\r\n", b": z\n",
    b"2\r\nok\r\n0\r\n\r\n", b"2 \nok\n0\n\n", b"1;a\r\nx\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 Evil\r\n",
]  # fmt: skip

soup = st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=12).map(b"".join)
beginnings = st.tuples(
    st.sampled_from([b"", b"\r\n", b"\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\nLink: <a>\n\n"]),
    st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/1.1  ", b"HTTP/1.1\t", b"HTTP/1.3 "]),
).map(b"".join)
after_status = st.sampled_from(
    [b"", b"\n", b"\r\n", b" OK\r\n", b" OK\n", b" \xff\x00\n", b" OK\r\n" + b"X: y\r\n" * 20]
)
readable = st.tuples(beginnings, st.integers(200, 599), after_status, soup).map(
    lambda each: (each[1], each[0] + b"%d" % each[1] + each[2] + (each[3] if each[2] else b""))
)
"""A status and an answer that says it, and then anything."""
cuts = st.lists(st.integers(0, 400), max_size=12)


class Said(Struct, frozen=True):
    """What became of an answer; the body of one that is cut depends on what had come, so it is not compared."""

    status: int
    failure: str
    body: bytes
    truncated: bool
    kept: bool


class Pipe(asyncio.Transport):
    """A connection without a network."""

    def __init__(self) -> None:
        super().__init__()
        self._gone = False

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def is_closing(self) -> bool:
        return self._gone

    def close(self) -> None:
        self._gone = True

    def abort(self) -> None:
        self._gone = True


def in_pieces(raw: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({min(each, len(raw)) for each in places} | {0, len(raw)})
    return [raw[start:end] for start, end in pairwise(ends)]


async def decided(pieces: Sequence[bytes], end: str) -> Said:
    """Let a server say these pieces, and then `close`, `reset` or do nothing (`stay`) until the deadline."""
    connection = Connection(LIMITS, lambda _: None, allow_listed=True)
    pipe = Pipe()
    connection.connection_made(pipe)
    exchange = Exchange(b"POST", 1.0)
    loop = asyncio.get_running_loop()
    waiter = connection.run(exchange, loop.time() + (0 if end == "stay" else 60))
    for piece in pieces:
        if not pipe.is_closing():
            connection.data_received(piece)
    if end != "stay":
        connection.connection_lost(None if end == "close" else ConnectionResetError())
    await waiter
    assert exchange.complete != bool(exchange.failure)
    assert bool(exchange.status) >= exchange.complete
    assert len(exchange.body) <= LIMITS.body
    body = b"" if exchange.truncated or exchange.failure else bytes(exchange.body)
    return Said(exchange.status, exchange.failure, body, exchange.truncated, connection.reusable)


@settings(max_examples=400)
@given(readable=readable, places=cuts, end=st.sampled_from(["close", "reset"]))
@example(readable=(200, b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), places=[], end="close")
def test_a_readable_status_line_is_the_answer_whatever_follows(readable, places, end):
    status, raw = readable
    said = asyncio.run(decided(in_pieces(raw, places), end))
    assert (said.status, said.failure) == (status, "")
    assert not said.kept


@settings(max_examples=400)
@given(
    raw=soup | st.binary() | readable.map(lambda each: each[1]),
    places=cuts,
    end=st.sampled_from(["close", "reset", "stay"]),
)
def test_any_bytes_in_any_pieces_are_one_decision(raw, places, end):
    whole, parts = (asyncio.run(decided(each, end)) for each in ([raw] if raw else [], in_pieces(raw, places)))
    assert parts == whole
    assert whole.failure in ("", "broken", "protocol", "timeout")
    assert (whole.failure == "timeout") <= (end == "stay")


@given(rest=soup)
def test_a_connection_is_kept_only_when_its_answer_is_beyond_doubt(rest):
    raw = b"HTTP/1.1 200 OK\r\n" + rest
    said = asyncio.run(decided([raw], "stay"))
    if said.kept and not said.failure:
        head, empty, _ = raw.partition(b"\r\n\r\n")
        assert empty
        lines = [line.lower() for line in head.split(b"\r\n")[1:]]
        assert all(line.partition(b":")[0].strip(b"-abcdefghijklmnopqrstuvwxyz") == b"" for line in lines)
        assert b"\n" not in head.replace(b"\r\n", b"")
        lengths = [line for line in lines if line.startswith(b"content-length")]
        codings = [line for line in lines if line.startswith(b"transfer-encoding")]
        assert len(lengths) + min(1, len(codings)) == 1
