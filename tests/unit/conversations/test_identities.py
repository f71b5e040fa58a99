"""Whatever the order in which Meta's word arrives: two people are never one, one person told by Meta is never two, and
nothing goes to a number that was left.

Source: docs/reference/formats.md, "Who".
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.conversations.people import ACTS, Book, History, arrival, told_left, wamid_of

RANKS = st.lists(st.floats(0, 1), min_size=1, max_size=14)


@pytest.mark.parametrize("with_ids", [False, True], ids=["numbers", "numbers and user ids"])
@settings(max_examples=200, deadline=None)
@given(acts=ACTS, ranks=RANKS, writes=st.sets(st.integers(0, 13)))
def test_people_stay_themselves_in_any_order(
    acts: list[tuple[int, str, int]], ranks: list[float], writes: set[int], *, with_ids: bool
) -> None:
    facts, book = History(acts, with_ids=with_ids).facts, Book()
    waiting: dict[str, int] = {}
    arrived: list[int] = []
    for place, index in enumerate(arrival(facts, ranks)):
        book.tell(facts[index].value)
        arrived.append(index)
        if place in writes:
            party = book.party_of(wamid_of(facts[index]))
            for conversation in [each for each in book.ledger.open.values() if each.party == party]:
                waiting[book.queue(conversation)] = facts[index].person
        seen: dict[str, set[int]] = {}
        for known in arrived:
            seen.setdefault(book.party_of(wamid_of(facts[known])), set()).add(facts[known].person)
        assert all(len(people) == 1 for people in seen.values()), "two people are one"
    parties: dict[int, set[str]] = {}
    for index in arrived:
        parties.setdefault(facts[index].person, set()).add(book.party_of(wamid_of(facts[index])))
    assert all(len(theirs) == 1 for theirs in parties.values()), "one person is two"
    for message_id, person in waiting.items():
        assert book.claimed(message_id) not in told_left(facts, arrived, person)
