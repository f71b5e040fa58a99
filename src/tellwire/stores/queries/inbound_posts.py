"""POSTs from Meta, as they were received."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, select, text

from tellwire.model.inbound import Inbound, Outcome
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest, since
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import UNUSUAL, inbound

_LISTED = tuple(column for column in inbound.c if column.name != "body")


def page(
    connection: Connection,
    organization_id: str,
    request: PageRequest,
    *,
    nobodys: bool = False,
    outcome: str = "",
    from_: Micros | None = None,
) -> Page[Inbound]:
    """Return a page of an organization's POSTs without bodies; `nobodys` adds those of no single organization."""
    query = select(*_LISTED).where(_seen(organization_id, nobodys=nobodys))
    if outcome:
        query = query.where(inbound.c.outcome == outcome)
    if outcome and outcome != Outcome.APPLIED:
        query = query.where(text(UNUSUAL))
    query = since(query, inbound.c.id, inbound.c.received_at, from_)
    return newest(connection, query, inbound.c.id, request, _without_body)


def get(connection: Connection, organization_id: str, inbound_id: str, *, nobodys: bool = False) -> Inbound | None:
    """Return a POST with its body, None when there is none."""
    query = select(inbound).where(inbound.c.id == inbound_id, _seen(organization_id, nobodys=nobodys))
    row = connection.execute(query).one_or_none()
    return None if row is None else ledger_rows.inbound(columns(row))


def _seen(organization_id: str, *, nobodys: bool) -> ColumnElement[bool]:
    return inbound.c.organization_id.in_((organization_id, "") if nobodys else (organization_id,))


def _without_body(row: Any) -> Inbound:
    return ledger_rows.inbound({**columns(row), "body": b""})
