"""What secrets may change, and whose the items of a POST are."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.model.inbound import (
    EVERYTHING,
    Inbound,
    ItemReport,
    Outcome,
    SpeaksFor,
    owned_by,
    owners_of,
    seen_by,
    share,
    together,
    with_reports,
    worst,
)
from tellwire.model.tenancy import Account

ACCOUNT = "019df000-0000-7000-8000-000000000001"
ORGANIZATION = "019df000-0000-7000-8000-000000000002"
NUMBER, WABA = "375446602312881", "102290129340398"
KNOWN = Account(id=ACCOUNT, organization_id=ORGANIZATION, phone_number_id=NUMBER, waba_id=WABA)


@pytest.mark.parametrize(
    ("speaks_for", "changes", "creates"),
    [
        (EVERYTHING, True, True),
        (SpeaksFor(), False, False),
        (SpeaksFor(meta_ids=(NUMBER,)), True, True),
        (SpeaksFor(meta_ids=(WABA,)), True, True),
        (SpeaksFor(meta_ids=("5", "")), False, False),
        (SpeaksFor(account_ids=(ACCOUNT,)), True, False),
        # an id in the wrong place says nothing
        (SpeaksFor(meta_ids=(ACCOUNT, ORGANIZATION, "*")), False, False),
        (SpeaksFor(account_ids=(NUMBER, WABA, ORGANIZATION, "*")), False, False),
    ],
    ids=str,
)
def test_what_a_secret_may_change(speaks_for: SpeaksFor, changes: bool, creates: bool) -> None:
    assert speaks_for.may_change(KNOWN) is changes
    assert speaks_for.may_create(NUMBER, WABA) is creates
    assert msgspec.json.decode(msgspec.json.encode(speaks_for), type=SpeaksFor) == speaks_for
    assert not speaks_for.may_create(ACCOUNT, WABA), "an account whose number has the form of our ids"


def test_no_business_account_is_that_of_every_account_without_one() -> None:
    lonely = Account(id=ACCOUNT, organization_id=ORGANIZATION, phone_number_id=NUMBER)
    assert not SpeaksFor(meta_ids=("",)).may_change(lonely)


SOME = st.builds(
    SpeaksFor,
    everything=st.booleans(),
    meta_ids=st.lists(st.sampled_from([NUMBER, WABA, ACCOUNT, "5"])).map(tuple),
    account_ids=st.lists(st.sampled_from([ACCOUNT, NUMBER, "x"])).map(tuple),
)


@given(st.lists(SOME, min_size=1))
def test_several_secrets_may_change_what_each_may(some: list[SpeaksFor]) -> None:
    both = together(some)
    assert both.may_change(KNOWN) is any(each.may_change(KNOWN) for each in some)
    assert both.may_create(NUMBER, "") is any(each.may_create(NUMBER, "") for each in some)


OWNERS = st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=2).map(lambda some: tuple(sorted(some)))
ITEMS = st.lists(st.tuples(OWNERS, st.sampled_from(Outcome)), min_size=1, max_size=6)


@given(ITEMS)
def test_each_sees_its_own_items_and_their_outcome(items: list[tuple[tuple[str, ...], Outcome]]) -> None:
    reports = tuple(ItemReport(pointer=f"/{n}", outcome=outcome) for n, (_, outcome) in enumerate(items))
    post = Inbound(id="", received_at=0, body=b"", outcome=worst(o for _, o in items), items=reports)
    kept = owned_by(post, [owners for owners, _ in items])
    assert [owners_of(kept, each) for each in kept.items] == [owners for owners, _ in items]
    assert kept.outcome == post.outcome
    for organization in ("a", "b", "c"):
        own = [(f"/{n}", outcome) for n, (owners, outcome) in enumerate(items) if organization in owners]
        listed = kept.organization_id == organization or share(organization) in kept.shares
        assert listed is bool(own)
        if own:
            seen = seen_by(kept, organization)
            assert [(each.pointer, each.outcome) for each in seen.items] == own
            assert seen.outcome == worst(outcome for _, outcome in own)
            assert kept.organization_id == organization or share(organization, seen.outcome) in kept.shares


DONE = {Outcome.APPLIED, Outcome.RECORDED, Outcome.DUPLICATE}


@given(ITEMS, st.integers(0, 5), OWNERS, st.sampled_from(Outcome))
def test_what_was_an_organizations_stays_its(
    items: list[tuple[tuple[str, ...], Outcome]], number: int, owners: tuple[str, ...], outcome: Outcome
) -> None:
    reports = tuple(ItemReport(pointer=f"/{n}", outcome=each) for n, (_, each) in enumerate(items))
    post = Inbound(id="", received_at=0, body=b"", outcome=Outcome.APPLIED, items=reports)
    kept = owned_by(post, [before for before, _ in items])
    new = ItemReport(pointer=f"/{number}", outcome=outcome, owners=owners)
    after = with_reports(kept, {new.pointer: new})
    wanted, outcomes = [before for before, _ in items], [each for _, each in items]
    if number >= len(items):  # a later part of the POST
        wanted, outcomes = [*wanted, owners], [*outcomes, outcome]
    elif not (outcome == Outcome.HELD and outcomes[number] in DONE):  # what was applied waits for nothing again
        wanted[number], outcomes[number] = wanted[number] or owners, outcome
    assert [owners_of(after, each) for each in after.items] == wanted
    assert after.outcome == worst(outcomes)


def test_outcomes_are_told_apart_in_shares() -> None:
    """A share is searched for as a text: no outcome is the beginning of another one's."""
    assert len({share("a", outcome) for outcome in Outcome}) == len(Outcome) == len({*map(str, Outcome)})
