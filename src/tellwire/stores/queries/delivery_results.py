"""Results that somebody is to be told of, written together with the news: a delivery is given up."""

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


def _is_told(registry: Registry, delivery: Delivery) -> bool:
    """Whether the organization has an endpoint that wants to hear that a delivery is given up."""
    return any(
        EXHAUSTED in endpoint.events
        for endpoint in registry.endpoints.values()
        if endpoint.organization_id == delivery.organization_id and endpoint.id != delivery.endpoint_id
    )


async def record_telling(
    store: QueryRunner, results: Iterable[Result], *, record: Callable[[list[Result]], Awaitable[Collection[str]]]
) -> Collection[str]:
    """Write results, those that somebody is told of together with the news, the others by the store's
    own `record`.

    Returns: the ids of those that were dropped for their epoch.
    """
    every, registry = list(results), store.registry()
    telling = [r for r in every if r.delivery.state is DeliveryState.FAILED and _is_told(registry, r.delivery)]
    if not telling:
        return await record(every)
    apart = set(map(id, telling))
    refused = set(await record([r for r in every if id(r) not in apart]))
    return refused.union(await store.write(lambda c: [r.delivery.id for r in telling if not _record(c, store, r)]))


def _record(connection: Connection, store: QueryRunner, result: Result) -> bool:
    delivery, attempt = result.delivery, result.attempt
    if not _is_in_force(connection, delivery.partition, result.epoch):
        return False
    if attempt is not None:
        _add_attempt(connection, attempt)
    place = (deliveries.c.organization_id == delivery.organization_id) & (deliveries.c.id == delivery.id)
    known = connection.execute(select(deliveries.c.state, deliveries.c.replay).where(place)).one_or_none()
    if known is None or known.state == DeliveryState.CANCELLED:
        return True
    values: dict[str, Any] = {name: getattr(delivery, name) for name in result_rows.OF_ANY_REPLAY}
    ends = known.replay == delivery.replay  # else it was asked for again while this attempt was in flight
    if ends:
        values |= {name: getattr(delivery, name) for name in result_rows.OF_THIS_REPLAY}
    connection.execute(update(deliveries).where(place).values(values))
    if ends and known.state != DeliveryState.FAILED:
        _tell(connection, store, delivery, attempt)
    return True


def _is_in_force(connection: Connection, partition: int, epoch: int) -> bool:
    query = select(leases.c.epoch).where(leases.c.partition == partition).with_for_update(read=True)
    return connection.execute(query).scalar_one_or_none() == epoch


def _add_attempt(connection: Connection, attempt: Attempt) -> None:
    place = (attempts.c.delivery_id == attempt.delivery_id) & (attempts.c.number == attempt.number)
    if connection.execute(select(attempts.c.number).where(place)).first() is None:
        connection.execute(
            insert(attempts).values(dict(zip(attempt_rows.ATTEMPT, attempt_rows.attempt_row(attempt), strict=True)))
        )


def _tell(connection: Connection, store: QueryRunner, delivery: Delivery, attempt: Attempt | None) -> None:
    event = events.get(connection, delivery.organization_id, delivery.event_id)
    if event is None or event.entity == "operational":  # news about news would go round in circles
        return
    news = exhausted(delivery, event, attempt.cause if attempt is not None else "")
    if operational.subscribed(connection, delivery.organization_id, news):
        change = AuditChange(delivery.organization_id, OURSELVES, delivery.updated_at, store.new_id)
        operational.tell(connection, change, news)
