"""Operational events, recorded in the transaction of the change that they are about."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, insert, select, update

from tellwire.model.deliveries import Delivery, DeliveryState, Event
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.routing import partition
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import accounts, deliveries, endpoints, events, sequences

_NOTIFIED = "tellwire.notified"


class _Subscriber(Struct, frozen=True):
    endpoint_id: str
    state: str


class _Options(Struct):
    events: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()


_options = msgspec.json.Decoder(_Options)


def record(connection: Connection, change: AuditChange, operational_event: OperationalEvent) -> None:
    """Record an operational event of the change's organization, and a delivery for each endpoint subscribed to it."""
    event = operational_event.event(change.new_id(), change.organization_id, change.at)
    connection.execute(insert(events).values(dict(zip(ledger_rows.EVENT, ledger_rows.event_row(event), strict=True))))
    notified: set[str] = connection.info.setdefault(_NOTIFIED, set())
    for each in list(_subscribers(connection, change.organization_id, operational_event)):
        _deliver(connection, change, event, each.endpoint_id, active=each.state == "active")
        notified.add(each.endpoint_id)


def has_subscriber(connection: Connection, organization_id: str, operational_event: OperationalEvent) -> bool:
    """Return whether an endpoint subscribes to this event."""
    return next(_subscribers(connection, organization_id, operational_event), None) is not None


def take_notified(connection: Connection) -> list[str] | None:
    """Return the endpoints that got a new event since the last call, None when there was no event at all.

    Some may come from changes that were rolled back, so the result may be used as a hint only.
    """
    notified: set[str] | None = connection.info.pop(_NOTIFIED, None)
    return None if notified is None else sorted(notified)


def _subscribers(
    connection: Connection, organization_id: str, operational_event: OperationalEvent
) -> Iterator[_Subscriber]:
    """Yield the endpoints that subscribe to this event."""
    mine = endpoints.c.organization_id == organization_id
    query = select(endpoints.c.id, endpoints.c.state, endpoints.c.options).where(
        mine, endpoints.c.id != operational_event.endpoint_id
    )
    for identifier, state, options in connection.execute(query.order_by(endpoints.c.id)).all():
        wanted = _options.decode(options)
        if operational_event.name in wanted.events and _of_these_accounts(
            connection, operational_event.account_id, wanted.accounts
        ):
            yield _Subscriber(identifier, state)


def _of_these_accounts(connection: Connection, account_id: str, wanted: tuple[str, ...]) -> bool:
    if not account_id or not wanted or account_id in wanted:
        return True
    number = select(accounts.c.phone_number_id).where(accounts.c.id == account_id)
    return connection.execute(number).scalar_one_or_none() in wanted


def _deliver(connection: Connection, change: AuditChange, event: Event, endpoint_id: str, *, active: bool) -> None:
    identifier = change.new_id()
    delivery = Delivery(
        id=identifier,
        organization_id=event.organization_id,
        event_id=event.id,
        endpoint_id=endpoint_id,
        order_key=event.order_key,
        sequence=_next_sequence(connection, endpoint_id, event.order_key),
        partition=partition(endpoint_id, event.order_key),
        state=DeliveryState.PENDING if active else DeliveryState.PARKED,
        webhook_id=f"msg_{identifier.replace('-', '')}",
        due_at=change.at,
        created_at=change.at,
        updated_at=change.at,
    )
    connection.execute(insert(deliveries).values(delivery_values(delivery, event)))


def delivery_values(delivery: Delivery, event: Event) -> dict[str, object]:
    """Return the columns of a delivery."""
    return {**asdict(delivery), "state": delivery.state.value, "conversation_id": event.conversation_id}


def _next_sequence(connection: Connection, endpoint_id: str, order_key: str) -> int:
    place = (sequences.c.endpoint_id == endpoint_id) & (sequences.c.order_key == order_key)
    last = connection.execute(select(sequences.c.last).where(place)).scalar_one_or_none()
    if last is None:
        connection.execute(insert(sequences).values(endpoint_id=endpoint_id, order_key=order_key, last=1))
        return 1
    connection.execute(update(sequences).where(place).values(last=last + 1))
    return int(last) + 1
