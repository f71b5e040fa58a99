"""What becomes of a failure when stock is taken, and when somebody says something of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tellwire.endpoints.failures import Count, Failure, Seen, acknowledged, after, counted, resolved

KNOWN = Failure(
    id="one", organization_id="o", endpoint_id="e", failure="503", cause="before", first_at=100, last_at=200
)
SEEN = Seen(organization_id="o", endpoint_id="e", failure="503", cause="now", first_at=150, last_at=300)
OVER = replace(KNOWN, state="resolved", resolved_at=250)
NOTED = replace(KNOWN, state="acknowledged", acknowledged_at=210, acknowledged_by="ada", note="a deploy")


def test_a_new_one_is_open() -> None:
    made = after(None, SEEN, identifier="new", now=1)
    assert made == Failure(
        id="new", organization_id="o", endpoint_id="e", failure="503", cause="now", first_at=150, last_at=300
    )
    under_way = after(None, replace(SEEN, last_at=0), identifier="new", now=1)
    assert under_way is not None
    assert under_way.last_at == 150


def test_one_that_goes_on_keeps_what_was_said_of_it() -> None:
    assert after(NOTED, SEEN, identifier="", now=1) == replace(NOTED, cause="now", last_at=300)
    assert after(NOTED, replace(SEEN, last_at=200), identifier="", now=1) is None
    assert after(NOTED, replace(SEEN, last_at=0), identifier="", now=1) is None


@pytest.mark.parametrize("known", [KNOWN, NOTED])
def test_one_of_which_nothing_is_left_is_resolved_by_itself(known: Failure) -> None:
    assert after(known, None, identifier="", now=400) == replace(known, state="resolved", resolved_at=400)


def test_one_that_is_resolved_is_open_again_after_the_next_failed_attempt_only() -> None:
    assert after(OVER, None, identifier="", now=400) is None
    assert after(OVER, replace(SEEN, last_at=250), identifier="", now=400) is None
    again = after(replace(OVER, note="x", acknowledged_by="ada", job_id="job"), SEEN, identifier="", now=400)
    assert again == replace(KNOWN, cause="now", first_at=150, last_at=300)


def test_nothing_is_said_of_what_is_over() -> None:
    assert acknowledged(OVER, "ada", "a note", 400) == OVER
    assert resolved(OVER, "ada", 400) == OVER
    assert resolved(NOTED, "bob", 400) == replace(NOTED, state="resolved", resolved_at=400, resolved_by="bob")


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        ([], Count(0, 0, cut=False)),
        ([("failed", 3), ("retrying", 1), ("pending", 2), ("parked", 1)], Count(3, 4, cut=False)),
        ([("failed", 6), ("retrying", 4)], Count(6, 4, cut=True)),
    ],
)
def test_deliveries_are_counted_by_what_can_be_done(states: list[tuple[str, int]], wanted: Count) -> None:
    assert counted(states, 10) == wanted
