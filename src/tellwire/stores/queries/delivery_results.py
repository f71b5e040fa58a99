"""Results by which a delivery is given up, written together with the operational event about that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from sqlalchemy import Connection, insert, select, update

from tellwire.model.deliveries import Attempt, Delivery, DeliveryState
from tellwire.model.operational_events import EXHAUSTED, exhausted
from tellwire.model.registry import Registry
from tellwire.ports.storage import Result
from tellwire.stores.queries import events, operational
from tellwire.stores.queries.audit import OURSELVES, AuditChange
from tellwire.stores.query_runner import QueryRunner
from tellwire.stores.records import attempt_rows, result_rows
from tellwire.stores.schema.tables import attempts, deliveries, leases


def _has_listener(registry: Registry, delivery: Delivery) -> bool:
    """Return whether another endpoint of the organization subscribes to deliveries that are given up."""
    return any(
        EXHAUSTED in endpoint.events
        for endpoint in registry.endpoints.values()
        if endpoint.organization_id == delivery.organization_id and endpoint.id != delivery.endpoint_id
    )


async def record_and_notify(
    store: QueryRunner, results: Iterable[Result], *, record: Callable[[list[Result]], Awaitable[Collection[str]]]
) -> Collection[str]:
    """Write results: those that an endpoint subscribes to with their event, the others by `record`.

    Returns: the ids of deliveries whose result was dropped because its epoch is outdated.
    """
    every, registry = list(results), store.registry()
    notified = [r for r in every if r.delivery.state is DeliveryState.FAILED and _has_listener(registry, r.delivery)]
    if not notified:
        return await record(every)
    notified_ids = set(map(id, notified))
    refused = set(await record([r for r in every if id(r) not in notified_ids]))
    return refused.union(await store.write(lambda c: [r.delivery.id for r in notified if not _record(c, store, r)]))


def _record(connection: Connection, store: QueryRunner, result: Result) -> bool:
    if not _is_in_force(connection, result.delivery.partition, result.epoch):
        return False
    write(connection, store, result)
    return True


def write(connection: Connection, store: QueryRunner, result: Result) -> None:
    """Write a result and, where a delivery was given up, its event for the endpoints that subscribe to it."""
    delivery, attempt = result.delivery, result.attempt
    if attempt is not None:
        _add_attempt(connection, attempt)
    place = (deliveries.c.organization_id == delivery.organization_id) & (deliveries.c.id == delivery.id)
    known = connection.execute(select(deliveries.c.state, deliveries.c.replay).where(place)).one_or_none()
    if known is None or known.state == DeliveryState.CANCELLED:
        return
    values: dict[str, Any] = {name: getattr(delivery, name) for name in result_rows.OF_ANY_REPLAY}
    ends = known.replay == delivery.replay  # else it was replayed while this attempt was in flight
    if ends:
        values |= {name: getattr(delivery, name) for name in result_rows.OF_THIS_REPLAY}
    connection.execute(update(deliveries).where(place).values(values))
    if ends and delivery.state is DeliveryState.FAILED and known.state != DeliveryState.FAILED:
        _notify(connection, store, delivery, attempt)


def _is_in_force(connection: Connection, partition: int, epoch: int) -> bool:
    query = select(leases.c.epoch).where(leases.c.partition == partition).with_for_update(read=True)
    return connection.execute(query).scalar_one_or_none() == epoch


def _add_attempt(connection: Connection, attempt: Attempt) -> None:
    place = (attempts.c.delivery_id == attempt.delivery_id) & (attempts.c.number == attempt.number)
    if connection.execute(select(attempts.c.number).where(place)).first() is None:
        connection.execute(
            insert(attempts).values(dict(zip(attempt_rows.ATTEMPT, attempt_rows.attempt_row(attempt), strict=True)))
        )


def _notify(connection: Connection, store: QueryRunner, delivery: Delivery, attempt: Attempt | None) -> None:
    event = events.get(connection, delivery.organization_id, delivery.event_id)
    if event is None or event.entity == "operational":  # an event about an event would lead to another, without end
        return
    given_up = exhausted(delivery, event, attempt.cause if attempt is not None else "")
    if operational.has_subscriber(connection, delivery.organization_id, given_up):
        change = AuditChange(delivery.organization_id, OURSELVES, delivery.updated_at, store.new_id)
        operational.record(connection, change, given_up)
