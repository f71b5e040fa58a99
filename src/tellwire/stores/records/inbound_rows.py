"""POSTs from Meta as rows, for every database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tellwire.model.inbound import Inbound, ItemReport, Outcome, SpeaksFor, with_reports

_encode = msgspec.json.Encoder().encode
_items = msgspec.json.Decoder(tuple[ItemReport, ...])
_speaks_for = msgspec.json.Decoder(SpeaksFor)

INBOUND = ("id", "organization_id", "received_at", "outcome", "items", "speaks_for", "body", "shares", "source_id")
REPORTED = ("items", "outcome", "organization_id", "shares")
"""The columns that follow from the reports of items."""


def values(inbound: Inbound) -> tuple[Any, ...]:
    """Return the columns of a POST, in the order of `INBOUND`."""
    return (
        inbound.id,
        inbound.organization_id,
        inbound.received_at,
        inbound.outcome,
        _encode(inbound.items),
        _encode(inbound.speaks_for),
        inbound.body,
        inbound.shares,
        inbound.source_id,
    )


def inbound(row: Any) -> Inbound:
    """Return the stored POST that a mapping of columns holds."""
    return Inbound(
        id=row["id"],
        organization_id=row["organization_id"],
        received_at=row["received_at"],
        outcome=Outcome(row["outcome"]),
        items=_items.decode(row["items"]),
        speaks_for=_speaks_for.decode(row["speaks_for"]),
        body=row["body"],
        shares=row["shares"],
        source_id=row["source_id"],
    )


def reported(inbound: Inbound) -> tuple[bytes, str, str, str]:
    """Return the columns `REPORTED` of a POST."""
    return _encode(inbound.items), str(inbound.outcome), inbound.organization_id, inbound.shares


def reported_anew(row: Any, reports: Mapping[str, ItemReport]) -> tuple[bytes, str, str, str]:
    """Return the columns `REPORTED` of a stored POST, given as a row of these, with new reports by pointer."""
    items, outcome, organization_id, shares = row
    known = Inbound(
        id="",
        received_at=0,
        body=b"",
        outcome=Outcome(outcome),
        items=_items.decode(items),
        organization_id=organization_id,
        shares=shares,
    )
    return reported(with_reports(known, reports))
