"""Messages, events and deliveries about one person, in portions; from groups only what is about the person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, select, text

from tellwire.model.agents import AgentRun
from tellwire.model.deliveries import Attempt, Delivery, Event
from tellwire.model.messaging import Message
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import columns, first, unindexed
from tellwire.stores.records import attempt_rows, ledger_rows, sending_rows
from tellwire.stores.schema.tables import OF_A_PERSON, agent_runs, attempts, deliveries, events, handovers, messages

T = TypeVar("T")

_MESSAGE = tuple(messages.c[name] for name in ledger_rows.MESSAGE)
_EVENT = tuple(events.c[name] for name in ledger_rows.EVENT)
_DELIVERY = tuple(deliveries.c[name] for name in ledger_rows.DELIVERY)
_RUN = tuple(agent_runs.c[name] for name in sending_rows.RUN)


_MOST_BYTES = 512 * 1024
"""A portion ends with the row that exceeds this: reading it holds a thread, sending it holds memory."""


class Portion(Struct, Generic[T], frozen=True):
    """Some rows; `after` is the id to continue behind, "" at the end."""

    rows: list[T]
    after: str


class ActiveHandover(Struct, frozen=True):
    """A conversation that was handed over to people: why, by whom and since when."""

    conversation_id: str
    reason: str
    by: str
    since: Micros


class DeliveryWithAttempts(Struct, frozen=True):
    """A delivery with its attempts that are still stored."""

    delivery: Delivery
    attempts: list[Attempt]


def messages_of(connection: Connection, conversation_ids: Collection[str], after: str, limit: int) -> Portion[Message]:
    """Return the next messages of conversations."""
    query = select(*_MESSAGE).where(messages.c.conversation_id.in_(conversation_ids))
    return _portion(connection, query, messages.c.id, ledger_rows.message, after=after, limit=limit)


def events_of(connection: Connection, conversation_ids: Collection[str], after: str, limit: int) -> Portion[Event]:
    """Return the next events of conversations."""
    query = select(*_EVENT).where(events.c.conversation_id.in_(conversation_ids))
    return _portion(connection, query, events.c.id, ledger_rows.event, after=after, limit=limit)


def events_about(connection: Connection, contact_ids: Collection[str], after: str, limit: int) -> Portion[Event]:
    """Return the next events about people that belong to no conversation."""
    query = select(*_EVENT).where(events.c.contact_id.in_(contact_ids), text(OF_A_PERSON))
    return _portion(connection, query, events.c.id, ledger_rows.event, after=after, limit=limit)


def runs_of(connection: Connection, conversation_ids: Collection[str], after: str, limit: int) -> Portion[AgentRun]:
    """Return the next runs of agents in conversations."""
    query = select(*_RUN).where(agent_runs.c.conversation_id.in_(conversation_ids))
    return _portion(connection, query, agent_runs.c.id, lambda row: AgentRun(**columns(row)), after=after, limit=limit)


def _portion(
    connection: Connection,
    query: Select[Any],
    key: ColumnElement[str],
    make: Callable[[Any], T],
    *,
    after: str,
    limit: int,
) -> Portion[T]:
    rows, more = first(connection.execute(query.where(key > after).order_by(key).limit(limit + 1)), limit, _MOST_BYTES)
    return Portion([make(row) for row in rows], rows[-1].id if more else "")


def handovers_of(
    connection: Connection, organization_id: str, conversation_ids: Collection[str]
) -> list[ActiveHandover]:
    """Return the handovers to people of these conversations."""
    mine = handovers.c.organization_id == organization_id
    query = select(handovers).where(mine, handovers.c.conversation_id.in_(conversation_ids))
    rows = connection.execute(query.order_by(handovers.c.conversation_id))
    return [ActiveHandover(row.conversation_id, row.reason, row.handed_by, row.created_at) for row in rows]


def only_about(
    connection: Connection, page: Sequence[Event], contact_ids: Collection[str], addresses: Collection[str]
) -> list[Event]:
    """Return the events of a group that are about a person: about their messages, or about them as a recipient."""
    if not page:
        return []
    written = select(messages.c.id).where(
        messages.c.organization_id == page[0].organization_id,
        messages.c.id.in_({event.message_id for event in page}),
        messages.c.contact_id.in_(contact_ids),
    )
    theirs = set(connection.execute(written).scalars())
    return [
        event
        for event in page
        if event.message_id in theirs
        or (event.snapshot.participants is not None and event.snapshot.participants.contact in addresses)
    ]


def deliveries_of(connection: Connection, page: Sequence[Event]) -> list[DeliveryWithAttempts]:
    """Return every delivery of these events, which are of one organization, with its attempts."""
    if not page:
        return []
    owner = unindexed(deliveries.c.organization_id) == page[0].organization_id
    query = select(*_DELIVERY).where(deliveries.c.event_id.in_([event.id for event in page]), owner)
    found = [ledger_rows.delivery(row) for row in connection.execute(query.order_by(deliveries.c.id))]
    made: dict[str, list[Attempt]] = {delivery.id: [] for delivery in found}
    tried = select(*(attempts.c[name] for name in attempt_rows.ATTEMPT)).where(attempts.c.delivery_id.in_(made))
    for row in connection.execute(tried.order_by(attempts.c.delivery_id, attempts.c.number)):
        attempt = attempt_rows.attempt(row)
        made[attempt.delivery_id].append(attempt)
    return [DeliveryWithAttempts(delivery, made[delivery.id]) for delivery in found]
