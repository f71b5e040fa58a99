"""The erasure of a person: whom it is about, how far it has come, and what it has erased."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from msgspec import Struct

from tellwire.model.units import Micros, Seconds

Phase = Literal["direct", "groups", "received", "meta", "answers", "told", "done"]


Spans = Mapping[str, tuple[Seconds, Seconds]]


class Subject(Struct, frozen=True):
    """Whom to look for: every spelling of their addresses, their conversations, and the last id to look at.

    `spans`: of those addresses that were also another person's, when they were theirs (`theirs_at`). `nobodys`: also in
    what came from Meta and is no organization's, as only an operator may.
    """

    addresses: tuple[str, ...] = ()
    conversation_ids: tuple[str, ...] = ()
    until: str = ""
    nobodys: bool = False
    spans: Spans = {}


def theirs_at(addresses: Collection[str], spans: Spans, at: Seconds) -> Collection[str]:
    """Return those of a person's addresses that were theirs at a time of Meta's: of an address in `spans`, after the
    first of its two times until the second."""
    if not spans:
        return addresses
    return frozenset(each for each in addresses if each not in spans or spans[each][0] < at <= spans[each][1])


class Counts(Struct, frozen=True):
    """What was erased so far."""

    messages: int = 0
    media: int = 0
    events: int = 0
    deliveries_cancelled: int = 0
    received: int = 0


class Erasure(Struct, frozen=True, kw_only=True):
    """The erasure of a contact and of those that were merged into it. `cursor` is how far its phase has come."""

    id: str
    organization_id: str
    contact_id: str
    contact_ids: tuple[str, ...]
    state: Literal["running", "done"]
    phase: Phase
    cursor: str
    counts: Counts
    subject: Subject
    erased_at: Micros
    finished_at: Micros
