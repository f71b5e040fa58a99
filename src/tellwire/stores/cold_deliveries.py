"""Deliveries and their attempts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Select, and_, select, text, update

from tellwire.errors import Conflict
from tellwire.model import Attempt, Delivery, DeliveryState, Micros
from tellwire.stores import attempt_rows, records
from tellwire.stores.cold_audit import Deed
from tellwire.stores.cold_pages import Page, Turn, newest, since, unindexed
from tellwire.stores.tables import DUE, FAILED, LIVE, PARKED, attempts, deliveries, endpoints, events


class DeliveryFilter(Struct, frozen=True, kw_only=True):
    """Which deliveries; "" and None filter nothing. `since` is included, `until` is not."""

    endpoint_id: str = ""
    state: str = ""
    event_id: str = ""
    conversation_id: str = ""
    since: Micros | None = None
    until: Micros | None = None


class DeliveryEntry(Struct, frozen=True, kw_only=True):
    """A delivery, with its event's conversation and why its last attempt failed ("" when it did not)."""

    delivery: Delivery
    conversation_id: str
    cause: str


class _Cause(Struct):
    cause: str = ""


_cause = msgspec.json.Decoder(_Cause)
_MANY = 1000
_LIVE_OR_DUE = (LIVE, DUE)
_INDEXED = {
    "pending": _LIVE_OR_DUE,
    "delivering": _LIVE_OR_DUE,
    "retrying": _LIVE_OR_DUE,
    "parked": (PARKED,),
    "failed": (FAILED,),
}
"""State → the conditions of the partial indexes that hold it."""
_COLUMNS = tuple(deliveries.c[name] for name in records.DELIVERY)


def page(connection: Connection, organization_id: str, chosen: DeliveryFilter, turn: Turn) -> Page[DeliveryEntry]:
    """The deliveries of an organization."""
    narrow = chosen.endpoint_id or chosen.event_id or chosen.conversation_id
    query = _query(organization_id, narrow=bool(narrow))
    for column, value in (
        (deliveries.c.endpoint_id, chosen.endpoint_id),
        (deliveries.c.state, chosen.state),
        (deliveries.c.event_id, chosen.event_id),
    ):
        if value:
            query = query.where(column == value)
    few = _few(connection, organization_id, chosen.state)
    if few is not None:
        query = query.where(deliveries.c.id.in_(few))
    if chosen.conversation_id:
        theirs = select(events.c.id).where(
            events.c.conversation_id == chosen.conversation_id, unindexed(events.c.organization_id) == organization_id
        )
        query = query.where(deliveries.c.event_id.in_(theirs))
    if chosen.until is not None:
        query = query.where(deliveries.c.created_at < chosen.until)
    query = since(query, deliveries.c.id, deliveries.c.created_at, chosen.since)
    return newest(connection, query, deliveries.c.id, turn, _entry)


def get(connection: Connection, organization_id: str, delivery_id: str) -> DeliveryEntry | None:
    """One delivery of an organization."""
    row = connection.execute(_query(organization_id).where(deliveries.c.id == delivery_id)).one_or_none()
    return None if row is None else _entry(row)


def attempts_of(connection: Connection, delivery_id: str) -> Sequence[Attempt]:
    """Every attempt of a delivery that is still kept, oldest first."""
    query = (
        select(*(attempts.c[name] for name in attempt_rows.ATTEMPT))
        .where(attempts.c.delivery_id == delivery_id)
        .order_by(attempts.c.number)
    )
    return [attempt_rows.attempt(row) for row in connection.execute(query)]


def replay(connection: Connection, deed: Deed, delivery_id: str, *, webhook_id: str = "") -> DeliveryEntry | None:
    """Make a delivery due at once, once more, whatever its state; its schedule starts anew.

    `webhook_id` is the new id that it goes out under, "" to keep its own.

    Raises:
        Conflict: its endpoint is gone, or its event is.
    """
    entry = get(connection, deed.organization_id, delivery_id)
    if entry is None:
        return None
    delivery = entry.delivery
    state = connection.execute(
        select(endpoints.c.state).where(endpoints.c.id == delivery.endpoint_id)
    ).scalar_one_or_none()
    if state is None:
        raise Conflict("The endpoint of this delivery was deleted.")
    event = (events.c.organization_id == deed.organization_id) & (events.c.id == delivery.event_id)
    if connection.execute(select(events.c.id).where(event)).first() is None:
        raise Conflict("The event of this delivery is no longer kept.")
    connection.execute(
        update(deliveries)
        .where(deliveries.c.organization_id == deed.organization_id, deliveries.c.id == delivery_id)
        .values(
            state=DeliveryState.PENDING if state == "active" else DeliveryState.PARKED,
            lane="replay",
            replay=deliveries.c.replay + 1,
            burned=0,
            first_attempt_at=0,
            due_at=deed.at,
            updated_at=deed.at,
            webhook_id=webhook_id or deliveries.c.webhook_id,
        )
    )
    return get(connection, deed.organization_id, delivery_id)


def _few(connection: Connection, organization_id: str, state: str) -> list[str] | None:
    """The ids in a state that is rare, off the state's partial index; None where there are many or there is none."""
    found: list[str] = []
    for condition in _INDEXED.get(state, ()):
        mine = unindexed(deliveries.c.organization_id) == organization_id
        ids = select(deliveries.c.id).where(text(condition), mine).limit(_MANY - len(found))
        found += connection.execute(ids).scalars()
    return found if state in _INDEXED and len(found) < _MANY else None


def _query(organization_id: str, *, narrow: bool = False) -> Select[Any]:
    last = and_(attempts.c.delivery_id == deliveries.c.id, attempts.c.number == deliveries.c.attempts)
    owner = unindexed(deliveries.c.organization_id) if narrow else deliveries.c.organization_id
    return (
        select(*_COLUMNS, deliveries.c.conversation_id, attempts.c.record)
        .outerjoin(attempts, last)
        .where(owner == organization_id)
    )


def _entry(row: Any) -> DeliveryEntry:
    *columns, conversation_id, record = row
    cause = _cause.decode(record).cause if record is not None else ""
    return DeliveryEntry(delivery=records.delivery(columns), conversation_id=conversation_id, cause=cause)
