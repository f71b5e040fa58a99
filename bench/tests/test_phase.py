"""The books of a phase."""

from __future__ import annotations

import pytest
from bench.phase import Phase, quantiles
from bench.protocol import PhaseResult
from hypothesis import given
from hypothesis import strategies as st

SECRET = "whsec_AAAA"


def _only(number: int) -> range:
    return range(number, number + 1)


def _sent(count: int, *, first: int = 1, contacts: int = 1) -> Phase:
    phase = Phase(first=first, count=count, contacts=contacts)
    phase.sent = [float(at) for at in range(count)]
    return phase


def _close(phase: Phase) -> PhaseResult:
    return phase.result(secret=SECRET, cpu_seconds=0.0)


def test_a_clean_phase() -> None:
    phase = _sent(3)
    for at in range(3):
        phase.accept(_only(1 + at), at + 0.1)
        phase.arrive(1 + at, at + 0.5, b"", b"")
    result = _close(phase)
    assert result.whole
    assert (result.accepted, result.delivered, result.lost, result.duplicates) == (3, 3, 0, 0)
    assert (result.ordered_pairs, result.reordered) == (2, 0)
    assert result.seconds == 2.5
    assert result.messages_per_second == 1.2
    assert (result.ack.p50, result.end_to_end.max) == pytest.approx((100, 500))


def test_a_delivery_before_its_answer_is_not_outstanding() -> None:
    phase = _sent(1)
    phase.arrive(1, 0.1, b"", b"")
    phase.accept(_only(1), 0.2)
    assert phase.outstanding == 0
    assert _close(phase).whole


def test_lost_refused_duplicate_and_foreign_are_told_apart() -> None:
    phase = _sent(3, first=10)
    phase.accept(_only(10), 0.1)
    phase.refuse("status 503")
    phase.accept(_only(12), 2.1)
    for number in (12, 12, 9, 13, None):
        phase.arrive(number, 3.0, b"", b"")
    result = _close(phase)
    assert (result.lost, result.refused, result.duplicates, result.foreign) == (1, 1, 2, 2)
    assert result.trouble == ("1 × status 503",)
    assert not result.whole


def test_order_counts_only_where_it_was_definite() -> None:
    phase = _sent(3)
    phase.accept(_only(1), 5.0)  # after 2 was sent: these two had no order
    phase.accept(_only(2), 1.5)  # before 3 was sent: 2 goes before 3
    phase.accept(_only(3), 2.5)
    for number, at in ((1, 8.0), (2, 7.0), (3, 6.0)):
        phase.arrive(number, at, b"", b"")
    result = _close(phase)
    assert (result.ordered_pairs, result.reordered) == (1, 1)
    assert not result.whole


def test_a_bad_signature_in_the_sample_shows() -> None:
    phase = _sent(1, first=50)
    phase.accept(_only(50), 0.1)
    phase.arrive(50, 0.2, b"POST /hook HTTP/1.1\r\nwebhook-signature: v1,no", b"")
    result = _close(phase)
    assert (result.signatures_checked, result.signatures_bad) == (1, 1)
    assert not result.whole


@given(st.lists(st.floats(min_value=0, max_value=1000), min_size=1))
def test_quantiles_are_members_in_order(spans: list[float]) -> None:
    found = quantiles(spans)
    assert found.p50 <= found.p99 <= found.max
    assert {found.p50, found.p99, found.max} <= {round(span * 1000, 3) for span in spans}


def test_quantiles_by_hand() -> None:
    found = quantiles([n / 1000 for n in range(1, 101)])
    assert (found.p50, found.p99, found.max) == (50, 99, 100)
    assert quantiles([]).max == 0
