"""POSTs from Meta, as they were received."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select, text

from tellwire.model.inbound import Inbound, Outcome, share
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest, since
from tellwire.stores.records import inbound_rows
from tellwire.stores.schema.tables import SHARED, SOURCED, UNUSUAL, inbound

_LISTED = tuple(column for column in inbound.c if column.name != "body")


def page(
    connection: Connection,
    organization_id: str,
    request: PageRequest,
    *,
    whole: bool = False,
    outcome: str = "",
    from_: Micros | None = None,
    source_id: str | None = None,
) -> Page[Inbound]:
    """Return a page of an organization's POSTs without bodies: those with items of its own, whose reports are for
    `seen_by`. `whole`: as an operator sees them, also POSTs with items of nobody. `source_id`: only those that this
    source sent, "" for Meta; None for all."""
    every = since(select(*_LISTED), inbound.c.id, inbound.c.received_at, from_)
    if source_id is not None:
        every = every.where(inbound.c.source_id == source_id, *([text(SOURCED)] if source_id else []))
    mine = every.where(_whole(organization_id) if whole else inbound.c.organization_id == organization_id)
    if outcome:
        mine = mine.where(inbound.c.outcome == outcome)
    if outcome and outcome != Outcome.APPLIED:
        mine = mine.where(text(UNUSUAL))
    found = newest(connection, mine, inbound.c.id, request, _without_body)
    if whole:
        return found
    shared = every.where(text(SHARED), _shared(organization_id, outcome))
    return _merged(found, newest(connection, shared, inbound.c.id, request, _without_body), request.limit)


def _merged(one: Page[Inbound], other: Page[Inbound], limit: int) -> Page[Inbound]:
    """Return the page that two pages of the same request make together."""
    rows = sorted((*one.items, *other.items), key=attrgetter("id"), reverse=True)
    more = len(rows) > limit or one.after or other.after
    return Page(rows[:limit], rows[:limit][-1].id if more else "")


def get(
    connection: Connection, organization_id: str, inbound_id: str, *, whole: bool = False, body: bool = True
) -> Inbound | None:
    """Return a POST, None when the organization has no part in it; `whole` as for `page`, `body`: with its body."""
    listed = inbound.c if body else _LISTED
    part = or_(inbound.c.organization_id == organization_id, _shared(organization_id))
    query = select(*listed).where(inbound.c.id == inbound_id, _whole(organization_id) if whole else part)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return inbound_rows.inbound(columns(row)) if body else _without_body(row)


def _whole(organization_id: str) -> ColumnElement[bool]:
    return inbound.c.organization_id.in_((organization_id, ""))


def _shared(organization_id: str, outcome: str = "") -> ColumnElement[bool]:
    return inbound.c.shares.contains(share(organization_id, outcome), autoescape=True)


def _without_body(row: Any) -> Inbound:
    return inbound_rows.inbound({**columns(row), "body": b""})
