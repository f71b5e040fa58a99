"""A POST of Meta's as it was received, and what became of each of its items."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from tellwire.model.units import Micros


class Outcome(StrEnum):
    """What became of one item of a POST, from best to worst: a POST's own outcome is its worst item's."""

    APPLIED = "applied"
    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    ERASED = "erased"
    HELD = "held"
    UNROUTED = "unrouted"
    NOT_UNDERSTOOD = "not_understood"


class ItemReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one item of a POST, as `inbound` lists it."""

    pointer: str
    field: str = ""
    kind: str = ""
    wamid: str = ""
    phone_number_id: str = ""
    outcome: Outcome = Outcome.APPLIED
    reason: str = ""
    message_id: str = ""


class Inbound(Struct, frozen=True, kw_only=True):
    """A POST from Meta as received. `speaks_for` says what its secret may change (see `Scope`)."""

    id: str
    received_at: Micros
    body: bytes
    outcome: Outcome
    items: tuple[ItemReport, ...] = ()
    organization_id: str = ""
    speaks_for: tuple[str, ...] = ("*",)


class WaitingPost(Struct, frozen=True):
    """A POST that was kept with items that wait; `pointers` names these."""

    inbound: Inbound
    pointers: frozenset[str]
