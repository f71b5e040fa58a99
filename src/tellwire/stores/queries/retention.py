"""Rows that are old enough to be removed: found in small ranges by readers, removed in small batches by the writer.

Every search follows a primary key. The removal checks every row again, because a delivery may have been replayed since
the search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Column, ColumnElement, Connection, Table, and_, delete, exists, func, or_, select, text, tuple_

from tellwire.ids import id_floor
from tellwire.model.deliveries import DeliveryState
from tellwire.model.units import MICROS, Micros
from tellwire.ports.queues import Cutoffs, ExpiredRows
from tellwire.stores.queries import media, send_cleanup
from tellwire.stores.schema.sending import sends
from tellwire.stores.schema.tables import (
    TOLD,
    agent_runs,
    attempts,
    conversation_labels,
    conversation_marks,
    conversations,
    deliveries,
    endpoints,
    events,
    handovers,
    held_items,
    idempotency_keys,
    inbound,
    message_statuses,
    messages,
    notes,
    organizations,
    replay_edits,
    source_items,
)

_SCAN = 5_000
_BYTES = 1024 * 1024
_OVER = (DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.CANCELLED)

Conditions = Sequence[ColumnElement[bool]]


_NOTHING = ExpiredRows((), "", "")


class RowKind(Struct, frozen=True):
    """A kind of rows. `find(connection, organization_id, after, cutoffs, limit)` searches a bounded range;
    `remove(connection, organization_id, keys, cutoffs, limit)` removes at most `limit` rows and counts them by
    table. `shared`: its rows are not kept by organization."""

    name: str
    find: Callable[[Connection, str, str, Cutoffs, int], ExpiredRows]
    remove: Callable[[Connection, str, Sequence[Any], Cutoffs, int], Mapping[str, int]]
    shared: bool = False


def owners(connection: Connection) -> Sequence[str]:
    """Return the ids of all organizations."""
    return connection.execute(select(organizations.c.id).order_by(organizations.c.id)).scalars().all()


def _scan(connection: Connection, key: Column[str], within: Conditions, expired: Conditions, limit: int) -> ExpiredRows:
    """Return the next keys that match `gone` among the next `_SCAN` rows that match `within`."""
    last = connection.execute(select(key).where(*within).order_by(key).offset(_SCAN - 1).limit(1)).scalar()
    bounds = within if last is None else (*within, key <= last)
    keys = connection.execute(select(key).where(*bounds, *expired).order_by(key).limit(limit)).scalars().all()
    return ExpiredRows(keys, keys[-1] if keys else "", last or "")


def _mine(table: Table, organization_id: str, after: str, before: Micros) -> Conditions:
    """Return the conditions for an organization's rows created before a time, to the microsecond.

    The id, which holds the millisecond, bounds the search."""
    columns = table.c
    return (
        columns.organization_id == organization_id,
        columns.id > after,
        columns.id < id_floor(before + 999),
        columns.created_at < before,
    )


def _these(table: Table, organization_id: str, keys: Sequence[str]) -> ColumnElement[bool]:
    return and_(table.c.organization_id == organization_id, table.c.id.in_(keys))


def _delete(connection: Connection, table: Table, *where: ColumnElement[bool]) -> int:
    return connection.execute(delete(table).where(*where)).rowcount


# --- deliveries that are over, with their attempts --------------------------------------------------------------------


_PULLED = exists().where(endpoints.c.id == deliveries.c.endpoint_id, endpoints.c.state == "pulled")
_UNASKED = and_(deliveries.c.state == DeliveryState.PARKED, _PULLED)
"""Deliveries that nobody has asked for: were they kept for ever, a listener that is gone would keep every event."""


def _over(cutoffs: Cutoffs) -> Conditions:
    return (or_(deliveries.c.state.in_(_OVER), _UNASKED), deliveries.c.updated_at < cutoffs.payloads)


def _find_deliveries(c: Connection, organization_id: str, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
    within = _mine(deliveries, organization_id, after, cutoffs.payloads)
    return _scan(c, deliveries.c.id, within, _over(cutoffs), limit)


def _remove_deliveries(
    c: Connection, organization_id: str, keys: Sequence[str], cutoffs: Cutoffs, limit: int
) -> Mapping[str, int]:
    still = select(deliveries.c.id).where(_these(deliveries, organization_id, keys), *_over(cutoffs))
    keys = c.execute(still.order_by(deliveries.c.id)).scalars().all()
    made, left = _children(c, (attempts.c.delivery_id, attempts.c.number), attempts.c.delivery_id.in_(keys), limit)
    edits = 0
    if not left:
        edited = and_(replay_edits.c.organization_id == organization_id, replay_edits.c.delivery_id.in_(keys))
        key = (replay_edits.c.delivery_id, replay_edits.c.replay)
        edits, left = _children(c, key, edited, limit - made)
    removed = 0 if left else _delete(c, deliveries, _these(deliveries, organization_id, keys[: limit - made - edits]))
    return {"attempts": made, "replay_edits": edits, "deliveries": removed}


def _children(c: Connection, key: tuple[Column[Any], ...], theirs: ColumnElement[bool], limit: int) -> tuple[int, bool]:
    """Remove at most `limit` rows that depend on others; return how many, and whether some are left."""
    rows = c.execute(select(*key).where(theirs).order_by(*key).limit(limit + 1)).all()
    if not rows:
        return 0, False
    left = len(rows) > limit
    which = tuple_(*key).in_([tuple(row) for row in rows[:limit]]) if left else theirs
    return _delete(c, key[0].table, which), left


# --- events that no delivery carries ----------------------------------------------------------------------------------


_UNCARRIED = ~exists().where(deliveries.c.event_id == events.c.id)


def _find_events(c: Connection, organization_id: str, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
    within = _mine(events, organization_id, after, cutoffs.payloads)
    return _scan(c, events.c.id, within, (_UNCARRIED,), limit)


def _remove_events(
    c: Connection, organization_id: str, keys: Sequence[str], _cutoffs: Cutoffs, _limit: int
) -> Mapping[str, int]:
    return {"events": _delete(c, events, _these(events, organization_id, keys), _UNCARRIED)}


# --- POSTs as received, and their items that wait ---------------------------------------------------------------------


def _find_held(c: Connection, _organization_id: str, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
    key = (held_items.c.inbound_id, held_items.c.pointer)
    query = select(*key).where(key[0] >= after, key[0] < id_floor(cutoffs.payloads)).order_by(*key).limit(limit)
    keys = [tuple(row) for row in c.execute(query)]
    return ExpiredRows(keys, keys[-1][0] if keys else "", "")


def _remove_held(
    c: Connection, _organization_id: str, keys: Sequence[tuple[str, str]], _cutoffs: Cutoffs, _limit: int
) -> Mapping[str, int]:
    return {"held_items": _delete(c, held_items, tuple_(held_items.c.inbound_id, held_items.c.pointer).in_(keys))}


def _find_inbound(c: Connection, _organization_id: str, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
    query = (
        select(inbound.c.id, func.length(inbound.c.body))
        .where(inbound.c.id > after, inbound.c.id < id_floor(cutoffs.payloads + 999))
        .where(inbound.c.received_at < cutoffs.payloads)
        .order_by(inbound.c.id)
        .limit(limit)
    )
    keys: list[str] = []
    size = 0
    for identifier, length in c.execute(query):
        size += length
        if keys and size > _BYTES:
            break
        keys.append(identifier)
    return ExpiredRows(keys, keys[-1] if keys else "", "")


def _remove_inbound(
    c: Connection, _organization_id: str, keys: Sequence[str], _cutoffs: Cutoffs, limit: int
) -> Mapping[str, int]:
    key = (held_items.c.inbound_id, held_items.c.pointer)
    waiting, left = _children(c, key, held_items.c.inbound_id.in_(keys), limit)
    removed = 0 if left else _delete(c, inbound, inbound.c.id.in_(keys[: limit - waiting]))
    return {"held_items": waiting, "inbound": removed}


# --- messages, and conversations that have none left ------------------------------------------------------------------


def _find_messages(c: Connection, organization_id: str, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
    if cutoffs.messages is None:
        return _NOTHING
    within = _mine(messages, organization_id, after, cutoffs.messages)
    return _scan(c, messages.c.id, within, _removable(cutoffs), limit)


def _removable(cutoffs: Cutoffs) -> Conditions:
    return (messages.c.updated_at < cutoffs.changed, send_cleanup.SETTLED)


def _remove_messages(
    c: Connection, organization_id: str, keys: Sequence[str], cutoffs: Cutoffs, limit: int
) -> Mapping[str, int]:
    query = (
        select(messages.c.id, messages.c.account_id, messages.c.wamid)
        .where(_these(messages, organization_id, keys), *_removable(cutoffs))
        .order_by(messages.c.id)
    )
    rows = c.execute(query).all()
    place = (message_statuses.c.account_id, message_statuses.c.wamid)
    known = [(row.account_id, row.wamid) for row in rows if row.wamid]
    key = (*place, message_statuses.c.name, message_statuses.c.participant)
    statuses, left = _children(c, key, tuple_(*place).in_(known), limit) if known else (0, False)
    ids, sent = [row.id for row in rows], 0
    if not left:
        theirs = and_(sends.c.organization_id == organization_id, sends.c.message_id.in_(ids))
        sent, left = _children(c, (sends.c.message_id,), theirs, limit - statuses)
    ids = ids[: limit - statuses - sent]
    if not left and ids:
        media.erase_of_messages(c, organization_id, ids, cutoffs.now)
    removed = 0 if left else _delete(c, messages, _these(messages, organization_id, ids))
    return {"message_statuses": statuses, "sends": sent, "messages": removed}


_NOTED = (
    (notes, (notes.c.organization_id, notes.c.id)),
    (
        conversation_labels,
        tuple(conversation_labels.c[name] for name in ("organization_id", "label_id", "conversation_id")),
    ),
    (conversation_marks, (conversation_marks.c.organization_id, conversation_marks.c.conversation_id)),
)
"""What people noted about conversations, which goes before them."""
_EMPTY = and_(conversations.c.status == "closed", ~exists().where(messages.c.conversation_id == conversations.c.id))


def _find_conversations(c: Connection, organization_id: str, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
    if cutoffs.messages is None:
        return _NOTHING
    within = _mine(conversations, organization_id, after, cutoffs.messages)
    return _scan(c, conversations.c.id, within, (_EMPTY,), limit)


def _remove_conversations(
    c: Connection, organization_id: str, keys: Sequence[str], _cutoffs: Cutoffs, limit: int
) -> Mapping[str, int]:
    empty = and_(_these(conversations, organization_id, keys), _EMPTY)
    theirs = select(conversations.c.id).where(empty)
    mine = handovers.c.organization_id == organization_id
    paused, left = _children(
        c, (handovers.c.conversation_id,), and_(mine, handovers.c.conversation_id.in_(theirs)), limit
    )
    counts = {"handovers": paused}
    for table, key in _NOTED:
        if not left:
            owned = and_(table.c.organization_id == organization_id, table.c.conversation_id.in_(theirs))
            counts[table.name], left = _children(c, key, owned, max(limit - sum(counts.values()), 0))
    some = select(conversations.c.id).where(empty).order_by(conversations.c.id)
    few = some.limit(max(limit - sum(counts.values()), 0))
    removed = 0 if left else _delete(c, conversations, empty, conversations.c.id.in_(few))
    return counts | {"conversations": removed}


# --- what only says that something was told already -------------------------------------------------------------------

_TOLD_KEY = (message_statuses.c.account_id, message_statuses.c.wamid, message_statuses.c.name)


def _find_told(c: Connection, _organization_id: str, _after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
    old = message_statuses.c.at < cutoffs.changed // MICROS
    found = c.execute(select(*_TOLD_KEY).where(text(TOLD), old).order_by(message_statuses.c.at).limit(limit))
    return ExpiredRows([tuple(row) for row in found], "", "")


def _remove_told(
    c: Connection, _organization_id: str, keys: Sequence[tuple[str, str, str]], _cutoffs: Cutoffs, _limit: int
) -> Mapping[str, int]:
    return {"message_statuses": _delete(c, message_statuses, tuple_(*_TOLD_KEY).in_(keys))}


# --- runs of agents ---------------------------------------------------------------------------------------------------


def _find_runs(c: Connection, organization_id: str, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
    old = agent_runs.c.id < id_floor(cutoffs.payloads)
    within = (agent_runs.c.organization_id == organization_id, agent_runs.c.id > after, old)
    return _scan(c, agent_runs.c.id, within, (), limit)


def _remove_runs(
    c: Connection, organization_id: str, keys: Sequence[str], _cutoffs: Cutoffs, _limit: int
) -> Mapping[str, int]:
    return {"agent_runs": _delete(c, agent_runs, _these(agent_runs, organization_id, keys))}


# --- which source brought what ----------------------------------------------------------------------------------------

_BROUGHT_KEY = (source_items.c.key, source_items.c.source)


def _find_brought(c: Connection, organization_id: str, _after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
    old = (source_items.c.organization_id == organization_id, source_items.c.at < cutoffs.payloads)
    found = c.execute(select(*_BROUGHT_KEY).where(*old).order_by(source_items.c.at).limit(limit))
    return ExpiredRows([tuple(row) for row in found], "", "")


def _remove_brought(
    c: Connection, organization_id: str, keys: Sequence[tuple[str, str]], _cutoffs: Cutoffs, _limit: int
) -> Mapping[str, int]:
    mine = and_(source_items.c.organization_id == organization_id, tuple_(*_BROUGHT_KEY).in_(keys))
    return {"source_items": _delete(c, source_items, mine)}


# --- answers kept by Idempotency-Key ----------------------------------------------------------------------------------


def _find_answers(c: Connection, organization_id: str, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
    within = (idempotency_keys.c.organization_id == organization_id, idempotency_keys.c.key > after)
    old = (idempotency_keys.c.created_at <= cutoffs.answers,)
    return _scan(c, idempotency_keys.c.key, within, old, limit)


def _remove_answers(
    c: Connection, organization_id: str, keys: Sequence[str], cutoffs: Cutoffs, _limit: int
) -> Mapping[str, int]:
    mine = and_(idempotency_keys.c.organization_id == organization_id, idempotency_keys.c.key.in_(keys))
    old = idempotency_keys.c.created_at <= cutoffs.answers
    return {"idempotency_keys": _delete(c, idempotency_keys, mine, old)}


ROW_KINDS = (
    RowKind("deliveries", _find_deliveries, _remove_deliveries),
    RowKind("events", _find_events, _remove_events),
    RowKind("held_items", _find_held, _remove_held, shared=True),
    RowKind("inbound", _find_inbound, _remove_inbound, shared=True),
    RowKind("messages", _find_messages, _remove_messages),
    RowKind("conversations", _find_conversations, _remove_conversations),
    RowKind("told", _find_told, _remove_told, shared=True),
    RowKind("agent_runs", _find_runs, _remove_runs),
    RowKind("source_items", _find_brought, _remove_brought),
    RowKind("idempotency_keys", _find_answers, _remove_answers),
)
"""The kinds of rows in the order of a round: rows that depend on others first."""

TABLES = (
    "attempts",
    "replay_edits",
    "deliveries",
    "events",
    "held_items",
    "inbound",
    "message_statuses",
    "sends",
    "messages",
    "handovers",
    "notes",
    "conversation_labels",
    "conversation_marks",
    "conversations",
    "agent_runs",
    "source_items",
    "idempotency_keys",
)
"""The tables that retention removes rows from."""
