"""POSTs from Meta, as they were received."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, text

from tellwire.model.inbound import Inbound, Outcome, as_bad_as, share
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest, since
from tellwire.stores.records import inbound_rows
from tellwire.stores.schema.tables import UNUSUAL, inbound

_LISTED = tuple(column for column in inbound.c if column.name != "body")


def page(
    connection: Connection,
    organization_id: str,
    request: PageRequest,
    *,
    whole: bool = False,
    outcome: str = "",
    from_: Micros | None = None,
) -> Page[Inbound]:
    """Return a page of an organization's POSTs without bodies: those with items of its own, whose reports are for
    `seen_by`. `whole`: as an operator sees them, also POSTs with items of nobody."""
    query = select(*_LISTED).where(_seen(organization_id, whole=whole, outcome=outcome))
    if outcome:
        worse = as_bad_as(Outcome(outcome))  # a POST with items of others may be worse than its own items
        query = query.where(inbound.c.outcome == outcome if whole else inbound.c.outcome.in_(worse))
    if outcome and outcome != Outcome.APPLIED:
        query = query.where(text(UNUSUAL))
    query = since(query, inbound.c.id, inbound.c.received_at, from_)
    return newest(connection, query, inbound.c.id, request, _without_body)


def get(
    connection: Connection, organization_id: str, inbound_id: str, *, whole: bool = False, body: bool = True
) -> Inbound | None:
    """Return a POST, None when the organization has no part in it; `whole` as for `page`, `body`: with its body."""
    listed = inbound.c if body else _LISTED
    query = select(*listed).where(inbound.c.id == inbound_id, _seen(organization_id, whole=whole))
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return inbound_rows.inbound(columns(row)) if body else _without_body(row)


def _seen(organization_id: str, *, whole: bool, outcome: str = "") -> ColumnElement[bool]:
    if whole:
        return inbound.c.organization_id.in_((organization_id, ""))
    own = inbound.c.organization_id == organization_id
    if outcome:
        own = and_(own, inbound.c.outcome == outcome)
    shared = inbound.c.shares.contains(share(organization_id, outcome), autoescape=True)
    return or_(own, and_(inbound.c.organization_id == "", shared))


def _without_body(row: Any) -> Inbound:
    return inbound_rows.inbound({**columns(row), "body": b""})
