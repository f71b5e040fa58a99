"""Deliveries that are asked for again, and what is other about those."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from tellwire.errors import Conflict
from tellwire.model import Delivery, DeliveryState, Edit, Micros
from tellwire.stores import cold_deliveries
from tellwire.stores.cold_audit import Deed
from tellwire.stores.cold_deliveries import DeliveryEntry
from tellwire.stores.tables import deliveries, endpoints, events, replay_edits


def replay(
    connection: Connection,
    deed: Deed,
    delivery_id: str,
    *,
    new_id: bool = False,
    edit: Edit | None = None,
    turn: int = 0,
) -> DeliveryEntry | None:
    """Make a delivery due at once, once more, whatever its state; its schedule starts anew.

    Args:
        new_id: whether it goes out under a fresh `webhook-id`.
        edit: what is other about it.
        turn: its place among others that are asked for at the same moment.

    Raises:
        Conflict: its endpoint is gone, or its event is.
    """
    entry = cold_deliveries.get(connection, deed.organization_id, delivery_id)
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
    due_again(connection, deed, delivery, due_at=deed.at + turn, active=state == "active", new_id=new_id)
    if edit is not None and edit.parts:
        connection.execute(
            insert(replay_edits).values(
                organization_id=delivery.organization_id,
                delivery_id=delivery.id,
                replay=delivery.replay + 1,
                url=edit.url,
                body=edit.body,
            )
        )
    return cold_deliveries.get(connection, deed.organization_id, delivery_id)


def due_again(
    connection: Connection, deed: Deed, delivery: Delivery, *, due_at: Micros, active: bool, new_id: bool
) -> None:
    """Put a delivery into the lane of replays; parked when its endpoint is not active."""
    values = {
        "state": (DeliveryState.PENDING if active else DeliveryState.PARKED).value,
        "lane": "replay",
        "replay": deliveries.c.replay + 1,
        "burned": 0,
        "first_attempt_at": 0,
        "due_at": due_at,
        "updated_at": deed.at,
    }
    if new_id:
        values["webhook_id"] = fresh_webhook_id(deed)
    mine = deliveries.c.organization_id == delivery.organization_id
    connection.execute(update(deliveries).where(mine, deliveries.c.id == delivery.id).values(values))


def fresh_webhook_id(deed: Deed) -> str:
    """A `webhook-id` that no delivery has had."""
    return f"msg_{deed.new_id().replace('-', '')}"


def selection(connection: Connection, deed: Deed, ids: Sequence[str], *, new_id: bool) -> list[DeliveryEntry | None]:
    """`replay` of several, in this order; None for what is not there.

    Raises:
        Conflict: the endpoint or the event of one is gone.
    """
    return [replay(connection, deed, each, new_id=new_id, turn=turn) for turn, each in enumerate(ids)]


def edit(connection: Connection, delivery: Delivery) -> Edit | None:
    """What is other about this replay of a delivery."""
    row = connection.execute(
        select(replay_edits.c.url, replay_edits.c.body).where(
            replay_edits.c.organization_id == delivery.organization_id,
            replay_edits.c.delivery_id == delivery.id,
            replay_edits.c.replay == delivery.replay,
        )
    ).one_or_none()
    return None if row is None else Edit(url=row.url, body=row.body)
