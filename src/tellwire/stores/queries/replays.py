"""Replays: deliveries that are made once more on request, perhaps edited."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, bindparam, insert, select, update

from tellwire.errors import Conflict
from tellwire.model.deliveries import Delivery, DeliveryState, ReplayEdit
from tellwire.model.units import Micros
from tellwire.stores.queries import deliveries as delivery_queries
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.queries.deliveries import DeliveryEntry
from tellwire.stores.schema.tables import deliveries, endpoints, events, replay_edits


def replay(
    connection: Connection,
    change: AuditChange,
    delivery_id: str,
    *,
    new_id: bool = False,
    edit: ReplayEdit | None = None,
    position: int = 0,
) -> DeliveryEntry | None:
    """Make a delivery due again at once, whatever its state; its schedule of retries starts anew.

    Args:
        new_id: whether it gets a new `webhook-id`.
        edit: another URL or body for this replay.
        position: its position among replays requested together; each is due one micro later.

    Raises:
        Conflict: its endpoint was deleted, or its event is no longer stored.
    """
    entry = delivery_queries.get(connection, change.organization_id, delivery_id)
    if entry is None:
        return None
    delivery = entry.delivery
    state = connection.execute(
        select(endpoints.c.state).where(endpoints.c.id == delivery.endpoint_id)
    ).scalar_one_or_none()
    if state is None:
        raise Conflict("The endpoint of this delivery was deleted.")
    if state == "pulled" and edit is not None and edit.url:
        raise Conflict("Deliveries of this endpoint are pulled, and go to no URL.", kind="endpoint-pulled")
    event = (events.c.organization_id == change.organization_id) & (events.c.id == delivery.event_id)
    if connection.execute(select(events.c.id).where(event)).first() is None:
        raise Conflict("The event of this delivery is no longer kept.")
    webhook_id = fresh_webhook_id(change) if new_id else delivery.webhook_id
    queue_replays(
        connection, change, [QueuedReplay(delivery_id, change.at + position, webhook_id)], active=state == "active"
    )
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
    return delivery_queries.get(connection, change.organization_id, delivery_id)


class QueuedReplay(Struct, frozen=True):
    """A delivery to replay, when it is due, and its `webhook-id`."""

    delivery_id: str
    due_at: Micros
    webhook_id: str


def queue_replays(connection: Connection, change: AuditChange, some: Sequence[QueuedReplay], *, active: bool) -> None:
    """Put deliveries of the organization into the lane of replays, parked when their endpoint is not active."""
    if not some:
        return
    mine = deliveries.c.organization_id == change.organization_id
    query = (
        update(deliveries)
        .where(mine, deliveries.c.id == bindparam("of"))
        .values(
            state=(DeliveryState.PENDING if active else DeliveryState.PARKED).value,
            lane="replay",
            replay=deliveries.c.replay + 1,
            counted_attempts=0,
            first_attempt_at=0,
            due_at=bindparam("at"),
            updated_at=change.at,
            webhook_id=bindparam("under"),
        )
    )
    connection.execute(query, [{"of": each.delivery_id, "at": each.due_at, "under": each.webhook_id} for each in some])


def fresh_webhook_id(change: AuditChange) -> str:
    """Return a new `webhook-id`."""
    return f"msg_{change.new_id().replace('-', '')}"


def replay_many(
    connection: Connection, change: AuditChange, ids: Sequence[str], *, new_id: bool
) -> list[DeliveryEntry | None]:
    """Call `replay` for several deliveries, due in this order; the result is None for those that do not exist.

    Raises:
        Conflict: the endpoint of one was deleted, or its event is no longer stored.
    """
    return [replay(connection, change, each, new_id=new_id, position=position) for position, each in enumerate(ids)]


def replay_edit(connection: Connection, delivery: Delivery) -> ReplayEdit | None:
    """Return the edit of a delivery's current replay, None when it has none."""
    row = connection.execute(
        select(replay_edits.c.url, replay_edits.c.body).where(
            replay_edits.c.organization_id == delivery.organization_id,
            replay_edits.c.delivery_id == delivery.id,
            replay_edits.c.replay == delivery.replay,
        )
    ).one_or_none()
    return None if row is None else ReplayEdit(url=row.url, body=row.body)
