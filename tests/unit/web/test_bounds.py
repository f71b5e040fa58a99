"""The pure rules of connections: deadlines by a clock, caps by descriptors, peers by address."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.web.bounds import BodyProgress, Bounds, ReadingProgress, connection_caps, peer_of
from tellwire.web.chunked import ChunkedBody, NotChunked

BOUNDS = Bounds()
MIB = 1024 * 1024


def ends_after(size: int, rate: float, *, stalls_at: int = -1, stall: float = 0.0) -> float | None:
    """When a body of this size that comes at this rate is given up, None if it arrives; it may stall once."""
    progress, now, received = BodyProgress(BOUNDS, now=0.0, received=0), 0.0, 0.0
    while received < size:
        now += 0.5
        if received >= stalls_at >= 0 and stall > 0:
            stall -= 0.5
        else:
            received += rate / 2
        if progress.is_late(now=now, received=int(received), held_up=False):
            return now
    return None


@pytest.mark.parametrize(
    ("size", "rate"), [(100 * MIB, 8 * 1024), (100 * MIB, 30 * 1024), (MIB, 5 * 1024), (2000, 200), (100_000, 4000)]
)
def test_a_slow_client_is_waited_for(size: int, rate: float) -> None:
    assert ends_after(size, rate) is None


@pytest.mark.parametrize(("rate", "at"), [(0, 10), (1, 10), (100, 10), (150, 31), (1000, 40)])
def test_a_dripping_client_is_given_up(rate: float, at: float) -> None:
    given_up = ends_after(100 * MIB, rate)
    assert given_up is not None
    assert at - 1 <= given_up <= at + 1


def test_a_client_that_stalls_is_given_up_whatever_came_before() -> None:
    assert ends_after(10 * MIB, 1_000_000, stalls_at=9 * MIB, stall=8) is None
    assert ends_after(10 * MIB, 1_000_000, stalls_at=9 * MIB, stall=1000) is not None


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 10_000), st.booleans()), max_size=50))
def test_time_in_which_nothing_is_read_does_not_count(steps: list[tuple[float, int, bool]]) -> None:
    progress, now, received = BodyProgress(BOUNDS, now=0.0, received=0), 0.0, 0
    for step, more, held_up in steps:
        now += step
        received += more
        late = progress.is_late(now=now, received=received, held_up=held_up)
        assert not (late and held_up)


def test_a_client_reads_its_answer_bit_by_bit() -> None:
    progress = ReadingProgress(BOUNDS, now=0.0, left=100_000)
    assert not progress.is_late(now=29, left=100_000)
    assert not progress.is_late(now=29.5, left=98_000)
    assert not progress.is_late(now=59, left=97_900)  # too little to count
    assert progress.is_late(now=59.5, left=97_500)


@pytest.mark.parametrize(
    ("fitting", "total", "per_peer", "expected"),
    [
        (64_000, None, None, (4096, 2048)),
        (320, None, None, (320, 160)),
        (320, 5000, 5000, (320, 320)),
        (-64, None, None, (32, 16)),
        (64_000, 100, None, (100, 50)),
        (64_000, 100, 7, (100, 7)),
        (64_000, 1, None, (1, 1)),
    ],
)
def test_connections_fit_beside_everything_else(
    fitting: int, total: int | None, per_peer: int | None, expected: tuple[int, int]
) -> None:
    caps = connection_caps(fitting=fitting, total=total, per_peer=per_peer)
    assert (caps.total, caps.per_peer) == expected


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense:", "nonsense:"),
    ],
)
def test_a_peer_is_an_address_or_a_network(address: str, peer: str) -> None:
    assert peer_of(address) == peer


CHUNKS = st.lists(st.binary(min_size=1, max_size=300), max_size=6)


@given(CHUNKS, st.binary(max_size=20), st.lists(st.integers(1, 2000), max_size=6), st.booleans())
def test_a_chunked_body_is_decoded_however_it_is_cut(
    chunks: list[bytes], after: bytes, cuts: list[int], upper: bool
) -> None:
    sizes = [f"{len(chunk):X}" if upper else f"{len(chunk):x}" for chunk in chunks]
    body = b"".join(b"%b;a=b\r\n%b\r\n" % (size.encode(), chunk) for size, chunk in zip(sizes, chunks, strict=True))
    data = body + b"0\r\nTrailer: dropped\r\n\r\n" + after
    decoder, found, rest = ChunkedBody(), b"", None
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for begin, end in pairwise(places):
        if rest is not None:
            rest += data[begin:end]
            continue
        piece, rest = decoder.feed(data[begin:end])
        found += piece
    assert (found, rest) == (b"".join(chunks), after)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_body_or_none(data: bytes) -> None:
    try:
        body, rest = ChunkedBody().feed(data)
    except NotChunked:
        return
    assert len(body) + len(rest or b"") <= len(data)
