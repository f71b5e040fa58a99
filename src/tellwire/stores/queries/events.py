"""Events: pages, single events, and those after an id for streams."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, func, select

from tellwire.model.deliveries import Event
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import Page, PageRequest, matching, newest, since
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import events

_EVENT = tuple(events.c[name] for name in ledger_rows.EVENT)


class EventFilter(Struct, frozen=True, kw_only=True):
    """Filters of a list of events; "" and None filter nothing."""

    entity: str = ""
    action: str = ""
    conversation_id: str = ""
    account_id: str = ""
    since: Micros | None = None


def page(connection: Connection, organization_id: str, chosen: EventFilter, request: PageRequest) -> Page[Event]:
    """Return a page of the events of an organization."""
    query = select(*_EVENT).where(events.c.organization_id == organization_id)
    query = matching(
        query,
        (events.c.entity, chosen.entity),
        (events.c.action, chosen.action),
        (events.c.conversation_id, chosen.conversation_id),
        (events.c.account_id, chosen.account_id),
    )
    query = since(query, events.c.id, events.c.created_at, chosen.since)
    return newest(connection, query, events.c.id, request, ledger_rows.event)


def get(connection: Connection, organization_id: str, event_id: str) -> Event | None:
    """Return an event of an organization, None when there is none."""
    query = select(*_EVENT).where(events.c.organization_id == organization_id, events.c.id == event_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else ledger_rows.event(row)


def after(connection: Connection, organization_id: str, event_id: str, limit: int) -> Sequence[Event]:
    """Return the events with an id above `event_id`, oldest first."""
    query = (
        select(*_EVENT)
        .where(events.c.organization_id == organization_id, events.c.id > event_id)
        .order_by(events.c.id)
        .limit(limit)
    )
    return [ledger_rows.event(row) for row in connection.execute(query)]


def last_id(connection: Connection, organization_id: str) -> str:
    """Return the id of an organization's newest event, "" when it has none."""
    query = select(func.max(events.c.id)).where(events.c.organization_id == organization_id)
    return connection.execute(query).scalar_one() or ""
