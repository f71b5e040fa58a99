"""Retry decisions: the schedule, jitter, Retry-After, what counts, and when a delivery is given up."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tellwire.delivery.retry import (
    LONGEST_PROBE,
    Decision,
    Delivered,
    Disable,
    Exhausted,
    Kind,
    Plan,
    RetryAt,
    decide,
    kind_of,
    pace,
    plan,
)
from tellwire.model.deliveries import Delivery, Lane, Ordering
from tellwire.model.units import MICROS
from tellwire.ports.http_out import LONGEST_WAIT, Failure, retry_after

NOW = 1_778_038_763_000_000
DELIVERY = Delivery(
    id="d1", organization_id="o1", event_id="e1", endpoint_id="ep1", order_key="k1", first_attempt_at=0, due_at=NOW
)


def _run(
    of: Plan, *, kind: Kind = "own", counted: bool = True, jitter: float = 0.0, takes: int = 0, wait: int = 0
) -> tuple[list[int], Decision]:
    """Fail until it ends; the times of the attempts since the first, in micros, and the last decision."""
    delivery, at = DELIVERY, NOW
    starts: list[int] = []
    while True:
        starts.append(at - NOW)
        answered = at + takes
        decision = decide(
            delivery, kind, plan=of, started_at=at, now=answered, jitter=jitter, counted=counted, wait=wait
        )
        if not isinstance(decision, RetryAt):
            return starts, decision
        delivery = replace(
            delivery,
            attempts=delivery.attempts + 1,
            counted_attempts=delivery.counted_attempts + decision.counted,
            first_attempt_at=delivery.first_attempt_at or at,
        )
        at = decision.due_at


def _seconds(starts: list[int]) -> list[float]:
    return [start / MICROS for start in starts]


@pytest.mark.parametrize(
    ("status", "failure", "kind"),
    [
        (200, "", "ok"),
        (299, "", "ok"),
        (302, "", "own"),
        (404, "", "own"),
        (410, "", "gone"),
        (429, "", "busy"),
        (500, "", "own"),
        (503, "", "slow"),
        (0, "protocol", "own"),
        (200, "broken", "whole"),
        (0, "refused", "whole"),
        (0, "dns", "whole"),
        (0, "tls", "whole"),
        (0, "timeout", "whole"),
        (0, "forbidden", "whole"),
    ],
)
def test_an_answer_speaks_of(status: int, failure: Failure, kind: Kind) -> None:
    assert kind_of(status, failure) == kind


def test_the_default_schedule_without_order_is_ten_attempts_in_75_6_hours() -> None:
    starts, last = _run(plan(None, "none"))
    assert len(starts) == 10
    assert _seconds(starts)[:4] == [0, 5, 305, 2105]
    assert starts[-1] / MICROS / 3600 == pytest.approx(75.6, abs=0.05)
    assert last == Exhausted(counted=True)


@pytest.mark.parametrize("ordering", ["keyed", "strict"])
def test_a_head_is_tried_quickly_first(ordering: Ordering) -> None:
    starts, _ = _run(plan(None, ordering))
    assert _seconds(starts)[:7] == [0, 2, 7, 20, 50, 55, 355]
    assert len(starts) == 14


def test_a_replay_has_no_quick_tries_and_a_late_head_keeps_its_schedule() -> None:
    assert plan(None, "keyed", "replay") == plan(None, "none")
    assert plan(None, "keyed", "late") == plan(None, "keyed")


@pytest.mark.parametrize("ordering", ["keyed", "strict", "none"])
def test_a_given_schedule_replaces_the_quick_tries_too(ordering: Ordering) -> None:
    starts, last = _run(plan((1.0, 2.5), ordering))
    assert _seconds(starts) == [0, 1, 3.5]
    assert last == Exhausted(counted=True)


def test_an_empty_schedule_is_one_attempt() -> None:
    for counted in (True, False):
        starts, last = _run(plan((), "keyed"), counted=counted)
        assert (starts, last) == ([0], Exhausted(counted))


def test_success_and_gone_need_nothing_else() -> None:
    of = plan(None, "keyed")
    assert decide(DELIVERY, "ok", plan=of, started_at=NOW, now=NOW + 3, jitter=0, counted=False) == Delivered(NOW + 3)
    gone = decide(DELIVERY, "gone", plan=of, started_at=NOW, now=NOW, jitter=0, counted=False)
    assert gone == Disable("it answered 410 Gone")


@pytest.mark.parametrize("schedule", [(1.0, 1.0), (1.0, 2.0, 4.0), (5.0, 5.0, 5.0, 5.0), ()])
@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("takes", [0, 15 * MICROS])
def test_an_endpoint_that_is_down_sees_as_many_attempts_as_a_given_schedule_says(
    schedule: tuple[float, ...], jitter: float, takes: int
) -> None:
    starts, last = _run(plan(schedule, "keyed"), kind="whole", counted=False, jitter=jitter, takes=takes)
    assert len(starts) == len(schedule) + 1
    assert last == Exhausted(counted=False)


def test_what_does_not_count_ends_with_the_schedules_age() -> None:
    of = plan(None, "keyed")
    starts, last = _run(of, kind="slow", counted=False)
    assert last == Exhausted(counted=False)
    assert of.age <= starts[-1] < of.age + LONGEST_PROBE + MICROS


def test_a_retry_after_of_a_year_does_not_outlive_the_schedule() -> None:
    wait = retry_after([("Retry-After", str(365 * 86400))], NOW)
    assert wait == LONGEST_WAIT
    of = plan(None, "none")
    starts, _ = _run(of, kind="busy", counted=False, wait=wait)
    assert of.age <= starts[-1] <= of.age + LONGEST_WAIT
    starts, _ = _run(plan((1.0, 1.0, 1.0, 1.0), "none"), kind="busy", counted=False, wait=wait)
    assert _seconds(starts) == [0, 6 * 3600, 12 * 3600]


def test_a_late_head_keeps_long_gaps_though_nothing_counts() -> None:
    of = plan(None, "keyed")
    late = replace(DELIVERY, lane="late", attempts=6, first_attempt_at=NOW)
    decision = decide(late, "slow", plan=of, started_at=NOW, now=NOW, jitter=0, counted=False)
    assert decision == RetryAt(NOW + 1800 * MICROS, counted=False)


@given(
    schedule=st.none() | st.lists(st.floats(0, 100_000), max_size=8).map(tuple),
    ordering=st.sampled_from(("keyed", "strict", "none")),
    lane=st.sampled_from(("live", "late", "replay")),
    attempts=st.integers(0, 30),
    counted_attempts=st.integers(0, 30),
    age=st.integers(0, 400_000 * MICROS),
    jitter=st.floats(0, 1),
    counted=st.booleans(),
    wait=st.integers(0, LONGEST_WAIT),
    kind=st.sampled_from(("busy", "slow", "whole", "own")),
)
def test_a_gap_is_never_shortened_and_the_end_is_kept(  # noqa: PLR0917
    schedule: tuple[float, ...] | None,
    ordering: Ordering,
    lane: Lane,
    attempts: int,
    counted_attempts: int,
    age: int,
    jitter: float,
    counted: bool,
    wait: int,
    kind: Kind,
) -> None:
    of = plan(schedule, ordering, lane)
    counted_attempts = min(counted_attempts, attempts)
    delivery = replace(
        DELIVERY, lane=lane, attempts=attempts, counted_attempts=counted_attempts, first_attempt_at=NOW - age
    )
    decision = decide(delivery, kind, plan=of, started_at=NOW, now=NOW, jitter=jitter, counted=counted, wait=wait)
    longest = of.age + LONGEST_WAIT
    match decision:
        case RetryAt(due_at, same):
            assert same == counted
            assert counted_attempts + counted <= len(of.gaps)
            assert age < longest or attempts == counted_attempts
            least = of.gaps[counted_attempts] if counted else min(*of.gaps, LONGEST_PROBE)
            assert due_at - NOW >= max(least, wait)
            assert due_at - NOW <= max(1.2 * max(of.gaps), wait)
        case Exhausted():
            assert counted_attempts + counted > len(of.gaps) or (
                age >= of.age and (attempts >= len(of.gaps) or age >= longest)
            )
        case _:
            raise AssertionError(decision)


@given(st.lists(st.floats(0.001, 100_000), min_size=1, max_size=10).map(tuple), st.floats(0, 1))
def test_a_schedule_is_walked_gap_by_gap_jittered_only_upwards(schedule: tuple[float, ...], jitter: float) -> None:
    starts, _ = _run(plan(schedule, "keyed"), jitter=jitter)
    gaps = [(b - a) / MICROS for a, b in pairwise(starts)]
    assert len(gaps) == len(schedule)
    for gap, wanted in zip(gaps, schedule, strict=True):
        assert wanted - 1e-5 <= gap <= wanted * 1.2 + 1e-5


def test_only_a_given_schedule_sets_the_pace_of_probes() -> None:
    assert pace(plan(None, "keyed"), 1, 0) is None
    assert pace(plan((), "keyed"), 1, 0) is None
    given_schedule = plan((1.0, 30.0, 3600.0), "keyed")
    assert [pace(given_schedule, n, 0) for n in (1, 2, 3, 9)] == [MICROS, 30 * MICROS, LONGEST_PROBE, LONGEST_PROBE]


def test_retry_after_as_seconds_or_as_a_date() -> None:
    assert retry_after([("Content-Type", "a"), ("Retry-After", " 120 ")], NOW) == 120 * MICROS
    date = format_datetime(datetime.fromtimestamp(NOW // MICROS + 90, UTC), usegmt=True)
    assert retry_after([("retry-after", date)], NOW) == 90 * MICROS
    past = format_datetime(datetime.fromtimestamp(NOW // MICROS - 90, UTC), usegmt=True)
    assert retry_after([("retry-after", past)], NOW) == 0
    assert retry_after([], NOW) == 0


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{1,9} \d\d:\d\d:\d\d [+\-A-Z0-9]{1,6}"))
def test_any_retry_after_is_between_nothing_and_six_hours(value: str) -> None:
    assert 0 <= retry_after([("retry-after", value)], NOW) <= LONGEST_WAIT
