"""A POST of Meta's as it was received, and what became of each of its items."""

from __future__ import annotations

from collections.abc import Iterable
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


_SEVERITY = {outcome: rank for rank, outcome in enumerate(Outcome)}


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome of a POST whose items have these (docs/reference/rest-api.md, "Received POSTs"); of no items,
    `recorded`."""
    return max(outcomes, key=_SEVERITY.__getitem__, default=Outcome.RECORDED)


class ItemResult(Struct, frozen=True, gc=False):
    """What applying an item came to: why, where it was not plainly applied, and the id of its message's row."""

    outcome: Outcome
    reason: str = ""
    message_id: str = ""


class ItemReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The report of one item of a POST, as `inbound` lists it."""

    pointer: str
    field: str = ""
    kind: str = ""
    wamid: str = ""
    phone_number_id: str = ""
    outcome: Outcome = Outcome.APPLIED
    reason: str = ""
    message_id: str = ""


class Inbound(Struct, frozen=True, kw_only=True):
    """A POST from Meta as received. `speaks_for`: the ids (WABA, phone number, account or organization) whose data the
    secret that signed it may change, or "*" for all."""

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
