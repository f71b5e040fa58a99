"""PostgreSQL: write what a ledger changed, and results of attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from tellwire.model.deliveries import Attempt, Work
from tellwire.model.inbound import ItemReport, worst
from tellwire.model.ledger import Ledger
from tellwire.ports.storage import Result
from tellwire.security.vault import Vault
from tellwire.stores.postgres import sending
from tellwire.stores.postgres.bulk import Insert, array, placeholder, write_rows
from tellwire.stores.postgres.connections import Connection
from tellwire.stores.postgres.ledger_load import found
from tellwire.stores.records import attempt_rows, ledger_rows
from tellwire.stores.records.sending_rows import MEDIA, SEND, TURN, media_row, send_row, turn_row, upserting

_encode = msgspec.json.Encoder().encode
_reports = msgspec.json.Decoder(list[ItemReport])

_TYPES = {
    **dict.fromkeys(("created_at", "updated_at", "last_row_at", "check_at", "due_at"), "bigint"),
    **dict.fromkeys(("first_attempt_at", "delivered_at", "received_at", "started_at", "at", "last"), "bigint"),
    **dict.fromkeys(("sequence", "epoch"), "bigint"),
    **dict.fromkeys(("partition", "attempts", "burned", "replay", "number"), "integer"),
    **dict.fromkeys(("record", "content", "body", "items", "speaks_for"), "bytea"),
    **dict.fromkeys(("pricing", "errors", "response_body"), "bytea"),
    **dict.fromkeys(("out_of_order", "own_name", "unchecked"), "boolean"),
    **dict.fromkeys(("order_at", "scheduled_at", "tries_until", "meta_id_at", "size", "retry_at"), "bigint"),
    "send_rate": "integer",
    "erased_at": "bigint",
}
"""Column → its type, where that is not text."""


def _insert(table: str, columns: Sequence[str], tail: str = "") -> Insert:
    return Insert(table, tuple(f"{name} {_TYPES.get(name, 'text')}" for name in columns), tail)


_CONTACTS = _insert(
    "contacts",
    ledger_rows.CONTACT,
    "ON CONFLICT(organization_id,id) DO UPDATE SET name=excluded.name, username=excluded.username,"
    " phone=excluded.phone, user_id=excluded.user_id, merged_into=excluded.merged_into, updated_at=excluded.updated_at,"
    " own_name=excluded.own_name",
)
_ALIASES = _insert(
    "contact_aliases",
    ("organization_id", "value", "contact_id"),
    "ON CONFLICT(organization_id,value) DO UPDATE SET contact_id=excluded.contact_id",
)
_CONVERSATIONS = _insert(
    "conversations",
    (*ledger_rows.CONVERSATION, "check_at"),
    "ON CONFLICT(organization_id,id) DO UPDATE SET party=excluded.party, contact_address=excluded.contact_address,"
    " status=excluded.status, updated_at=excluded.updated_at, last_row_at=excluded.last_row_at",
)
_MESSAGES = _insert(
    "messages",
    ledger_rows.MESSAGE,
    "ON CONFLICT(organization_id,id) DO UPDATE SET wamid=excluded.wamid, kind=excluded.kind,"
    " updated_at=excluded.updated_at, record=excluded.record, content=excluded.content",
)
_FACTS = _insert(
    "message_statuses",
    ("account_id", "wamid", "name", "participant", "at", "pricing", "errors"),
    "ON CONFLICT DO NOTHING",
)
_INBOUND = _insert("inbound", ("id", "organization_id", "received_at", "outcome", "items", "speaks_for", "body"))
_EVENTS = _insert("events", ledger_rows.EVENT)
_DELIVERIES = _insert("deliveries", (*ledger_rows.DELIVERY, "conversation_id"))
_HELD = _insert(
    "held_items",
    ("inbound_id", "pointer", "phone_number_id", "wamid", "outcome", "retry_at"),
    "ON CONFLICT(inbound_id,pointer) DO UPDATE SET wamid=excluded.wamid, outcome=excluded.outcome,"
    " retry_at=excluded.retry_at",
)
_SENDS = _insert("sends", SEND, upserting("sends", SEND, ("organization_id", "message_id"))[1])
_MEDIA = _insert("media", MEDIA, upserting("media", MEDIA, ("organization_id", "id"))[1])
_TURNS = _insert(
    "agent_turns", TURN, upserting("agent_turns", TURN, ("organization_id", "conversation_id"), keeping=())[1]
)
_ERASED = _insert("erased", ("organization_id", "mark", "erased_at"), "ON CONFLICT DO NOTHING")
_SEQUENCES = (
    "INSERT INTO sequences AS s (endpoint_id, order_key, last)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])"
    " ON CONFLICT(endpoint_id,order_key) DO UPDATE SET last = s.last + excluded.last"
    " RETURNING endpoint_id, order_key, last"
)

_contact = attrgetter(*ledger_rows.CONTACT)
_conversation = attrgetter(*ledger_rows.CONVERSATION)
_delivery = attrgetter(*ledger_rows.DELIVERY)


async def write(connection: Connection, ledger: Ledger, vault: Vault, window: int) -> list[Work]:
    """Write what a ledger changed; return its deliveries with their sequences."""
    await _write_accounts(connection, ledger, vault)
    work = await _numbered(connection, ledger.work)
    await write_rows(
        connection,
        (
            (_CONTACTS, [_contact(c) for c in ledger.changed_contacts.values()]),
            (_ALIASES, [(*key, contact_id) for key, contact_id in ledger.changed_aliases.items()]),
            (
                _CONVERSATIONS,
                [(*_conversation(c), c.last_row_at + window) for c in ledger.changed_conversations.values()],
            ),
            (_MESSAGES, ledger_rows.message_rows(ledger.changed_messages.values())),
            (_FACTS, [(*key, f.at, f.pricing, f.errors) for key, f in ledger.new_facts.items()]),
            (
                _INBOUND,
                [
                    (i.id, i.organization_id, i.received_at, i.outcome, _encode(i.items), _encode(i.speaks_for), i.body)
                    for i in ledger.new_inbound
                ],
            ),
            (_SENDS, [send_row(send) for send in ledger.changed_sends.values()]),
            (_MEDIA, [media_row(file) for file in ledger.changed_media.values()]),
            (_TURNS, [turn_row(turn) for turn in ledger.new_turns.values()]),
            (_ERASED, [(*mark, ledger.now) for mark in sorted(ledger.new_marks)]),
            (_EVENTS, [ledger_rows.event_row(e) for e in ledger.events]),
            (_DELIVERIES, [(*_delivery(w.delivery), w.event.conversation_id) for w in work]),
        ),
    )
    for survivor, younger in ledger.merged_contacts:
        await connection.execute("UPDATE contact_aliases SET contact_id=$1 WHERE contact_id=$2", survivor, younger)
        await connection.execute("UPDATE conversations SET party=$1 WHERE party=$2", survivor, younger)
    await _write_held(connection, ledger)
    await sending.write(connection, ledger, vault)
    return work


async def _write_accounts(connection: Connection, ledger: Ledger, vault: Vault) -> None:
    for account in ledger.new_accounts.values():
        columns = ledger_rows.account_values(account, vault)
        await write_rows(connection, ((_insert("accounts", tuple(columns)), [tuple(columns.values())]),))
    if ledger.new_accounts:
        await connection.execute("UPDATE facts SET value = value + 1 WHERE name = 'registry'")


async def _numbered(connection: Connection, work: Sequence[Work]) -> list[Work]:
    """Give each delivery the next number of its (endpoint, key)."""
    if not work:
        return []
    more = Counter((w.delivery.endpoint_id, w.delivery.order_key) for w in work)
    columns = [endpoint for endpoint, _ in more], [key for _, key in more], list(more.values())
    rows = await connection.fetch(_SEQUENCES, *columns)
    last = {(endpoint, key): value - more[endpoint, key] for endpoint, key, value in rows}
    numbered = []
    for item in work:
        place = (item.delivery.endpoint_id, item.delivery.order_key)
        last[place] += 1
        numbered.append(Work(replace(item.delivery, sequence=last[place]), item.event))
    return numbered


async def _write_held(connection: Connection, ledger: Ledger) -> None:
    if ledger.settled_held:
        await connection.execute(
            "DELETE FROM held_items h USING unnest($1::text[], $2::text[]) k(a, b)"
            " WHERE h.inbound_id = k.a AND h.pointer = k.b",
            [inbound_id for inbound_id, _ in ledger.settled_held],
            [pointer for _, pointer in ledger.settled_held],
        )
    held = {row[:2]: row for row in ledger.new_held}
    await write_rows(connection, ((_HELD, list(held.values())),))
    for inbound_id, body in ledger.new_bodies.items():
        await connection.execute("UPDATE inbound SET body=$1 WHERE id=$2", body, inbound_id)
    for inbound_id, report in ledger.new_reports:
        items = await connection.fetchval("SELECT items FROM inbound WHERE id=$1", inbound_id)
        if items is None:
            continue
        reports = [report if known.pointer == report.pointer else known for known in _reports.decode(items)]
        outcome = worst(each.outcome for each in reports)
        await connection.execute(
            "UPDATE inbound SET items=$1, outcome=$2 WHERE id=$3", _encode(reports), outcome, inbound_id
        )


# --- results ----------------------------------------------------------------------------------------------------------

_RESULT = (
    "organization_id",
    "id",
    "partition",
    "state",
    "attempts",
    "burned",
    "out_of_order",
    "lane",
    "due_at",
    "first_attempt_at",
    "delivered_at",
    "updated_at",
    "replay",
)
_ATTEMPT = ("number", "started_at", "outcome", "record", "response_body")
_OF_ANY_REPLAY = ("attempts", "delivered_at", "updated_at")


def _assignment(name: str) -> str:
    """A column of a result. What was replayed while its attempt was in flight stays due, whatever that came to."""
    if name in _OF_ANY_REPLAY:
        return f"{name}=v.{name}"
    return f"{name}=CASE WHEN d.replay = v.replay THEN v.{name} ELSE d.{name} END"


_COLUMNS = (*_RESULT, "epoch", *_ATTEMPT)
RECORD = f"""
WITH held AS MATERIALIZED (
  SELECT partition, epoch FROM leases WHERE partition = ANY($1::integer[]) ORDER BY partition FOR SHARE),
v AS MATERIALIZED (
  SELECT r.* FROM unnest({", ".join(placeholder(n, _TYPES.get(name, "text")) for n, name in enumerate(_COLUMNS, 2))})
  r({",".join(_COLUMNS)}) JOIN held h ON h.partition = r.partition AND h.epoch = r.epoch),
a AS (
  INSERT INTO attempts(delivery_id, organization_id, {",".join(_ATTEMPT)})
  SELECT id, organization_id, {",".join(_ATTEMPT)} FROM v WHERE number IS NOT NULL
  ON CONFLICT(delivery_id, number) DO NOTHING),
u AS (
  UPDATE deliveries d SET {", ".join(map(_assignment, _RESULT[3:-1]))}
  FROM v WHERE d.organization_id = v.organization_id AND d.id = v.id AND d.state <> 'cancelled'
  RETURNING 1)
SELECT partition, epoch, (SELECT count(*) FROM u) FROM held
"""
_GONE = f"""
SELECT d.id FROM unnest($1::text[], $2::text[]) k(a, b) {found("deliveries", "d", "organization_id = k.a AND id = k.b")}
WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.organization_id = k.a AND e.id = d.event_id)
"""
_BARE = """
UPDATE attempts a SET record = v.record, response_body = ''
FROM unnest($1::text[], $2::integer[], $3::bytea[]) v(delivery_id, number, record)
WHERE a.delivery_id = v.delivery_id AND a.number = v.number
"""
_NO_ATTEMPT = (None,) * len(_ATTEMPT)

_result: Callable[[Any], tuple[Any, ...]] = attrgetter(*_RESULT)


async def write_results(connection: Connection, results: Sequence[Result]) -> set[str]:
    """Write how deliveries stand after attempts, and the attempts; a cancelled delivery stays so.

    Returns: the ids of those whose epoch is outdated, of which nothing was written.
    """
    partitions = list({r.delivery.partition for r in results})
    rows = [(*_result(r.delivery), r.epoch, *_attempt(r.attempt)) for r in results]
    columns = [
        array(_TYPES.get(n, "text"), values) for n, values in zip(_COLUMNS, zip(*rows, strict=True), strict=True)
    ]
    answer = await connection.fetch(RECORD, partitions, *columns)
    held = {partition: epoch for partition, epoch, _ in answer}
    refused = {r.delivery.id for r in results if held.get(r.delivery.partition) != r.epoch}
    if answer and answer[0][2] < len(results) - len(refused):
        await _bare_the_erased(connection, [r.attempt for r in results if r.attempt and r.delivery.id not in refused])
    return refused


async def _bare_the_erased(connection: Connection, attempts: Sequence[Attempt]) -> None:
    """Attempts that were in flight while their event was erased keep nothing that quotes it."""
    places = [a.organization_id for a in attempts], [a.delivery_id for a in attempts]
    gone = {row[0] for row in await connection.fetch(_GONE, *places)}
    theirs = [a for a in attempts if a.delivery_id in gone]
    if theirs:
        bare = [attempt_rows.attempt_record(attempt_rows.bare(a)) for a in theirs]
        await connection.execute(_BARE, [a.delivery_id for a in theirs], [a.number for a in theirs], bare)


def _attempt(attempt: Attempt | None) -> tuple[Any, ...]:
    if attempt is None:
        return _NO_ATTEMPT
    record = attempt_rows.attempt_record(attempt)
    return attempt.number, attempt.started_at, attempt.outcome, record, attempt.response_body
