"""What attempts are counted as."""

from __future__ import annotations

from typing import Any

import pytest

from tellwire.delivery import counting
from tellwire.delivery.retry import Delivered, Disable, Exhausted, RetryAt
from tellwire.model.deliveries import Delivery
from tellwire.observability.counters import Counters, Histogram
from tellwire.ports.http_out import Answer

SECOND = 1_000_000


def delivery(**changes: Any) -> Delivery:
    return Delivery(id="d", organization_id="o", event_id="e", endpoint_id="p", order_key="k", **changes)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Answer(status=200), "2xx"),
        (Answer(status=204), "2xx"),
        (Answer(status=302), "3xx"),
        (Answer(status=404), "4xx"),
        (Answer(status=410), "410"),
        (Answer(status=429), "429"),
        (Answer(status=500), "5xx"),
        (Answer(status=503), "503"),
        (Answer(status=999), "other"),
        (Answer(failure="timeout"), "timeout"),
        (Answer(failure="tls", status=200), "tls"),
    ],
)
def test_cause(answer: Answer, word: str) -> None:
    assert counting.cause_of(answer) == word


def test_attempts_are_counted_by_what_followed_and_why() -> None:
    counters = Counters()
    for decision in (
        Delivered(9),
        RetryAt(9, counted=True),
        RetryAt(9, counted=False),
        Exhausted(counted=True),
        Disable("x"),
    ):
        counting.count(counters, delivery(), Answer(status=500), decision, started_at=1, now=2)
    assert counters.attempts == {
        ("delivered", "5xx"): 1,
        ("retried", "5xx"): 2,
        ("exhausted", "5xx"): 1,
        ("disabled", "5xx"): 1,
    }


def test_lag_counts_from_the_recording_of_the_event() -> None:
    counters = Counters()
    answer = Answer(status=200, durations={"dns": 10.0, "connect": 20.0, "tls": 30.0, "first_byte": 500.0})
    before = delivery(created_at=SECOND)
    counting.count(counters, before, answer, Delivered(0), started_at=2 * SECOND, now=3 * SECOND)
    assert counters.sent.total == pytest.approx(1.06)
    assert counters.accepted.total == pytest.approx(2.0)


def test_first_bytes_of_retries_and_all_of_replays_are_left_out() -> None:
    counters = Counters()
    counting.count(counters, delivery(attempts=1), Answer(status=200), Delivered(0), started_at=SECOND, now=SECOND)
    counting.count(counters, delivery(replay=1), Answer(status=200), Delivered(0), started_at=SECOND, now=SECOND)
    assert sum(counters.sent.counts) == 0
    assert sum(counters.accepted.counts) == 1


def test_spread() -> None:
    spread = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.1, 99.0):
        spread.add(value)
    assert (spread.counts, spread.total) == ([2, 2, 2], 106.1)
