"""The batches of an erasure: each erases some rows and stores the new cursor, in one transaction.

A batch begins at the stored cursor, so two processes that work on one erasure only share the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, text, update

from tellwire.meta.phone_numbers import alias
from tellwire.meta.webhooks.redaction import pattern_of
from tellwire.model.deliveries import DeliveryState
from tellwire.model.erasures import Counts, Erasure
from tellwire.model.units import Micros
from tellwire.ports.queues import ErasureBatch
from tellwire.privacy import tombstones
from tellwire.security.vault import Vault
from tellwire.stores.queries import erasures, exports, idempotency, media, send_cleanup
from tellwire.stores.queries import tombstones as tombstone_queries
from tellwire.stores.queries.paging import first, unindexed
from tellwire.stores.records import attempt_rows
from tellwire.stores.schema.tables import (
    OF_A_PERSON,
    attempts,
    deliveries,
    events,
    idempotency_keys,
    message_statuses,
    messages,
    replay_edits,
)

_BATCH = 500
_DELIVERIES = 1000
"""Deliveries of the events of one batch, those of the last one beside them: an event has one for each endpoint."""
_CONVERSATIONS = 200
_ANSWER_BYTES = 256 * 1024


def direct(connection: Connection, vault: Vault, now: Micros, erasure: Erasure) -> ErasureBatch:
    """Erase some events about the person themselves; then events, then messages, of the conversations with them."""
    of_the_person = events.c.contact_id.in_(erasure.contact_ids) & text(OF_A_PERSON)
    owned = unindexed(events.c.organization_id) == erasure.organization_id
    if event_ids := connection.execute(select(events.c.id).where(of_the_person, owned).limit(_BATCH)).scalars().all():
        return _events_erased(connection, now, erasure, event_ids)
    start = int(erasure.cursor or 0)
    some = erasure.subject.conversation_ids[start : start + _CONVERSATIONS]
    if not some:
        return ErasureBatch(erasures.advance(connection, erasure, Counts(), phase="groups", cursor=""))
    found = select(events.c.id).where(events.c.conversation_id.in_(some)).limit(_BATCH)
    if event_ids := connection.execute(found).scalars().all():
        return _events_erased(connection, now, erasure, _with_few_deliveries(connection, event_ids))
    rows = connection.execute(
        select(messages.c.id, messages.c.account_id, messages.c.wamid)
        .where(messages.c.conversation_id.in_(some))
        .limit(_BATCH)
    ).all()
    if rows:
        counts = _erase_messages(connection, vault, now, erasure, rows)
        return ErasureBatch(erasures.advance(connection, erasure, counts))
    if send_cleanup.delete_agent_rows(connection, erasure.organization_id, some, _BATCH):
        return ErasureBatch(erasure)
    return ErasureBatch(erasures.advance(connection, erasure, Counts(), cursor=str(start + _CONVERSATIONS)))


def group_events(connection: Connection, vault: Vault, now: Micros, erasure: Erasure) -> ErasureBatch:  # noqa: ARG001
    """Erase some events about the person in the group at the cursor."""
    group, _, after = _place(erasure)
    page = exports.events_of(connection, [group], after, _BATCH).rows
    if not page:
        return ErasureBatch(erasures.advance(connection, erasure, Counts(), cursor=f"{group} messages "))
    theirs = exports.only_about(connection, page, erasure.contact_ids, erasure.subject.addresses)
    event_ids = _with_few_deliveries(connection, [event.id for event in theirs])
    last = page[-1].id if len(event_ids) == len(theirs) else event_ids[-1]
    return _events_erased(connection, now, erasure, event_ids, cursor=f"{group} events {last}")


def group_messages(connection: Connection, vault: Vault, now: Micros, erasure: Erasure) -> ErasureBatch:
    """Erase some of the person's messages in the group at the cursor, and their statuses of messages of others."""
    group, _, after = _place(erasure)
    rows = connection.execute(
        select(messages.c.id, messages.c.account_id, messages.c.wamid, messages.c.contact_id)
        .where(messages.c.conversation_id == group, messages.c.id > after)
        .order_by(messages.c.id)
        .limit(_BATCH)
    ).all()
    if not rows:
        return ErasureBatch(erasures.advance(connection, erasure, Counts(), cursor=group))
    theirs = [row for row in rows if row.contact_id in erasure.contact_ids]
    counts = _erase_messages(connection, vault, now, erasure, theirs)
    _erase_participant(connection, erasure, [row for row in rows if row.contact_id not in erasure.contact_ids])
    cursor = f"{group} messages {rows[-1].id}"
    return ErasureBatch(erasures.advance(connection, erasure, counts, cursor=cursor))


def answers(connection: Connection, vault: Vault, now: Micros, erasure: Erasure) -> ErasureBatch:  # noqa: ARG001
    """Empty some stored answers (`Idempotency-Key`) that quote the person; what was done is still not done twice."""
    pattern = pattern_of(erasure.subject.addresses)
    query = (
        select(idempotency_keys.c.key, idempotency_keys.c.answer)
        .where(idempotency_keys.c.organization_id == erasure.organization_id, idempotency_keys.c.key > erasure.cursor)
        .order_by(idempotency_keys.c.key)
        .limit(_BATCH + 1)
    )
    rows, more = first(connection.execute(query), _BATCH, _ANSWER_BYTES)
    for row in rows:
        if not row.answer:
            continue
        answer = idempotency.opened(vault, erasure.organization_id, row.key, row.answer)
        if answer is None or pattern.search(answer) or any(each.encode() in answer for each in erasure.contact_ids):
            idempotency.erase(connection, erasure.organization_id, row.key)
    if more:
        return ErasureBatch(erasures.advance(connection, erasure, Counts(), cursor=rows[-1].key))
    return ErasureBatch(erasures.advance(connection, erasure, Counts(), phase="told", cursor=""))


def _place(erasure: Erasure) -> tuple[str, str, str]:
    group, what, after = erasure.cursor.split(" ")
    return group, what, after


def _with_few_deliveries(connection: Connection, event_ids: Sequence[str]) -> Sequence[str]:
    """Return the first events, so many that they have few deliveries together."""
    if not event_ids:
        return event_ids
    query = select(deliveries.c.event_id, func.count()).where(deliveries.c.event_id.in_(event_ids))
    counts = {row[0]: row[1] for row in connection.execute(query.group_by(deliveries.c.event_id))}
    together = accumulate(counts.get(each, 0) for each in event_ids)
    count = 1 + sum(1 for each in together if each < _DELIVERIES)
    return event_ids[:count]


def _events_erased(
    connection: Connection, now: Micros, erasure: Erasure, event_ids: Sequence[str], **fields: str
) -> ErasureBatch:
    cancelled = erase_events(connection, now, erasure.organization_id, event_ids) if event_ids else []
    counts = Counts(events=len(event_ids), deliveries_cancelled=len(cancelled))
    return ErasureBatch(erasures.advance(connection, erasure, counts, **fields), cancelled)


def erase_events(connection: Connection, now: Micros, organization_id: str, event_ids: Sequence[str]) -> list[str]:
    """Erase events and what attempts quote of them; cancel and return the ids of their undelivered deliveries."""
    found = connection.execute(
        select(deliveries.c.id, deliveries.c.state).where(
            deliveries.c.event_id.in_(event_ids), unindexed(deliveries.c.organization_id) == organization_id
        )
    ).all()
    over = (DeliveryState.DELIVERED, DeliveryState.CANCELLED)
    undelivered = [row.id for row in found if row.state not in over]
    for some in _portions(undelivered):
        mine = deliveries.c.organization_id == organization_id
        connection.execute(
            update(deliveries)
            .where(mine, deliveries.c.id.in_(some))
            .values(state=DeliveryState.CANCELLED, updated_at=now)
        )
    for some in _portions([row.id for row in found]):
        strip_attempts(connection, some)
        theirs = replay_edits.c.organization_id == organization_id
        connection.execute(delete(replay_edits).where(theirs, replay_edits.c.delivery_id.in_(some)))
    connection.execute(delete(events).where(events.c.organization_id == organization_id, events.c.id.in_(event_ids)))
    return undelivered


def strip_attempts(connection: Connection, delivery_ids: Sequence[str]) -> None:
    columns = (attempts.c[name] for name in attempt_rows.ATTEMPT)
    query = select(*columns).where(attempts.c.delivery_id.in_(delivery_ids))
    rows = [
        {
            "d": row.delivery_id,
            "n": row.number,
            "r": attempt_rows.attempt_record(attempt_rows.without_payload(attempt_rows.attempt(row))),
        }
        for row in connection.execute(query)
    ]
    if rows:
        connection.execute(
            update(attempts)
            .where(attempts.c.delivery_id == bindparam("d"), attempts.c.number == bindparam("n"))
            .values(record=bindparam("r"), response_body=b""),
            rows,
        )


def _erase_messages(connection: Connection, vault: Vault, now: Micros, erasure: Erasure, rows: Sequence[Any]) -> Counts:
    """Erase messages with their statuses and files; leave marks by which late webhooks about them are recognised."""
    if not rows:
        return Counts()
    key, owner = tombstone_queries.key(connection, vault), erasure.organization_id
    by_account = _by_account(rows)
    marks = [
        tombstones.of_message(key, owner, account_id, wamid)
        for account_id, wamids in by_account.items()
        for wamid in wamids
    ]
    tombstone_queries.mark(connection, marks, erasure.erased_at)
    for account_id, wamids in by_account.items():
        of_account = message_statuses.c.account_id == account_id
        connection.execute(delete(message_statuses).where(of_account, message_statuses.c.wamid.in_(wamids)))
    ids = [row.id for row in rows]
    send_cleanup.delete_sends(connection, owner, ids)
    files = media.erase_of_messages(connection, owner, ids, now)
    connection.execute(delete(messages).where(messages.c.organization_id == owner, messages.c.id.in_(ids)))
    return Counts(messages=len(rows), media=files)


def _erase_participant(connection: Connection, erasure: Erasure, rows: Sequence[Any]) -> None:
    known = frozenset(erasure.subject.addresses)
    for account_id, wamids in _by_account(rows).items():
        of_messages = (message_statuses.c.account_id == account_id) & message_statuses.c.wamid.in_(wamids)
        found = select(message_statuses.c.participant).where(of_messages).distinct()
        theirs = [each for each in connection.execute(found).scalars() if alias(each) in known]
        if theirs:
            connection.execute(delete(message_statuses).where(of_messages, message_statuses.c.participant.in_(theirs)))


def _by_account(rows: Sequence[Any]) -> dict[str, list[str]]:
    """Return, by account, the ids that statuses may use for these messages: the wamid, or our id without one."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.account_id, []).append(row.wamid or row.id)
    return found


def _portions(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
