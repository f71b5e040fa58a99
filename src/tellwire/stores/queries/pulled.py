"""Deliveries that wait to be pulled, and the answers to them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, text

from tellwire.endpoints.traffic import TrafficCounter, by_width
from tellwire.model.deliveries import Delivery, ReplayEdit, Work
from tellwire.model.units import Micros
from tellwire.ports.storage import Result
from tellwire.stores.queries import delivery_results, endpoint_traffic, replays
from tellwire.stores.queries.paging import first, unindexed
from tellwire.stores.query_runner import QueryRunner
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import PARKED, deliveries, events

_DELIVERY = tuple(deliveries.c[name] for name in ledger_rows.DELIVERY)
_EVENT = tuple(events.c[name] for name in ledger_rows.EVENT)
_MICROS_OF_A_MILLISECOND = 1000


def waiting(
    connection: Connection, organization_id: str, endpoint_id: str, limit: int
) -> list[tuple[Work, ReplayEdit | None]]:
    """Return the deliveries that wait to be pulled, in the order of their commits, each with the edit of its replay.

    What is large ends the list early (`paging.first`).
    """
    ids = (
        select(deliveries.c.id)
        .where(deliveries.c.endpoint_id == endpoint_id, text(PARKED))
        .order_by(deliveries.c.endpoint_id, deliveries.c.id)
        .limit(limit)
    )
    names = connection.execute(ids).scalars().all()
    if not names:
        return []
    query = (
        select(*_DELIVERY, *_EVENT)
        .join(
            events, (events.c.organization_id == deliveries.c.organization_id) & (events.c.id == deliveries.c.event_id)
        )
        .where(deliveries.c.organization_id == organization_id, deliveries.c.id.in_(names))
        .order_by(deliveries.c.id)
    )
    rows, _ = first(connection.execute(query), limit)
    works = [_work(row) for row in rows]
    return [(work, _edit(connection, work.delivery)) for work in works]


def get(connection: Connection, organization_id: str, endpoint_id: str, delivery_id: str) -> Delivery | None:
    """Return a delivery of an endpoint, None when there is none."""
    query = select(*_DELIVERY).where(
        deliveries.c.organization_id == organization_id,
        deliveries.c.id == delivery_id,
        unindexed(deliveries.c.endpoint_id) == endpoint_id,
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else ledger_rows.delivery(row)


def settle(connection: Connection, store: QueryRunner, results: Sequence[Result], now: Micros) -> None:
    """Write results in the transaction that has read their deliveries, and count them for the endpoint's figures."""
    counter = TrafficCounter()
    for result in results:
        delivery_results.write(connection, store, result)
        attempt, delivery = result.attempt, result.delivery
        if attempt is not None:
            took = int(attempt.durations.get("total", 0.0) * _MICROS_OF_A_MILLISECOND)
            ok = attempt.outcome == "delivered"
            counter.note(delivery.endpoint_id, delivery.organization_id, ok=ok, took=took, now=now)
    if counted := by_width(counter.take()):
        endpoint_traffic.add(connection, counted, now)


def _work(row: Sequence[object]) -> Work:
    count = len(_DELIVERY)
    return Work(ledger_rows.delivery(row[:count]), ledger_rows.event(row[count:]))


def _edit(connection: Connection, delivery: Delivery) -> ReplayEdit | None:
    return replays.replay_edit(connection, delivery) if delivery.replay else None
