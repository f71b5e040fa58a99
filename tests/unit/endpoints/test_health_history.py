"""Evidence of health: what merges to what, and that only failures that were witnessed disable an endpoint."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tellwire.endpoints import health_history
from tellwire.endpoints.health_history import (
    PATIENCE,
    EndpointHealth,
    HealthRecorder,
    Report,
    ended_outage,
    is_hopeless,
    merged,
    start_again,
)

START = 1_778_038_763_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEW = EndpointHealth(endpoint_id="ep", organization_id="o")


def report(*, first: int = 0, last: int = 0, ok: int = 0, failures: int = 1, cause: str = "refused") -> Report:
    """Times are micros since the start, 0 for never."""
    return Report(
        endpoint_id="ep",
        organization_id="o",
        first_failure_at=first and START + first,
        last_failure_at=last and START + last,
        last_success_at=ok and START + ok,
        failures=failures if last else 0,
        cause=cause if last else "",
    )


def failing(standing: EndpointHealth, *, since: int, until: int, every: int = MINUTE) -> EndpointHealth:
    """Failures every so often, each reported."""
    for at in range(since, until + 1, every):
        standing = merged(standing, report(first=since, last=at), START + at)
    return standing


def test_failures_are_counted_from_the_first_after_the_last_success() -> None:
    standing = merged(NEW, report(ok=HOUR), START + HOUR)
    standing = failing(standing, since=2 * HOUR, until=3 * HOUR)
    assert standing.failing_since == START + 2 * HOUR
    assert standing.failing_for == HOUR
    assert standing.failures == 61
    assert standing.last_success_at == START + HOUR
    assert standing.cause == "refused"


def test_one_success_ends_it() -> None:
    standing = failing(NEW, since=HOUR, until=4 * DAY, every=HOUR)
    after = merged(standing, report(ok=4 * DAY + 1), START + 4 * DAY + 1)
    assert (after.failing_since, after.failing_for, after.failures, after.cause) == (0, 0, 0, "")
    assert ended_outage(standing, after)
    assert not is_hopeless(failing(after, since=4 * DAY + HOUR, until=8 * DAY, every=HOUR))


def test_five_days_of_nothing_else_are_enough_also_over_restarts() -> None:
    standing = failing(NEW, since=HOUR, until=3 * DAY, every=HOUR)
    # Another process, which knows of nothing before its own first failure.
    standing = failing(standing, since=3 * DAY + HOUR, until=5 * DAY, every=HOUR)
    assert not is_hopeless(standing)
    standing = failing(standing, since=5 * DAY, until=5 * DAY + HOUR, every=HOUR)
    assert is_hopeless(standing)
    assert standing.failing_since == START + HOUR


def test_the_usual_schedule_alone_gives_evidence() -> None:
    """The last gaps of a lone delivery are 20 and 24 hours, longer with jitter."""
    standing, at = NEW, HOUR
    for gap in (0, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR, 29 * HOUR, 29 * HOUR):
        at += gap
        standing = merged(standing, report(first=at, last=at), START + at)
    assert is_hopeless(standing)


def test_a_week_in_which_nothing_ran_is_no_evidence() -> None:
    standing = merged(NEW, report(first=HOUR, last=HOUR), START + HOUR)
    standing = merged(standing, report(first=8 * DAY, last=8 * DAY), START + 8 * DAY)
    assert standing.failing_since == START + HOUR
    assert standing.failing_for == 0
    assert not is_hopeless(standing)


def test_a_clock_that_jumps_within_a_process_is_no_evidence_either() -> None:
    assert not is_hopeless(merged(NEW, report(first=HOUR, last=30 * DAY), START + 30 * DAY))


def test_a_clock_that_was_set_back_costs_nothing_but_time() -> None:
    ahead = merged(NEW, report(ok=400 * DAY), START + 400 * DAY)
    standing = failing(ahead, since=HOUR, until=6 * DAY, every=HOUR)
    assert is_hopeless(standing)
    assert standing.last_success_at <= START + HOUR


def test_what_failed_before_it_was_resumed_counts_no_more() -> None:
    standing = failing(NEW, since=HOUR, until=6 * DAY, every=HOUR)
    assert is_hopeless(standing)
    standing = start_again(standing, START + 7 * DAY)
    late = merged(standing, report(first=HOUR, last=6 * DAY), START + 7 * DAY + 1)
    assert (late.failing_since, late.failing_for) == (0, 0)
    again = failing(late, since=7 * DAY + HOUR, until=8 * DAY, every=HOUR)
    assert again.failing_since == START + 7 * DAY + HOUR
    assert not is_hopeless(again)


def test_the_successes_of_one_process_outweigh_the_failures_of_another() -> None:
    standing = NEW
    for hour in range(1, 24 * 10):
        at = hour * HOUR
        standing = merged(standing, report(first=HOUR, last=at, cause="its own network"), START + at)
        standing = merged(standing, report(ok=at + 30 * MINUTE), START + at + 30 * MINUTE)
        assert not is_hopeless(standing)


def test_short_outages_are_not_told_of() -> None:
    before = failing(NEW, since=HOUR, until=HOUR + 9 * MINUTE)
    after = merged(before, report(ok=HOUR + 9 * MINUTE + 1), START + HOUR + 10 * MINUTE)
    assert not ended_outage(before, after)
    before = failing(NEW, since=HOUR, until=HOUR + 10 * MINUTE)
    assert ended_outage(before, merged(before, report(ok=HOUR + 11 * MINUTE), START + HOUR + 11 * MINUTE))


_steps = st.lists(st.tuples(st.integers(1, 40 * HOUR), st.booleans(), st.integers(0, 2)), min_size=1, max_size=60)


@given(_steps)
def test_only_witnessed_failure_disables_and_no_success_lies_within_it(steps: list[tuple[int, bool, int]]) -> None:
    """Three processes, each with a witness of its own, over one standing."""
    witnesses, standing, now = [HealthRecorder() for _ in range(3)], NEW, START
    last_success, successes, witnessed, last_failure = 0, 0, 0, 0
    for gap, ok, process in steps:
        now += gap
        witnesses[process].note("ep", "o", ok=ok, cause="", now=now)
        if ok:
            last_success, witnessed, last_failure = now, 0, 0
            successes += 1
        else:
            witnessed += gap if last_failure else 0
            last_failure = now
        for witness in witnesses:
            for each in witness.reports(now + health_history.STILL_WELL):
                standing = merged(standing, each, now)
    assert not standing.failing_since or standing.failing_since > standing.last_success_at
    assert standing.failing_for <= (now - standing.failing_since if standing.failing_since else 0)
    if is_hopeless(standing):
        assert witnessed >= PATIENCE - 2 * health_history.STILL_WELL
        assert now - last_success >= PATIENCE


@given(st.integers(0, 10 * DAY), st.integers(0, 10 * DAY), st.integers(0, 10 * DAY), st.integers(0, 10 * DAY))
def test_merging_the_same_report_again_changes_nothing(first: int, more: int, ok: int, later: int) -> None:
    each = report(first=first, last=first and first + more, ok=ok, failures=0)
    now = START + 40 * DAY + later
    once = merged(NEW, each, now)
    assert replace(merged(once, each, now), updated_at=0) == replace(once, updated_at=0)


# --- the witness ------------------------------------------------------------------------------------------------------


def test_a_change_is_reported_soon_and_what_goes_on_now_and_then() -> None:
    witness, reports = HealthRecorder(), 0
    for second in range(600):
        now = START + second * SECOND
        for _ in range(100):
            witness.note("ep", "o", ok=True, cause="", now=now)
        reports += len(witness.reports(now))
    assert reports == 2
    for second in range(600, 1200):
        now = START + second * SECOND
        for _ in range(100):
            witness.note("ep", "o", ok=False, cause="refused", now=now)
        found = witness.reports(now)
        reports += len(found)
        if second == 609:
            assert not found
        if second == 610:
            assert (found[0].first_failure_at, found[0].last_failure_at) == (START + 600 * SECOND, now)
    assert reports == 2 + 10
    witness.note("ep", "o", ok=True, cause="", now=START + 1200 * SECOND)
    assert [each.last_failure_at for each in witness.reports(START + 1200 * SECOND)] == [0]


def test_failures_among_successes_are_not_reported() -> None:
    witness, reports = HealthRecorder(), []
    for second in range(1000):
        now = START + second * SECOND
        witness.note("ep", "o", ok=second % 3 == 0, cause="", now=now)
        reports += witness.reports(now)
    assert len(reports) == 4
    assert not any(each.first_failure_at for each in reports)


def test_a_lone_failure_is_reported_though_nothing_follows() -> None:
    witness = HealthRecorder()
    witness.note("ep", "o", ok=False, cause="refused", now=START)
    assert witness.reports(START + 5 * SECOND) == []
    (found,) = witness.reports(START + 11 * SECOND)
    assert (found.first_failure_at, found.failures, found.cause) == (START, 1, "refused")
    assert witness.reports(START + 1000 * SECOND) == []


def test_what_could_not_be_written_is_reported_again() -> None:
    witness = HealthRecorder()
    for second in range(12):
        witness.note("ep", "o", ok=False, cause="refused", now=START + second * SECOND)
    (found,) = witness.reports(START + 12 * SECOND)
    witness.unreported([found])
    assert witness.reports(START + 13 * SECOND) == [found]
