"""Invented people who write, change their numbers and user ids, and take over numbers that others left; and the truth
about them, which a ledger is held against.

What Meta tells of them arrives in an order of its own.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct
from tests.world import DISPLAY, NUMBER, START, envelope, text_message, value

from tellwire.conversations import contacts, outgoing, recipients
from tellwire.conversations.changes import Options
from tellwire.conversations.outgoing import Draft
from tellwire.inbox.items import apply_item
from tellwire.meta import parse
from tellwire.meta.phone_numbers import alias
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Conversation
from tellwire.model.registry import Registry
from tellwire.model.routing import Routes
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, Account
from tellwire.model.units import DAY, MICROS

ACCOUNT = Account(
    id="account", organization_id=DEFAULT_ORGANIZATION, phone_number_id=NUMBER, display_phone_number=DISPLAY
)
POOL = ("491700000001", "5511987650001", "525512340001", "541123450001", "573001110001", "22997000001")
"""Numbers of countries with and without variants."""
FIRST = START // MICROS
STEP = 3 * DAY // MICROS


class Fact(Struct, frozen=True):
    """What Meta tells: of whom, when, the value of its POST, and from which number; `left`, `gained`: numbers, "" for
    none; `needs`: facts without which nobody could tell who it is about."""

    person: int
    at: int
    value: dict[str, Any]
    place: str
    left: str = ""
    gained: str = ""
    needs: tuple[int, ...] = ()


class Life(Struct):
    """One person as they are at the moment."""

    number: str
    user_id: str


ACTS = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from(("write", "write", "move", "rename", "both")), st.integers(0, len(POOL) - 1)
    ),
    min_size=2,
    max_size=14,
)


class History:
    """What people do, one act every three days. `with_ids`: Meta names user ids beside the numbers."""

    def __init__(self, acts: Sequence[tuple[int, str, int]], *, with_ids: bool) -> None:
        self.facts: list[Fact] = []
        self.with_ids = with_ids
        self._lives: dict[int, Life] = {}
        self._ends: dict[str, int] = {}  # number → the fact by which it was left last
        for step, (person, act, choice) in enumerate(acts):
            self._happen(person, act, choice, FIRST + step * STEP)

    def _happen(self, person: int, act: str, choice: int, at: int) -> None:
        taken = {life.number for life in self._lives.values()}
        free = [number for number in POOL if number not in taken]
        chosen = free[choice % len(free)] if free else ""
        if person not in self._lives:
            if chosen:
                self._lives[person] = Life(chosen, f"DE.{person}x0" if self.with_ids else "")
                self._write(person, at)
        elif act == "write" or (act == "rename" and not self.with_ids):
            self._write(person, at)
        elif act == "rename" or chosen:
            self._change(person, at, chosen if act != "rename" else "", renamed=act != "move" and self.with_ids)

    def _sender(self, person: int) -> dict[str, str]:
        life = self._lives[person]
        return {"from": life.number} | ({"from_user_id": life.user_id} if self.with_ids else {})

    def _write(self, person: int, at: int) -> None:
        number = self._lives[person].number
        message = text_message(f"wamid.{len(self.facts)}", f"of {person}", at=at, **self._sender(person))
        told = value(messages=[message])
        self.facts.append(Fact(person, at, told, number, gained=number, needs=self._needed(number)))

    def _change(self, person: int, at: int, gained: str, *, renamed: bool) -> None:
        life, sender = self._lives[person], self._sender(person)
        system: dict[str, Any] = {
            "body": "changed",
            "type": "user_changed_number" if gained else "user_changed_user_id",
        }
        left, needs = (life.number if gained else ""), self._needed(life.number)
        if gained:
            life.number = system["wa_id"] = gained
            needs += self._needed_to_gain(person, gained)
        if renamed:
            system["previous_user_id"] = life.user_id
            life.user_id = system["user_id"] = f"DE.{person}x{len(self.facts)}"
        told = {**sender, "id": f"wamid.{len(self.facts)}", "timestamp": str(at), "type": "system", "system": system}
        self.facts.append(Fact(person, at, value(messages=[told]), sender["from"], left, gained, needs))
        if left:
            self._ends[left] = len(self.facts) - 1

    def _needed(self, number: str) -> tuple[int, ...]:
        """Without user ids, who has a number is known only once Meta has told that it was left."""
        return (self._ends[number],) if number in self._ends and not self.with_ids else ()

    def _needed_to_gain(self, person: int, number: str) -> tuple[int, ...]:
        """Who comes back to a number has one alias there, of the last time."""
        mine = [i for i, each in enumerate(self.facts) if each.person == person and number in (each.place, each.gained)]
        return () if self.with_ids else (*mine, *self._needed(number))


def arrival(facts: Sequence[Fact], ranks: Sequence[float]) -> list[int]:
    """Return an order of arrival: by rank, but never before what a fact needs."""
    order: list[int] = []

    def come(index: int) -> None:
        if index not in order:
            for needed in facts[index].needs:
                come(needed)
            order.append(index)

    for index in sorted(range(len(facts)), key=lambda index: ranks[index % len(ranks)]):
        come(index)
    return order


class Book:
    """A ledger that is kept in memory, from one item of Meta's to the next."""

    def __init__(self) -> None:
        registry = Registry(version=0, accounts={NUMBER: ACCOUNT}, endpoints={})
        serial = itertools.count()
        self.ledger = Ledger(
            now=START + 365 * DAY,
            new_id=lambda: f"{next(serial):08x}-0000-7000-8000-000000000000",
            registry=registry,
            routes=Routes(registry, {}),
        )

    def tell(self, body: dict[str, Any]) -> None:
        for item in parse(json.dumps(envelope(body)).encode()):
            self.ledger.now += MICROS
            assert item.place.phone_number_id == NUMBER
            apply_item(self.ledger, item, ACCOUNT, Options(window=0), "")

    def queue(self, conversation: Conversation) -> str:
        draft = Draft(account=ACCOUNT, content=b'{"type":"text","text":{"body":"x"}}', conversation=conversation)
        return outgoing.queue(self.ledger, draft, window=0)[0].id

    def claimed(self, message_id: str) -> str:
        """The address that a message is sent to, "" when it has none left."""
        self.ledger.now += MICROS
        if recipients.has_left(self.ledger, message_id):
            return ""
        claimed = outgoing.claim(self.ledger, ACCOUNT, message_id, epoch=1, tries_until=1 << 60)
        assert claimed is not None
        return alias(claimed.recipient)

    def party_of(self, wamid: str) -> str:
        message = self.ledger.messages[ACCOUNT.id, wamid]
        found = contacts.survivor(self.ledger, message.contact_id)
        assert found is not None
        assert self.ledger.conversations[message.conversation_id].party == found.id
        return found.id


def wamid_of(fact: Fact) -> str:
    name: str = fact.value["messages"][0]["id"]
    return name


def told_left(facts: Sequence[Fact], arrived: Sequence[int], person: int) -> set[str]:
    """The numbers that a person has left, as far as Meta has told, and not got back since."""
    mine = [facts[index] for index in arrived if facts[index].person == person]
    return {
        each.left
        for each in mine
        if each.left and not any(other.gained == each.left and other.at > each.at for other in mine)
    }
