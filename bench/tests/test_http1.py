"""The stream parser of load and sink."""

from __future__ import annotations

import itertools

import pytest
from bench.http1 import MalformedError, Messages, status_of
from hypothesis import given
from hypothesis import strategies as st

BODIES = st.lists(st.binary(max_size=40), min_size=1, max_size=5)


def _stream(bodies: list[bytes]) -> bytes:
    return b"".join(b"POST /x HTTP/1.1\r\nContent-LENGTH: %d\r\n\r\n%b" % (len(body), body) for body in bodies)


@given(BODIES, st.lists(st.integers(min_value=0, max_value=400)))
def test_any_cut_of_the_stream_gives_the_same_messages(bodies: list[bytes], cuts: list[int]) -> None:
    stream, messages = _stream(bodies), Messages()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    got = [body for a, b in itertools.pairwise(edges) for _, body in messages.feed(stream[a:b])]
    assert got == bodies


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_malformed(data: bytes) -> None:
    try:
        found = list(Messages().feed(data + b"\r\n\r\n"))
    except MalformedError:
        return
    assert sum(len(head) + 4 + len(body) for head, body in found) <= len(data) + 4


@pytest.mark.parametrize("header", [b"Transfer-Encoding: chunked", b"Content-Length: -1", b"Content-Length: ten"])
def test_bodies_without_a_plain_length_are_malformed(header: bytes) -> None:
    with pytest.raises(MalformedError):
        list(Messages().feed(b"POST / HTTP/1.1\r\n" + header + b"\r\n\r\n"))


def test_status() -> None:
    assert status_of(b"HTTP/1.1 204 No Content\r\nDate: x") == 204
    with pytest.raises(MalformedError):
        status_of(b"POST / HTTP/1.1")
