"""Counts for metrics, each bounded, so that large tables cost no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, Select, func, select, text
from sqlalchemy.exc import DatabaseError

from tellwire.ids import micros_of
from tellwire.model.units import Micros
from tellwire.stores.schema.sending import DUE_SEND, OPEN_SEND, sends
from tellwire.stores.schema.tables import (
    DUE,
    FAILED,
    LIVE,
    PARKED,
    deliveries,
    held_items,
)

MOST = 50_000
"""Counting stops here: a figure that reaches it means "at least"."""


def undelivered(connection: Connection) -> Mapping[str, int]:
    """Return the counts of deliveries of any age that are open, parked or failed, by state."""
    counts: dict[str, int] = {}
    for condition in (LIVE, DUE, PARKED, FAILED):
        found = _counts(connection, select(deliveries.c.state.label("value")).where(text(condition)))
        for state, number in found.items():
            counts[state] = counts.get(state, 0) + number
    return counts


def oldest(connection: Connection, condition: Literal["live", "parked"]) -> Mapping[str, Micros]:
    """Return, by endpoint, when its oldest waiting delivery was recorded, to the millisecond; endpoints without one
    are left out. This costs two look-ups for each endpoint that has some, however many each has."""
    waits, columns = text(LIVE if condition == "live" else PARKED), deliveries.c
    first = select(func.min(columns.endpoint_id).label("endpoint_id")).where(waits).cte("waiting", recursive=True)
    following = select(func.min(columns.endpoint_id)).where(waits, columns.endpoint_id > first.c.endpoint_id)
    waiting = first.union_all(select(following.scalar_subquery()).where(first.c.endpoint_id.is_not(None)))
    lowest = select(func.min(columns.id)).where(waits, columns.endpoint_id == waiting.c.endpoint_id)
    query = select(waiting.c.endpoint_id, lowest.scalar_subquery()).where(waiting.c.endpoint_id.is_not(None))
    return {endpoint_id: micros_of(identifier) for endpoint_id, identifier in connection.execute(query)}


def late(connection: Connection) -> Micros:
    """Return when the first of the late retries and replays was or is due; 0 when there are none."""
    return connection.execute(select(func.min(deliveries.c.due_at)).where(text(DUE))).scalar_one() or 0


def held(connection: Connection) -> Mapping[str, int]:
    """Return the counts of held items, by outcome."""
    return _counts(connection, select(held_items.c.outcome.label("value")))


def unsent(connection: Connection) -> Mapping[str, int]:
    """Return the counts of messages that are still to be sent, by state."""
    return _counts(connection, select(sends.c.state.label("value")).where(text(OPEN_SEND)))


def send_due(connection: Connection) -> Micros:
    """Return when the first message that is still to be sent was or is due; 0 when there are none."""
    return connection.execute(select(func.min(sends.c.due_at)).where(text(DUE_SEND))).scalar_one() or 0


def _counts(connection: Connection, values: Select[Any]) -> Mapping[str, int]:
    some = values.limit(MOST).subquery()
    rows = connection.execute(select(some.c.value, func.count()).group_by(some.c.value))
    return {str(value): number for value, number in rows}


def revision(connection: Connection) -> str:
    """Return the revision of the schema that the database has, "" when it has none."""
    try:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none() or ""
    except DatabaseError:
        return ""
