"""Invented people who write, change their numbers and user ids, and take over numbers that others left; and the truth
about them, which a ledger is held against.

What Meta tells of them arrives in an order of its own.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct, field
from tests.world import DISPLAY, NUMBER, START, envelope, status, statuses, text_message, value

from tellwire.conversations import contacts, outgoing
from tellwire.conversations.changes import Options
from tellwire.conversations.outgoing import Draft, Named
from tellwire.inbox.items import apply_item
from tellwire.meta import parse
from tellwire.meta.phone_numbers import alias
from tellwire.meta.webhooks.items import WebhookContact
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

    number: str = ""
    user_id: str = ""
    name: str = ""


class History(Struct):
    """What happened, in the order in which it did."""

    facts: list[Fact] = field(default_factory=list)
    people: int = 0


ACTS = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from(("write", "write", "move", "rename", "both")), st.integers(0, len(POOL) - 1)
    ),
    min_size=2,
    max_size=14,
)


def happened(acts: Sequence[tuple[int, str, int]], *, with_ids: bool) -> History:
    """Let people act, one act every three days. `with_ids`: Meta names user ids beside the numbers."""
    lives: dict[int, Life] = {}
    history, serial = History(), itertools.count()
    ends: dict[str, int] = {}  # number → the fact by which it was left last
    for step, (person, act, choice) in enumerate(acts):
        at, taken = FIRST + step * STEP, {life.number for life in lives.values()}
        life = lives.get(person)
        free = [number for number in POOL if number not in taken]
        if life is None:
            if not free:
                continue
            user_id = f"DE.{person}x0" if with_ids else ""
            life = lives[person] = Life(free[choice % len(free)], user_id, f"Person {person}")
            act = "write"
        wamid = f"wamid.{next(serial)}"
        who = {"from": life.number} | ({"from_user_id": life.user_id} if with_ids else {})
        needs = (ends[life.number],) if life.number in ends and not with_ids else ()
        if act == "write" or (act == "rename" and not with_ids):
            told = text_message(wamid, f"of {person}", sender=life.number, at=at, **who)
            history.facts.append(Fact(person, at, value(messages=[told]), life.number, gained=life.number, needs=needs))
            continue
        if act in ("move", "both") and not free:
            continue
        system: dict[str, Any] = {"body": "changed", "type": "user_changed_number"}
        left, gained = "", ""
        if act in ("move", "both"):
            left, gained = life.number, free[choice % len(free)]
            life.number = system["wa_id"] = gained
        if act in ("rename", "both") and with_ids:
            system["previous_user_id"] = life.user_id
            life.user_id = system["user_id"] = f"DE.{person}x{next(serial)}"
            if act == "rename":
                system["type"] = "user_changed_user_id"
        told = {**who, "id": wamid, "timestamp": str(at), "type": "system", "system": system}
        before: tuple[int, ...] = ()
        if gained and not with_ids:  # who comes back to a number has one alias there, of its last time
            theirs = [(i, each) for i, each in enumerate(history.facts) if each.person == person]
            mine = [i for i, each in theirs if gained in (each.place, each.gained)]
            before = (*mine, *([ends[gained]] if gained in ends else []))
        place = who["from"]
        history.facts.append(Fact(person, at, value(messages=[told]), place, left, gained, (*needs, *before)))
        if left:
            ends[left] = len(history.facts) - 1
    history.people = len(lives)
    return history


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
        if outgoing.has_left(self.ledger, message_id):
            return ""
        claimed = outgoing.claim(self.ledger, ACCOUNT, message_id, epoch=1, tries_until=1 << 60)
        assert claimed is not None
        return alias(claimed.recipient)

    def answered(self, message_id: str, *addresses: str) -> None:
        self.ledger.now += MICROS
        who = WebhookContact(address=addresses[0], aliases=tuple(alias(each) for each in addresses))
        outgoing.name(self.ledger, message_id, Named(who, self.ledger.now // MICROS))

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


def status_of(wamid: str, name: str, at: int, **more: Any) -> dict[str, Any]:
    """A POST's value with one status."""
    return statuses(status(wamid, name, at, to=None, **more))


Check = Callable[[Book, Sequence[Fact], Sequence[int]], None]
