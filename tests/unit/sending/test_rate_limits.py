"""Whatever the network does between us and Meta, neither limit is exceeded as Meta may count it."""

from __future__ import annotations

import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from tellwire.sending.rate_limits import (
    LINGER,
    MEMORY,
    PAIR_BURST,
    PAIR_GAP,
    SECOND,
    AccountLimits,
    PairLimits,
    RateLimit,
    keys_of,
)

MILLI = 1000
WAYS = st.lists(
    st.tuples(
        st.integers(0, 3000),  # until Meta counts it
        st.integers(0, 3000),  # until its answer is here
        st.booleans(),  # it never left
        st.integers(0, 400),  # until the next is asked for
    ),
    min_size=1,
    max_size=150,
)


def most_in_a_second(arrivals: list[int]) -> int:
    arrivals = sorted(arrivals)
    return max((sum(1 for b in arrivals if a <= b < a + SECOND) for a in arrivals), default=0)


def overdrawn(arrivals: list[int]) -> bool:
    """Whether a bucket of Meta's that refills continuously ever lacks a token."""
    tokens, at = PAIR_BURST * PAIR_GAP, 0
    for arrival in sorted(arrivals):
        tokens = min(tokens + arrival - at, PAIR_BURST * PAIR_GAP) - PAIR_GAP
        at = arrival
        if tokens < 0:
            return True
    return False


@given(WAYS, st.integers(1, 20))
@settings(max_examples=200, deadline=None)
def test_no_second_sees_more_than_the_rate(ways, limit):
    rate, now = RateLimit(limit), 0
    ends: list[tuple[int, bool]] = []
    arrivals: list[int] = []
    for there, back, withheld, gap in ways:
        now += gap * MILLI
        while not rate.room(now):
            ended = heapq.heappop(ends) if ends else None
            now = max(now, ended[0]) if ended else max(now, rate.more_at() or now)
            if ended:
                rate.undo() if ended[1] else rate.end(ended[0])
        rate.begin()
        if not withheld:
            arrivals.append(now + there * MILLI)
        heapq.heappush(ends, (now + (there + back) * MILLI, withheld))
        while ends and ends[0][0] <= now:
            at, undone = heapq.heappop(ends)
            rate.undo() if undone else rate.end(at)
    assert most_in_a_second(arrivals) <= limit


@given(WAYS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_bucket_of_metas_is_overdrawn(ways, parallel):
    pairs, now = PairLimits(), 0
    ends: list[tuple[int, bool]] = []
    arrivals: list[int] = []
    for there, back, withheld, gap in ways:
        now += gap * MILLI
        while ends and (ends[0][0] <= now or not parallel or pairs.ready_at(("p",), now) > now):
            at, undone = heapq.heappop(ends)
            now = max(now, at)
            pairs.undo(("p",), now) if undone else pairs.end(("p",), now)
        now = pairs.ready_at(("p",), now)
        assert pairs.ready_at(("p",), now) == now
        pairs.begin(("p",), now)
        if not withheld:
            arrivals.append(now + there * MILLI)
        heapq.heappush(ends, (now + (there + back) * MILLI, withheld))
    assert not overdrawn(arrivals)


def test_a_burst_then_one_every_six_seconds():
    pairs = PairLimits()
    for _ in range(PAIR_BURST):
        assert pairs.ready_at(("p",), 0) == 0
        pairs.begin(("p",), 0)
        pairs.end(("p",), 0)
    assert pairs.ready_at(("p",), 0) == PAIR_GAP
    assert pairs.ready_at(("other",), 0) == 0
    assert pairs.ready_at(("other", "p"), 0) == PAIR_GAP


def test_the_refill_begins_at_the_answer():
    pairs = PairLimits()
    for _ in range(PAIR_BURST):
        pairs.begin(("p",), 0)
    for _ in range(PAIR_BURST):
        pairs.end(("p",), 20 * SECOND)
    assert pairs.ready_at(("p",), 20 * SECOND) == 20 * SECOND + PAIR_GAP


def test_what_ends_later_than_now_is_not_refilled_before():
    pace = AccountLimits(2)
    pace.begin(("p",), 0)
    pace.end(("p",), LINGER)
    assert (pace.room(LINGER), pace.more_at(LINGER)) == (1, LINGER + SECOND)
    assert pace.room(LINGER + SECOND) == 2


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60))
def test_rebuilt_from_rows_is_never_more_generous(gaps):
    """As the rows tell it: how many, and when the last one was answered."""
    before, now, sent = PairLimits(), 0, 0
    for gap in gaps:
        now = before.ready_at(("p",), now + gap * SECOND)
        before.begin(("p",), now)
        before.end(("p",), now)
        sent += 1
    after = PairLimits()
    after.restore(("p",), sent, now)
    for later in (now, now + PAIR_GAP, now + 10 * PAIR_GAP, now + MEMORY):
        assert after.ready_at(("p",), later) >= before.ready_at(("p",), later)


def test_empty_buckets_are_forgotten():
    pairs = PairLimits()
    pairs.begin(("p",), 0)
    pairs.end(("p",), 0)
    pairs.begin(("q",), 0)
    pairs.forget(PAIR_GAP)
    assert len(pairs) == 1  # in flight


def test_an_account_that_backs_off_waits_longer_each_time_until_something_goes_well():
    pace = AccountLimits(80)
    waits = []
    now = 0
    for _ in range(3):
        pace.back_off(now, now, jitter=0.5, longest=300.0)
        assert pace.room(now) == 0
        until = pace.more_at(now)
        assert until is not None
        waits.append((until - now) // SECOND)
        pace.back_off(now - 1, now, jitter=0.5, longest=300.0)  # began before this wait
        now = until
    assert waits == [1, 4, 16]
    assert (pace.room(now), pace.more_at(now)) == (80, None)
    pace.record_accepted(now)
    pace.back_off(now, now, jitter=0.5, longest=300.0)
    assert pace.more_at(now) == now + SECOND


def test_one_message_that_is_always_refused_does_not_make_the_others_wait_longer_and_longer():
    pace, now = AccountLimits(80), 0
    for _ in range(5):
        pace.back_off(now, now + 2, jitter=0.5, longest=300.0)
        pace.record_accepted(now)  # another of the same burst was taken
        until = pace.more_at(now + 2)
        assert until == now + 2 + SECOND
        now = until


def test_a_wait_is_bounded():
    pace = AccountLimits(80)
    for _ in range(9):
        pace.back_off(0, 0, jitter=1.0, longest=30.0)
    assert pace.more_at(0) == 30 * SECOND


def test_a_recipient_is_known_by_the_person_and_by_the_address():
    assert keys_of("a", "k", "+491701234567") == ("k", "a/491701234567")


def test_a_clock_that_was_set_back_holds_nobody_up():
    hour = 3600 * SECOND
    pace, keys = AccountLimits(1), ("person", "address")
    for _ in range(PAIR_BURST):
        pace.begin(keys, hour)
        pace.end(keys, hour)
    pace.back_off(hour, hour, jitter=0.5, longest=30.0)
    assert pace.room(0) == 0
    assert (pace.more_at(0) or 0) <= 300 * SECOND
    assert pace.rate.room(0) == 0
    assert pace.rate.room(SECOND + LINGER) == 1
    assert pace.room(300 * SECOND) == 1
    assert pace.pairs.ready_at(keys, 0) <= LINGER + PAIR_GAP
