"""Deliveries and their attempts."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import reduce
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Select, and_, select, text

from tellwire.ids import id_floor
from tellwire.model.deliveries import IN_LINE, Attempt, Delivery
from tellwire.model.units import MICROS, Micros
from tellwire.stores.queries.paging import Page, PageRequest, matching, newest, since, unindexed
from tellwire.stores.records import attempt_rows, ledger_rows
from tellwire.stores.schema.tables import (
    DUE,
    FAILED,
    FAILING,
    LIVE,
    PARKED,
    RENAMED,
    TOGETHER,
    attempts,
    conversations,
    deliveries,
    endpoints,
    events,
    messages,
    replay_edits,
)


class DeliveryFilter(Struct, frozen=True, kw_only=True):
    """Filters of a list of deliveries; "" and None filter nothing. `since` is included, `until` is not.

    `webhook_id` may be any that a delivery had by its id or its last replay; `party` is a contact's id or a
    group's.
    """

    endpoint_id: str = ""
    state: str = ""
    event_id: str = ""
    conversation_id: str = ""
    webhook_id: str = ""
    party: str = ""
    message_id: str = ""
    ids: tuple[str, ...] = ()
    failure: tuple[str, str] | None = None
    """an endpoint and the reason for which the last attempts failed"""
    since: Micros | None = None
    until: Micros | None = None


class DeliveryEntry(Struct, frozen=True, kw_only=True):
    """A delivery, its event's conversation, and why its last attempt failed ("" when it did not).

    `status`: what its last attempt was answered with, 0 for nothing. A list has the names of the event and the
    endpoint as well, "" for those that are no longer there.
    """

    delivery: Delivery
    conversation_id: str
    cause: str
    replay_url: str = ""
    """the URL of its last replay, "" for the endpoint's"""
    replay_edited: bool = False
    """whether its last replay has a body of its own"""
    status: int = 0
    event_name: str = ""
    endpoint_name: str = ""


class _Last(Struct):
    cause: str = ""
    status: int = 0


_last = msgspec.json.Decoder(_Last)
_MANY = 1000
_AHEAD = 10 * MICROS


class _Options(Struct):
    description: str = ""


_options = msgspec.json.Decoder(_Options)
_LIVE_OR_DUE = (LIVE, DUE)
_INDEXED = {
    "pending": _LIVE_OR_DUE,
    "delivering": _LIVE_OR_DUE,
    "retrying": _LIVE_OR_DUE,
    "parked": (PARKED,),
    "failed": (FAILED,),
}
"""State → the conditions of the partial indexes that hold it."""
_COLUMNS = tuple(deliveries.c[name] for name in ledger_rows.DELIVERY)


def in_line(connection: Connection, organization_id: str, delivery_ids: Collection[str]) -> list[str]:
    """Return those of these deliveries of an organization that still have their turn in order."""
    query = select(deliveries.c.id).where(
        deliveries.c.organization_id == organization_id,
        deliveries.c.id.in_(delivery_ids),
        deliveries.c.lane == "live",
        deliveries.c.state.in_([state.value for state in IN_LINE]),
    )
    return list(connection.execute(query).scalars())


def page(
    connection: Connection, organization_id: str, chosen: DeliveryFilter, request: PageRequest
) -> Page[DeliveryEntry]:
    """Return a page of the deliveries of an organization."""
    events_of = _events_of(connection, organization_id, chosen)
    narrow = chosen.endpoint_id or chosen.event_id or events_of or chosen.failure
    query = _query(organization_id, narrow=bool(narrow))
    query = matching(
        query,
        (deliveries.c.endpoint_id, chosen.endpoint_id),
        (deliveries.c.state, chosen.state),
        (deliveries.c.event_id, chosen.event_id),
    )
    few = _few(connection, organization_id, chosen.state)
    if few is not None:
        query = query.where(deliveries.c.id.in_(few))
    query = reduce(lambda so_far, theirs: so_far.where(deliveries.c.event_id.in_(theirs)), events_of, query)
    if chosen.ids:
        query = query.where(deliveries.c.id.in_(chosen.ids))
    if chosen.failure is not None:
        endpoint_id, failure = chosen.failure
        of_kind = (deliveries.c.endpoint_id == endpoint_id, deliveries.c.failure == failure)
        query = query.where(text(FAILING), *of_kind)
    if chosen.webhook_id:
        query = query.where(deliveries.c.id.in_(of_webhook_id(connection, chosen.webhook_id)))
    if chosen.until is not None:
        # Ids are at most a little ahead of the clock, unless it was set back.
        query = query.where(deliveries.c.id < id_floor(chosen.until + _AHEAD), deliveries.c.created_at < chosen.until)
    query = since(query, deliveries.c.id, deliveries.c.created_at, chosen.since)
    found = newest(connection, query, deliveries.c.id, request, _entry)
    return Page(named(connection, organization_id, found.items), found.after)


def named(connection: Connection, organization_id: str, some: Sequence[DeliveryEntry]) -> list[DeliveryEntry]:
    """Return entries with the names of their events and endpoints, which are looked up all at once."""
    event_ids = {each.delivery.event_id for each in some}
    endpoint_ids = {each.delivery.endpoint_id for each in some}
    mine = (events.c.organization_id == organization_id, events.c.id.in_(event_ids))
    named_events = connection.execute(select(events.c.id, events.c.name).where(*mine))
    event_names = {row.id: row.name for row in named_events}
    where = (endpoints.c.organization_id == organization_id, endpoints.c.id.in_(endpoint_ids))
    rows = connection.execute(select(endpoints.c.id, endpoints.c.url, endpoints.c.options).where(*where))
    endpoint_names = {row.id: _options.decode(row.options).description or row.url for row in rows}
    return [
        replace(
            each,
            event_name=event_names.get(each.delivery.event_id, ""),
            endpoint_name=endpoint_names.get(each.delivery.endpoint_id, ""),
        )
        for each in some
    ]


def _events_of(connection: Connection, organization_id: str, chosen: DeliveryFilter) -> list[Select[Any]]:
    """Return the events of the conversation, contact and message that are chosen, each found by the index of their
    conversation."""
    mine = unindexed(events.c.organization_id) == organization_id
    of = events.c.conversation_id
    found = []
    if chosen.conversation_id:
        found.append(select(events.c.id).where(of == chosen.conversation_id, mine))
    if chosen.party:
        theirs = select(conversations.c.id).where(
            conversations.c.party == chosen.party, unindexed(conversations.c.organization_id) == organization_id
        )
        found.append(select(events.c.id).where(of.in_(theirs), mine))
    if chosen.message_id:
        where = select(messages.c.conversation_id).where(
            messages.c.organization_id == organization_id, messages.c.id == chosen.message_id
        )
        # The events of a message come after it, and ids rise in commit order.
        later = events.c.id >= chosen.message_id
        conversation_id = connection.execute(where).scalar() or ""
        about = events.c.message_id == chosen.message_id
        found.append(select(events.c.id).where(of == conversation_id, later, about, mine))
    return found


def of_webhook_id(connection: Connection, webhook_id: str) -> list[str]:
    """Return the ids of the deliveries that a `webhook-id` is of: the one that it is made of, replays under it, and
    those of a group that is sent under it."""
    digits = webhook_id.removeprefix("msg_")
    made_of = [str(UUID(digits))] if re.fullmatch(r"[0-9a-f]{32}", digits) else []
    renamed = select(deliveries.c.id).where(text(RENAMED), deliveries.c.webhook_id == webhook_id)
    group = select(deliveries.c.id).where(text(TOGETHER), deliveries.c.together == webhook_id)
    return [*made_of, *connection.execute(renamed).scalars(), *connection.execute(group).scalars()]


def get(connection: Connection, organization_id: str, delivery_id: str) -> DeliveryEntry | None:
    """Return a delivery of an organization, None when there is none."""
    row = connection.execute(_query(organization_id).where(deliveries.c.id == delivery_id)).one_or_none()
    return None if row is None else _entry(row)


def sent_together(connection: Connection, organization_id: str, together: str) -> list[Delivery]:
    """Return the deliveries that are sent under one `webhook-id`, in order."""
    mine = unindexed(deliveries.c.organization_id) == organization_id
    query = select(*_COLUMNS).where(text(TOGETHER), deliveries.c.together == together, mine).order_by(deliveries.c.id)
    return [ledger_rows.delivery(row) for row in connection.execute(query)]


def endpoint_of(connection: Connection, organization_id: str, delivery_id: str) -> str:
    """Return the id of the endpoint that a delivery goes to, "" when there is no such delivery."""
    mine = (deliveries.c.organization_id == organization_id) & (deliveries.c.id == delivery_id)
    return connection.execute(select(deliveries.c.endpoint_id).where(mine)).scalar_one_or_none() or ""


def attempts_of(connection: Connection, delivery_id: str) -> Sequence[Attempt]:
    """Return the attempts of a delivery that are still stored, oldest first."""
    query = (
        select(*(attempts.c[name] for name in attempt_rows.ATTEMPT))
        .where(attempts.c.delivery_id == delivery_id)
        .order_by(attempts.c.number)
    )
    return [attempt_rows.attempt(row) for row in connection.execute(query)]


def _few(connection: Connection, organization_id: str, state: str) -> list[str] | None:
    """Return the ids in a rare state, read from the state's partial index; None for many, or without such an index."""
    found: list[str] = []
    for condition in _INDEXED.get(state, ()):
        mine = unindexed(deliveries.c.organization_id) == organization_id
        ids = select(deliveries.c.id).where(text(condition), mine).limit(_MANY - len(found))
        found += connection.execute(ids).scalars()
    return found if state in _INDEXED and len(found) < _MANY else None


def _query(organization_id: str, *, narrow: bool = False) -> Select[Any]:
    last = and_(attempts.c.delivery_id == deliveries.c.id, attempts.c.number == deliveries.c.attempts)
    edited = and_(
        replay_edits.c.organization_id == deliveries.c.organization_id,
        replay_edits.c.delivery_id == deliveries.c.id,
        replay_edits.c.replay == deliveries.c.replay,
    )
    owner = unindexed(deliveries.c.organization_id) if narrow else deliveries.c.organization_id
    return (
        select(
            *_COLUMNS,
            deliveries.c.conversation_id,
            attempts.c.record,
            replay_edits.c.url,
            replay_edits.c.body.is_not(None).label("edited"),
        )
        .outerjoin(attempts, last)
        .outerjoin(replay_edits, edited)
        .where(owner == organization_id)
    )


def _entry(row: Any) -> DeliveryEntry:
    *columns, conversation_id, record, url, edited = row
    last = _last.decode(record) if record is not None else _Last()
    return DeliveryEntry(
        delivery=ledger_rows.delivery(columns),
        conversation_id=conversation_id,
        cause=last.cause,
        status=last.status,
        replay_url=url or "",
        replay_edited=bool(edited),
    )
