"""When an alert comes: once it has stood, once, again when it is worse, rarely while it flaps, and that it is over."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tellwire.alerts import rules
from tellwire.alerts.findings import ABSENT, Channel, Finding, by_key, is_over, name_of
from tellwire.alerts.rules import FLAPPING, TOGETHER, Item, Thresholds
from tellwire.model.units import DAY, HOUR, MICROS, MINUTE, Micros
from tellwire.verdict.rules import Line, Severity

NOW = 1_800_000_000_000_000
LIMITS = Thresholds(after=MINUTE, repeat=DAY, severity="warning")
CHANNEL = Channel(name="mail", since=NOW - 30 * DAY)


def line(severity: Severity = "warning", kind: str = "endpoint_failing") -> Line:
    return Line(kind=kind, cause="…", organization_id="o", endpoint_id="e", own_severity=severity)


def finding(begun_at: Micros = NOW - HOUR, *, over_at: Micros = 0, severity: Severity = "warning") -> Finding:
    return Finding(line=line(severity), name="endpoint.e", begun_at=begun_at, seen_at=NOW, over_at=over_at)


def tell(known: Finding, at: Micros, channel: Channel = CHANNEL, limits: Thresholds = LIMITS) -> tuple[str, Finding]:
    """What is told at a time, "" for nothing, and the finding after that."""
    items = rules.due([known], channel, limits, at)
    assert len(items) <= 1
    return (items[0].what, rules.told(items[0], channel, at)) if items else ("", known)


def told(*, at: Micros = NOW, severity: Severity = "warning") -> Finding:
    what, known = tell(finding(severity=severity), at)
    assert what == "came"
    return known


# --- one finding ------------------------------------------------------------------------------------------------------

OVER = replace(told(), over_at=NOW + MINUTE)
TOLD_OVER = tell(OVER, NOW + 2 * MINUTE)[1]

STEPS: dict[str, tuple[Finding, Micros, str]] = {
    "it has not stood for long enough": (finding(NOW - MINUTE + 1), NOW, ""),
    "it has": (finding(NOW - MINUTE), NOW, "came"),
    "it is told once": (told(), NOW + HOUR, ""),
    "again after a day": (told(), NOW + DAY, "stands"),
    "what was reminded of is not told at once again": (tell(told(), NOW + DAY)[1], NOW + DAY + HOUR, ""),
    "and after another day": (tell(told(), NOW + DAY)[1], NOW + 2 * DAY, "stands"),
    "it is over": (OVER, NOW + MINUTE, "over"),
    "that it is over is told once": (TOLD_OVER, NOW + DAY, ""),
    "it was over before it was told": (finding(NOW - 30_000_000, over_at=NOW), NOW + HOUR, ""),
    "worse is told at once": (replace(told(), line=line("critical")), NOW + 1, "changed"),
    "that it eases is not told": (replace(told(severity="critical"), line=line()), NOW + HOUR, ""),
    "only when it is told again": (replace(told(severity="critical"), line=line()), NOW + DAY, "stands"),
    "another kind is told later": (replace(told(), line=line(kind="endpoint_behind")), NOW + MINUTE, ""),
    "another kind is told": (replace(told(), line=line(kind="endpoint_behind")), NOW + FLAPPING, "changed"),
    "it comes again too soon": (replace(TOLD_OVER, begun_at=NOW + 3 * MINUTE, over_at=0), NOW + 14 * MINUTE, ""),
    "it comes again": (replace(TOLD_OVER, begun_at=NOW + 3 * MINUTE, over_at=0), NOW + FLAPPING, "came"),
    "it came again before its end was told": (replace(told(), begun_at=NOW + HOUR), NOW + HOUR, ""),
    "it came and went while the channel was down": (finding(NOW - HOUR, over_at=NOW - MINUTE), NOW, "was"),
    "it came and went before the channel was set": (finding(NOW - 40 * DAY, over_at=NOW - 31 * DAY), NOW, ""),
    "it flapped while nobody was told": (
        replace(TOLD_OVER, begun_at=NOW + 3 * MINUTE, over_at=NOW + 5 * MINUTE),
        NOW + HOUR,
        "",
    ),
}


@pytest.mark.parametrize("row", STEPS.values(), ids=STEPS)
def test_one_finding(row: tuple[Finding, Micros, str]) -> None:
    known, at, what = row
    assert tell(known, at)[0] == what


def test_a_severity_that_is_too_small_is_not_told_until_it_is_larger() -> None:
    limits = replace(LIMITS, severity="critical")
    known = finding()
    assert tell(known, NOW, limits=limits)[0] == ""
    what, known = tell(replace(known, line=line("critical")), NOW, limits=limits)
    assert what == "came"
    known = replace(known, line=line("warning"))
    assert tell(known, NOW + 2 * DAY, limits=limits)[0] == ""  # nobody is reminded of what is too small by now
    assert tell(replace(known, over_at=NOW + 2 * DAY), NOW + 2 * DAY, limits=limits)[0] == "over"


def test_without_repetition_nobody_is_reminded() -> None:
    assert tell(told(), NOW + 100 * DAY, limits=replace(LIMITS, repeat=0))[0] == ""


def test_that_alerts_cannot_be_told_is_not_told_afterwards() -> None:
    known = replace(finding(NOW - HOUR, over_at=NOW), line=Line(kind="alerts_failing", cause="…"))
    assert tell(known, NOW)[0] == ""
    assert tell(replace(known, over_at=0), NOW)[0] == "came"  # through another channel


# --- many -------------------------------------------------------------------------------------------------------------


def many(*each: Finding) -> list[Finding]:
    return [
        replace(known, name=f"endpoint.{index}", line=replace(known.line, endpoint_id=str(index)))
        for index, known in enumerate(each)
    ]


def test_many_share_a_message_the_gravest_first_and_the_ends_last() -> None:
    some = many(OVER, finding(), finding(severity="critical"), finding(NOW - 2 * HOUR))
    items = rules.due(some, CHANNEL, LIMITS, NOW + MINUTE)
    assert [(item.what, item.finding.name) for item in items] == [
        ("came", "endpoint.2"),
        ("came", "endpoint.3"),
        ("came", "endpoint.1"),
        ("over", "endpoint.0"),
    ]


def test_one_reminder_a_day_is_of_all() -> None:
    some = many(told(), told(at=NOW + 8 * HOUR), told(at=NOW + 20 * HOUR))
    items = rules.due(some, CHANNEL, LIMITS, NOW + DAY)
    assert [(item.what, item.finding.name) for item in items] == [("stands", "endpoint.0"), ("stands", "endpoint.1")]


def test_a_channel_is_given_one_message_a_minute() -> None:
    channel = rules.taken(CHANNEL, NOW)
    assert not rules.may_tell(channel, NOW + TOGETHER - 1)
    assert rules.may_tell(channel, NOW + TOGETHER)
    assert rules.may_tell(channel, NOW - HOUR)  # our clock was set back


def test_a_channel_that_fails_is_tried_with_growing_pauses_and_is_as_new_afterwards() -> None:
    channel, pauses = CHANNEL, []
    for attempt in range(12):
        channel = rules.failed(channel, "connection refused", NOW + attempt)
        pauses.append((channel.retry_at - NOW - attempt) // MICROS)
        assert not rules.may_tell(channel, channel.retry_at - 1)
        assert rules.may_tell(channel, channel.retry_at)
    assert pauses == [15, 30, 60, 120, 240, 480, *[900] * 6]
    assert (channel.failing_since, channel.attempts, channel.cause) == (NOW, 12, "connection refused")
    assert rules.taken(channel, NOW + HOUR) == replace(CHANNEL, sent_at=NOW + HOUR)


def test_a_clock_that_was_set_back_stops_no_channel() -> None:
    channel = rules.failed(CHANNEL, "connection refused", NOW)
    assert rules.may_tell(channel, NOW - DAY)


def test_the_same_news_have_the_same_id_and_others_another() -> None:
    def id_of(known: Finding, at: Micros, channel: Channel = CHANNEL) -> str:
        return rules.message_id(channel, rules.due([known], channel, LIMITS, at))

    ids = [
        id_of(finding(), NOW),
        id_of(finding(severity="critical"), NOW),
        id_of(finding(NOW - DAY), NOW),
        id_of(finding(), NOW, replace(CHANNEL, name="slack")),
        id_of(told(), NOW + DAY),
        id_of(tell(told(), NOW + DAY)[1], NOW + 2 * DAY),
        id_of(OVER, NOW + HOUR),
    ]
    assert len(set(ids)) == len(ids)
    assert id_of(finding(), NOW) == id_of(replace(finding(), seen_at=NOW + 1), NOW + HOUR)


# --- when a finding is over -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "gone", "up_since", "after"),
    [
        ("endpoint_failing", True, NOW - DAY, ABSENT),
        ("endpoint_failing", False, NOW - DAY, ABSENT),
        ("endpoint_failing", False, NOW + HOUR, HOUR + ABSENT),  # nobody looked in that hour
        ("app_secret_wrong", True, NOW - DAY, ABSENT),
        ("app_secret_wrong", False, NOW - DAY, HOUR + ABSENT),  # the process that knew may have been started again
        ("app_secret_wrong", False, NOW + MINUTE, HOUR + ABSENT + MINUTE),
        ("number_silent", False, NOW + MINUTE, HOUR + ABSENT + MINUTE),
    ],
)
def test_when_a_finding_is_over(kind: str, gone: bool, up_since: Micros, after: Micros) -> None:
    known = replace(finding(), line=Line(kind=kind, cause="…"), gone_at=NOW if gone else 0)
    assert not is_over(known, NOW + after - 1, up_since)
    assert is_over(known, NOW + after, up_since)


def test_an_endpoint_is_one_finding_whatever_its_kind() -> None:
    kinds = ("endpoint_failing", "endpoint_behind", "endpoint_disabled")
    assert {name_of(line(kind=kind)) for kind in kinds} == {"endpoint.e"}


def test_lines_about_the_same_are_one_finding_with_every_cause() -> None:
    problem = Line(kind="disk_nearly_full", cause="One.")
    [(key, one)] = by_key([problem, replace(problem, cause="Two.", own_severity="critical"), problem]).items()
    assert key == ("", "disk_nearly_full")
    assert (one.cause, one.severity) == ("One. Two.", "critical")


# --- any history ------------------------------------------------------------------------------------------------------

Step = tuple[int, Severity | None, bool]
"""Seconds that pass, how the finding stands then, and whether the channel can be reached."""
STEP = st.tuples(st.integers(1, 1800), st.sampled_from(["warning", "critical", None]), st.booleans())


def lived(steps: Sequence[Step]) -> tuple[list[tuple[Micros, str]], Finding | None, Micros]:
    """What a channel took over a history, the finding at its end, and the time."""
    known: Finding | None = None
    channel, at, taken = CHANNEL, NOW, list[tuple[Micros, str]]()
    for seconds, severity, up in steps:
        at += seconds * MICROS
        if severity is not None:
            fresh = known is None or known.over_at
            known = known or finding(at, severity=severity)
            begun_at = at if fresh else known.begun_at
            known = replace(known, line=line(severity), begun_at=begun_at, seen_at=at, over_at=0)
        elif known is not None and not known.over_at and at - known.seen_at >= ABSENT:
            known = replace(known, over_at=known.seen_at)
        items: list[Item] = rules.due([known] if known else [], channel, LIMITS, at)
        if not items or not rules.may_tell(channel, at):
            continue
        channel = rules.taken(channel, at) if up else rules.failed(channel, "down", at)
        if up:
            taken.append((at, items[0].what))
            known = rules.told(items[0], channel, at)
    return taken, known, at


@given(st.lists(STEP, max_size=60))
def test_whatever_happens_a_channel_is_told_in_order_and_not_too_often(steps: Sequence[Step]) -> None:
    taken, known, _ = lived(steps)
    stands = False
    for _, what in taken:
        assert (what in {"changed", "stands", "over"}) == stands, taken
        stands = what not in {"over", "was"}
    came = [when for when, what in taken if what in {"came", "was"}]
    assert all(second - first >= FLAPPING for first, second in itertools.pairwise(came))
    assert all(second - first >= TOGETHER for (first, _), (second, _) in itertools.pairwise(taken))
    # Once all is quiet and the channel can be reached, it knows how things are.
    quiet: list[Step] = [(60, known.line.severity if known and not known.over_at else None, True)] * 40
    taken, known, _ = lived([*steps, *quiet])
    last = taken[-1][1] if taken else "over"
    assert (last not in {"over", "was"}) == (known is not None and not known.over_at)
