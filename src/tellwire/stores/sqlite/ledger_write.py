"""SQLite: write what a ledger changed, and results of attempts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tellwire.model.deliveries import Attempt, Work
from tellwire.model.inbound import ItemReport, Outcome
from tellwire.model.ledger import Ledger
from tellwire.ports.storage import Result
from tellwire.security.vault import Vault
from tellwire.stores.records import attempt_rows, ledger_rows
from tellwire.stores.sqlite import sending
from tellwire.stores.sqlite.bulk import KEYS, read_json, write_rows

_encode = msgspec.json.Encoder().encode
_reports = msgspec.json.Decoder(list[ItemReport])

_SEQUENCES = (
    "SELECT json_group_array(json_array(s.endpoint_id, s.order_key, s.last)) "
    f"FROM {KEYS} k CROSS JOIN sequences s ON s.endpoint_id = k.a AND s.order_key = k.b"
)


def write(db: sqlite3.Connection, ledger: Ledger, vault: Vault, window: int) -> list[Work]:
    """Write what a ledger changed; return its deliveries with their sequences."""
    _write_accounts(db, ledger, vault)
    _write_people(db, ledger)
    write_rows(
        db,
        f"INSERT INTO conversations({','.join(ledger_rows.CONVERSATION)},check_at)",
        [
            (*_values(c, ledger_rows.CONVERSATION), c.last_row_at + window)
            for c in ledger.changed_conversations.values()
        ],
        "ON CONFLICT(organization_id,id) DO UPDATE SET party=excluded.party, contact_address=excluded.contact_address,"
        " status=excluded.status, updated_at=excluded.updated_at, last_row_at=excluded.last_row_at",
    )
    for survivor, younger in ledger.merged_contacts:
        db.execute("UPDATE contact_aliases SET contact_id=? WHERE contact_id=?", (survivor, younger))
        db.execute("UPDATE conversations SET party=? WHERE party=?", (survivor, younger))
    write_rows(
        db,
        f"INSERT INTO messages({','.join(ledger_rows.MESSAGE)})",
        ledger_rows.message_rows(ledger.changed_messages.values()),
        "ON CONFLICT(organization_id,id) DO UPDATE SET wamid=excluded.wamid, kind=excluded.kind,"
        " updated_at=excluded.updated_at, record=excluded.record, content=excluded.content",
    )
    write_rows(
        db,
        "INSERT INTO message_statuses(account_id,wamid,name,participant,at,pricing,errors)",
        [(*key, f.at, f.pricing, f.errors) for key, f in ledger.new_facts.items()],
        "ON CONFLICT DO NOTHING",
    )
    _write_inbound(db, ledger)
    sending.write(db, ledger, vault)
    write_rows(
        db,
        f"INSERT INTO events({','.join(ledger_rows.EVENT)})",
        [ledger_rows.event_row(e) for e in ledger.events],
    )
    return _write_deliveries(db, ledger)


def _values(record: Any, names: Sequence[str]) -> list[Any]:
    return [getattr(record, name) for name in names]


def _write_accounts(db: sqlite3.Connection, ledger: Ledger, vault: Vault) -> None:
    for account in ledger.new_accounts.values():
        columns = ledger_rows.account_values(account, vault)
        write_rows(db, f"INSERT INTO accounts({','.join(columns)})", [tuple(columns.values())])
    if ledger.new_accounts:
        db.execute("UPDATE facts SET value = value + 1 WHERE name = 'registry'")


def _write_people(db: sqlite3.Connection, ledger: Ledger) -> None:
    write_rows(
        db,
        f"INSERT INTO contacts({','.join(ledger_rows.CONTACT)})",
        [_values(c, ledger_rows.CONTACT) for c in ledger.changed_contacts.values()],
        "ON CONFLICT(organization_id,id) DO UPDATE SET name=excluded.name, username=excluded.username,"
        " phone=excluded.phone, user_id=excluded.user_id, merged_into=excluded.merged_into,"
        " updated_at=excluded.updated_at, own_name=excluded.own_name",
    )
    write_rows(
        db,
        "INSERT INTO contact_aliases(organization_id,value,contact_id)",
        [(*key, contact_id) for key, contact_id in ledger.changed_aliases.items()],
        "ON CONFLICT(organization_id,value) DO UPDATE SET contact_id=excluded.contact_id",
    )


def _write_inbound(db: sqlite3.Connection, ledger: Ledger) -> None:
    write_rows(
        db,
        "INSERT INTO inbound(id,organization_id,received_at,outcome,items,speaks_for,body)",
        [
            (i.id, i.organization_id, i.received_at, i.outcome, _encode(i.items), _encode(i.speaks_for), i.body)
            for i in ledger.new_inbound
        ],
    )
    if ledger.settled_held:
        settled = ledger.settled_held
        db.execute(
            f"DELETE FROM held_items WHERE (inbound_id, pointer) IN (SELECT a, b FROM {KEYS})",
            (_encode(settled).decode(),),
        )
    write_rows(
        db,
        "INSERT INTO held_items(inbound_id,pointer,phone_number_id,wamid,outcome,retry_at)",
        ledger.new_held,
        "ON CONFLICT(inbound_id,pointer) DO UPDATE SET wamid=excluded.wamid, outcome=excluded.outcome,"
        " retry_at=excluded.retry_at",
    )
    for inbound_id, body in ledger.new_bodies.items():
        db.execute("UPDATE inbound SET body=? WHERE id=?", (body, inbound_id))
    write_rows(
        db,
        "INSERT INTO erased(organization_id,mark,erased_at)",
        [(*mark, ledger.now) for mark in ledger.new_marks],
        "ON CONFLICT DO NOTHING",
    )
    for inbound_id, report in ledger.new_reports:
        row = db.execute("SELECT items FROM inbound WHERE id=?", (inbound_id,)).fetchone()
        if row is None:
            continue
        reports = [report if known.pointer == report.pointer else known for known in _reports.decode(row[0])]
        outcome = max((r.outcome for r in reports), key=list(Outcome).index)
        db.execute("UPDATE inbound SET items=?, outcome=? WHERE id=?", (_encode(reports), outcome, inbound_id))


def _write_deliveries(db: sqlite3.Connection, ledger: Ledger) -> list[Work]:
    """Give each delivery the next number of its (endpoint, key) and insert it."""
    if not ledger.work:
        return []
    places = {(w.delivery.endpoint_id, w.delivery.order_key) for w in ledger.work}
    last = dict.fromkeys(places, 0)
    for endpoint_id, order_key, value in read_json(db, _SEQUENCES, list(places)):
        last[endpoint_id, order_key] = value
    work = []
    for item in ledger.work:
        place = (item.delivery.endpoint_id, item.delivery.order_key)
        last[place] += 1
        work.append(Work(msgspec.structs.replace(item.delivery, sequence=last[place]), item.event))
    write_rows(
        db,
        "INSERT INTO sequences(endpoint_id,order_key,last)",
        [(*place, value) for place, value in last.items()],
        "ON CONFLICT(endpoint_id,order_key) DO UPDATE SET last=excluded.last",
    )
    write_rows(
        db,
        f"INSERT INTO deliveries({','.join(_quoted(ledger_rows.DELIVERY))},conversation_id)",
        [(*_values(w.delivery, ledger_rows.DELIVERY), w.event.conversation_id) for w in work],
    )
    return work


def _quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in names]


_RESULT = (
    "organization_id",
    "id",
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
_OF_ANY_REPLAY = ("attempts", "delivered_at", "updated_at")


def _assignment(name: str) -> str:
    """A column of a result. What was replayed while its attempt was in flight stays due, whatever that came to."""
    if name in _OF_ANY_REPLAY:
        return f"{name}=v.{name}"
    return f"{name}=CASE WHEN deliveries.replay = v.replay THEN v.{name} ELSE deliveries.{name} END"


_RESULT_HEAD = f"WITH v({','.join(_RESULT)}) AS ("
_RESULT_TAIL = (
    f") UPDATE deliveries SET {', '.join(map(_assignment, _RESULT[2:-1]))} "
    "FROM v WHERE deliveries.organization_id = v.organization_id AND deliveries.id = v.id"
    " AND deliveries.state <> 'cancelled'"
)


def write_results(db: sqlite3.Connection, given: Sequence[Result]) -> frozenset[str]:
    """Write how deliveries stand after attempts, and the attempts; a cancelled delivery stays so.

    Returns: the ids of those that were left out, because their epoch is outdated.
    """
    epochs: dict[int, int] = dict(db.execute("SELECT partition, epoch FROM leases").fetchall())
    results = [r for r in given if epochs.get(r.delivery.partition) == r.epoch]
    changed = write_rows(db, _RESULT_HEAD, [_values(r.delivery, _RESULT) for r in results], _RESULT_TAIL)
    attempts = [result.attempt for result in results if result.attempt is not None]
    if changed < len(results):
        attempts = _without_the_erased(db, attempts)
    write_rows(
        db,
        f"INSERT INTO attempts({','.join(attempt_rows.ATTEMPT)})",
        [attempt_rows.attempt_row(attempt) for attempt in attempts],
        "ON CONFLICT(delivery_id,number) DO NOTHING",
    )
    if len(results) == len(given):
        return frozenset()
    return frozenset(r.delivery.id for r in given) - {r.delivery.id for r in results}


def _without_the_erased(db: sqlite3.Connection, attempts: list[Attempt]) -> list[Attempt]:
    """Attempts that were in flight while their event was erased keep nothing that quotes it."""
    query = (
        f"SELECT json_group_array(d.id) FROM {KEYS} k"
        " CROSS JOIN deliveries d ON d.organization_id = k.a AND d.id = k.b"
        " WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.organization_id = k.a AND e.id = d.event_id)"
    )
    gone = set(read_json(db, query, [(a.organization_id, a.delivery_id) for a in attempts]))
    return [attempt_rows.bare(a) if a.delivery_id in gone else a for a in attempts]
