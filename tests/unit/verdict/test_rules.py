"""The verdict: each kind of trouble gives a line with cause and remedy, and mending it takes the line away."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tellwire.model.deliveries import Endpoint
from tellwire.model.tenancy import Account
from tellwire.model.units import DAY, HOUR, MINUTE, Micros
from tellwire.verdict.figures import (
    MOST_WAITING,
    ClockOffset,
    Disk,
    FailingChannel,
    Figures,
    Outage,
    Refusals,
    Stored,
    Unrouted,
)
from tellwire.verdict.rules import KINDS, seen_by, verdict, without_names
from tellwire.verdict.traffic import Counts, Heard, Tally, Traffic, merged, silence

NOW = 1_800_000_000_000_000
GIB = 1024**3
NUMBER, WABA, ACCOUNT, ENDPOINT = "400500600700", "900800700600", "an-account-id", "an-endpoint-id"
MINE = Account(id=ACCOUNT, organization_id="mine", phone_number_id=NUMBER, waba_id=WABA)
HOOK = Endpoint(id=ENDPOINT, organization_id="mine", url="https://hooks.example.com/in?token=t", format="row")
ROOMY = Disk("the database", "/srv", 100 * GIB, 50 * GIB)
REGULAR = Traffic(
    organization_id="mine",
    account_id=ACCOUNT,
    messages=400,
    first_at=NOW - 30 * DAY,
    last_at=NOW - 40 * HOUR,
    longest_gap=10 * HOUR,
    gap_at=NOW - 5 * DAY,
)
FINE = Figures(at=NOW, up_since=NOW - DAY, accounts=[MINE], endpoints=[HOOK], disks=[ROOMY])


def with_(**changes: Any) -> Figures:
    return replace(FINE, **changes)


def stored(**changes: Any) -> Figures:
    return with_(stored=Stored(**changes))


def refused(name: str, ago: Micros = MINUTE) -> Figures:
    return with_(refusals=Refusals(signatures={name: NOW - ago}))


PAUSED = replace(MINE, sending_paused="Meta refuses the access token (190)")
REFUSED_TOKEN = replace(MINE, about=json.dumps({"access_token": {"value": "refused", "at": 1}}))

TABLE: dict[str, tuple[Figures, Figures, str, str]] = {
    "store": (with_(failing=["database or disk is full"]), FINE, "store_failing", "database or disk is full"),
    "results": (with_(failing=["no result can be written"]), FINE, "store_failing", "no result"),
    "disk: little is free": (
        with_(disks=[replace(ROOMY, free=GIB // 2)]),
        with_(disks=[replace(ROOMY, free=GIB * 10)]),
        "disk_nearly_full",
        "/srv",
    ),
    "disk: a small share is free": (
        with_(disks=[ROOMY, Disk("media", "/media", 300 * GIB, 10 * GIB)]),
        with_(disks=[ROOMY, Disk("media", "/media", 3000 * GIB, 25 * GIB)]),
        "disk_nearly_full",
        "media",
    ),
    "clock ahead": (
        with_(clock=ClockOffset(300.0, "Meta's")),
        with_(clock=ClockOffset(3.0, "Meta's")),
        "clock_off",
        "5 minutes ahead of Meta's",
    ),
    "clock behind": (with_(clock=ClockOffset(-7200.0, "Meta's")), FINE, "clock_off", "2 hours behind Meta's"),
    "no secret": (with_(refusals=Refusals(without_secret=NOW)), FINE, "app_secret_missing", "0 seconds ago"),
    "wrong secret of a number": (refused(NUMBER), FINE, "app_secret_wrong", NUMBER),
    "wrong secret of a WABA": (refused(WABA), FINE, "app_secret_wrong", NUMBER),
    "wrong secret, nobody's number": (refused("777"), refused("777", HOUR), "app_secret_wrong", "no account"),
    "wrong secret, no number": (refused(""), refused("", HOUR), "app_secret_wrong", "1 minute ago"),
    "verify token": (
        with_(refusals=Refusals(handshake=NOW - MINUTE)),
        with_(refusals=Refusals(handshake=NOW - HOUR)),
        "verify_token_wrong",
        "another verify token",
    ),
    "unknown number": (
        stored(unrouted=[Unrouted("777", 3, NOW - MINUTE)]),
        FINE,
        "number_unknown",
        "3 items of the last 24 hours for the id 777",
    ),
    "secret of another": (
        stored(unrouted=[Unrouted(NUMBER, 1, NOW - MINUTE)]),
        FINE,
        "secret_of_another",
        "1 item of the last 24 hours",
    ),
    "silent number": (
        stored(traffic={ACCOUNT: REGULAR}),
        stored(traffic={ACCOUNT: replace(REGULAR, last_at=NOW - HOUR)}),
        "number_silent",
        "1 day ago; its longest silence of late was 10 hours",
    ),
    "silent number, heard just now": (
        stored(traffic={ACCOUNT: REGULAR}),
        with_(stored=Stored(traffic={ACCOUNT: REGULAR}), heard={NUMBER: NOW - MINUTE}),
        "number_silent",
        NUMBER,
    ),
    "account paused": (with_(accounts=[PAUSED]), FINE, "account_paused", "refuses the access token (190)."),
    "a problem that Meta reports": (
        with_(accounts=[REFUSED_TOKEN]),
        FINE,
        "account_problem",
        "Meta refuses the access token.",
    ),
    "endpoint failing": (
        stored(outages={ENDPOINT: Outage(NOW - HOUR, "connection refused")}),
        FINE,
        "endpoint_failing",
        "1 hour: connection refused",
    ),
    "endpoint behind": (
        stored(oldest={ENDPOINT: NOW - 10 * MINUTE}),
        stored(oldest={ENDPOINT: NOW - MINUTE}),
        "endpoint_behind",
        "10 minutes",
    ),
    "endpoint disabled": (
        with_(endpoints=[replace(HOOK, state="disabled", disabled_reason="it answered 410")]),
        with_(endpoints=[replace(HOOK, state="paused")]),
        "endpoint_disabled",
        "it answered 410.",
    ),
    "alerts": (
        stored(
            failing_channels=[
                FailingChannel("mail", NOW - HOUR, "connection refused"),
                FailingChannel("slack", NOW - MINUTE, "it answered 404"),
            ]
        ),
        FINE,
        "alerts_failing",
        "mail has failed for 1 hour: connection refused; slack has failed for 1 minute: it answered 404.",
    ),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_a_line_comes_with_its_cause_and_goes_when_it_is_mended(row: tuple[Figures, Figures, str, str]) -> None:
    broken, mended, kind, words = row
    [line] = verdict(broken)
    assert line.kind == kind
    assert words in line.cause
    assert line.cause.endswith(".")
    assert line.title.endswith(".")
    assert line.remedy.endswith(".")
    assert line.hurts.endswith(".")
    assert line.since <= NOW
    assert verdict(mended) == []


SEVERITIES: dict[str, tuple[Figures, str]] = {
    "the database": (with_(failing=["full"]), "critical"),
    "a disk": (with_(disks=[replace(ROOMY, free=GIB // 2)]), "warning"),
    "a disk that is about to be full": (with_(disks=[replace(ROOMY, free=GIB // 5)]), "critical"),
    "the clock": (with_(clock=ClockOffset(-200.0, "Meta's")), "warning"),
    "the clock, so that signatures are refused": (with_(clock=ClockOffset(-301.0, "Meta's")), "critical"),
    "a number of ours": (refused(NUMBER), "critical"),
    "a stranger": (refused("777"), "warning"),
    "an endpoint": (stored(outages={ENDPOINT: Outage(NOW - HOUR + 1, "refused")}), "warning"),
    "an endpoint for an hour": (stored(outages={ENDPOINT: Outage(NOW - HOUR, "refused")}), "critical"),
}


@pytest.mark.parametrize("row", SEVERITIES.values(), ids=SEVERITIES)
def test_a_line_says_how_grave_it_is(row: tuple[Figures, str]) -> None:
    figures, severity = row
    [line] = verdict(figures)
    assert line.severity == severity


def test_every_kind_is_in_the_table() -> None:
    assert {kind for _, _, kind, _ in TABLE.values()} == KINDS.keys()


def test_all_at_once_the_gravest_first_and_nothing_private_without_names() -> None:
    everything = with_(
        failing=["full"],
        disks=[replace(ROOMY, free=0)],
        accounts=[PAUSED],
        refusals=Refusals(signatures={NUMBER: NOW, "777": NOW}),
        stored=Stored(unrouted=[Unrouted("777", 1, NOW)], outages={ENDPOINT: Outage(NOW - HOUR, "refused")}),
    )
    lines = verdict(everything)
    places = [list(KINDS).index(line.kind) for line in lines]
    assert places == sorted(places)
    public = without_names(lines)
    assert len({line.kind for line in public}) == len(public)
    for private in (NUMBER, WABA, "777", ACCOUNT, ENDPOINT, "hooks.example.com", "/srv", "mine"):
        assert private not in repr(public) + "".join(line.title + line.remedy for line in public)
    assert "hooks.example.com" not in repr(lines)


def test_a_key_sees_its_own_lines_and_that_nothing_can_be_written() -> None:
    lines = verdict(
        with_(
            failing=["/srv/secret-place is full"],
            disks=[replace(ROOMY, free=0)],
            accounts=[PAUSED],
            stored=Stored(unrouted=[Unrouted("777", 1, NOW)]),
        )
    )
    assert [line.kind for line in seen_by(lines, "mine")] == ["store_failing", "account_paused"]
    theirs = seen_by(lines, "theirs")
    assert [line.kind for line in theirs] == ["store_failing"]
    assert "secret-place" not in repr(theirs)


HURT: dict[str, tuple[Figures, Micros, str, int]] = {
    "what waits for an endpoint": (
        stored(outages={ENDPOINT: Outage(NOW - HOUR, "refused")}, waiting={ENDPOINT: 1204}),
        NOW - HOUR,
        "1,204 deliveries wait for it.",
        1204,
    ),
    "one delivery": (
        stored(oldest={ENDPOINT: NOW - 10 * MINUTE}, waiting={ENDPOINT: 1}),
        NOW - 10 * MINUTE,
        "1 delivery waits for it.",
        1,
    ),
    "nothing": (stored(outages={ENDPOINT: Outage(NOW, "")}), NOW, "No delivery waits for it just now.", 0),
    "more than are counted, of an endpoint with a name": (
        with_(
            endpoints=[replace(HOOK, state="disabled", description="shop-crm")],
            stored=Stored(waiting={ENDPOINT: MOST_WAITING}, outages={ENDPOINT: Outage(NOW - DAY, "")}),
        ),
        NOW - DAY,
        "10,000 deliveries or more wait for shop-crm.",
        MOST_WAITING,
    ),
    "messages of a paused account": (
        with_(accounts=[PAUSED], stored=Stored(unsent={ACCOUNT: 2})),
        0,
        "2 messages wait to be sent.",
        2,
    ),
    "items of an unknown number": (
        stored(unrouted=[Unrouted("777", 20_000, NOW, NOW - HOUR)]),
        NOW - HOUR,
        "20,000 items wait for the account.",
        20_000,
    ),
}


@pytest.mark.parametrize("row", HURT.values(), ids=HURT)
def test_a_line_says_since_when_and_how_many_it_hurts(row: tuple[Figures, Micros, str, int]) -> None:
    figures, since, words, count = row
    [line] = verdict(figures)
    assert (line.since, line.hurts, line.count) == (since, words, count)
    assert [each.hurts for each in without_names([line])] == [""]


# --- silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "silent"),
    [
        pytest.param({}, True, id="it is unlike it"),
        pytest.param({"messages": 3}, False, id="few messages"),
        pytest.param({"first_at": REGULAR.last_at - 5 * DAY}, False, id="no weekend seen yet"),
        pytest.param({"longest_gap": 63 * HOUR}, False, id="closed at weekends"),
        pytest.param({"last_at": NOW - 11 * HOUR, "longest_gap": HOUR}, False, id="a night"),
        pytest.param({"last_at": NOW - 13 * HOUR, "longest_gap": HOUR}, True, id="half a day where it never stops"),
    ],
)
def test_silence_is_judged_by_the_rhythm_of_the_number(changes: dict[str, int], silent: bool) -> None:
    assert bool(silence(replace(REGULAR, **changes), NOW)) is silent


def test_no_number_is_silent_right_after_a_start() -> None:
    early = with_(stored=Stored(traffic={ACCOUNT: REGULAR}), up_since=NOW - 10 * MINUTE)
    assert verdict(early) == []


def test_gaps_are_remembered_for_weeks_and_not_for_ever() -> None:
    known = Traffic(organization_id="mine", account_id=ACCOUNT)
    known = merged(known, Heard(1, NOW, NOW))
    known = merged(known, Heard(2, NOW + 5 * HOUR, NOW + 6 * HOUR))
    known = merged(known, Heard(1, NOW + 7 * HOUR, NOW + 7 * HOUR))
    assert (known.messages, known.first_at, known.last_at) == (4, NOW, NOW + 7 * HOUR)
    assert known.longest_gap == 5 * HOUR
    at = NOW + 7 * HOUR
    for _ in range(40):
        at += DAY // 24 * 20
        known = merged(known, Heard(1, at, at))
    assert known.longest_gap == 20 * HOUR
    for _ in range(400):
        at += 2 * HOUR
        known = merged(known, Heard(1, at, at))
    assert known.longest_gap == 2 * HOUR


def test_messages_of_two_processes_in_any_order() -> None:
    known = merged(Traffic(organization_id="mine", account_id=ACCOUNT), Heard(5, NOW, NOW + HOUR))
    known = merged(known, Heard(1, NOW + MINUTE, NOW + 2 * MINUTE))
    assert (known.messages, known.last_at, known.longest_gap) == (6, NOW + HOUR, 0)


# --- how much goes through --------------------------------------------------------------------------------------------


def test_what_is_taken_is_counted_once_and_what_is_put_back_again() -> None:
    tally = Tally()
    tally.attempted("mine", 1, 1)
    tally.sent("theirs")
    taken = tally.take()
    assert taken == {"mine": Counts(delivered=1, failing=1), "theirs": Counts(sent=1)}
    assert tally.take() == {}
    tally.attempted("mine", 1, 0)
    tally.put_back(taken)
    assert tally.take() == {"mine": Counts(delivered=2, failing=1), "theirs": Counts(sent=1)}
