"""Whatever the order in which Meta's word arrives: two people are never one, one person told by Meta is never two, and
nothing goes to a number that was left.

Source: docs/reference/formats.md, "Who".
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.conversations.people import ACTS, FIRST, POOL, Book, History, arrival, told_left, wamid_of
from tests.world import text_message, value

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


@pytest.mark.parametrize("gap", [60, 43_200, 7_776_000], ids=["a minute", "half a day", "90 days"])
@pytest.mark.parametrize("names", [("wrote", "moved", "next"), ("moved", "next"), ("moved", "next", "wrote again")])
def test_the_next_owner_is_not_who_left_whoever_was_heard_first(names: tuple[str, ...], gap: int) -> None:
    """Meta's word of the change names no user id, and may be the first that is heard of who left."""
    old, new = POOL[0], POOL[1]
    system = {"body": "changed", "type": "user_changed_number", "wa_id": new}
    told: dict[str, dict[str, Any]] = {
        "wrote": text_message("wrote", at=FIRST, **{"from": old, "from_user_id": "DE.1"}),
        "moved": {"from": old, "id": "moved", "timestamp": str(FIRST + 60), "type": "system", "system": system},
        "next": text_message("next", at=FIRST + 60 + gap, **{"from": old, "from_user_id": "DE.2"}),
        "wrote again": text_message("wrote again", at=FIRST + 120, **{"from": new, "from_user_id": "DE.1"}),
    }
    for order in permutations(names):
        book = Book()
        for name in order:
            book.tell(value(messages=[told[name]]))
        parties = {name: book.party_of(name) for name in names}
        assert len({party for name, party in parties.items() if name != "next"}) == 1, order
        assert parties["next"] not in {party for name, party in parties.items() if name != "next"}, order
