"""SQLite: write the changes of a ledger, and results of attempts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from tellwire.model.deliveries import Attempt, Delivery, Work
from tellwire.model.ledger import Ledger, Merged
from tellwire.ports.storage import Result
from tellwire.security.vault import Vault
from tellwire.stores.records import (
    attempt_rows,
    inbound_rows,
    inserts,
    ledger_rows,
    merge_order,
    person_moves,
    registry_rows,
    result_rows,
)
from tellwire.stores.records.inserts import Insert, TableRows, or_update
from tellwire.stores.records.person_moves import sqlite
from tellwire.stores.sqlite import sending
from tellwire.stores.sqlite.bulk import KEYS, insert_rows, read_json, write_rows

_encode = msgspec.json.Encoder().encode

_REPORTED = f"SELECT {','.join(inbound_rows.REPORTED)} FROM inbound WHERE id=?"
_REPORT = f"UPDATE inbound SET {','.join(f'{name}=?' for name in inbound_rows.REPORTED)} WHERE id=?"

_SEQUENCES = (
    "SELECT json_group_array(json_array(s.endpoint_id, s.order_key, s.last, s.behind)) "
    f"FROM {KEYS} k CROSS JOIN sequences s ON s.endpoint_id = k.a AND s.order_key = k.b"
)
_LAST = Insert("sequences", ("endpoint_id", "order_key", "last"), or_update(("endpoint_id", "order_key"), ("last",)))


def write(db: sqlite3.Connection, ledger: Ledger, vault: Vault, window: int) -> list[Work]:
    """Write the changes of a ledger; return its deliveries with their sequence numbers."""
    _write_accounts(db, ledger, vault)
    if ledger.moves:
        _remember_merges(db, ledger)
    insert_rows(db, inserts.contacts(ledger))
    insert_rows(db, inserts.aliases(ledger))
    insert_rows(db, inserts.conversations(ledger, window))
    _move_people(db, ledger)
    insert_rows(db, inserts.messages(ledger))
    insert_rows(db, inserts.status_facts(ledger))
    _write_inbound(db, ledger)
    sending.write(db, ledger, vault)
    insert_rows(db, inserts.events(ledger))
    return _write_deliveries(db, ledger)


def _remember_merges(db: sqlite3.Connection, ledger: Ledger) -> None:
    """Note for the survivor of each merge what goes out before its next events; the rows are still those of before."""
    behind: merge_order.Behind = {}
    for merged in merge_order.merged_of(ledger):
        keys = merge_order.keys_of(ledger, merged)
        last = db.execute(sqlite(merge_order.LAST), (merged.younger,)).fetchall()
        found = {
            place: db.execute(sqlite(merge_order.REMEMBERED), place) for place in merge_order.places_of(ledger, keys)
        }
        remembered = {place: row[0] for place, rows in found.items() if (row := rows.fetchone()) is not None}
        merge_order.put_behind(behind, ledger, keys, last, remembered)
    for place, names in behind.items():
        db.execute(sqlite(merge_order.REMEMBER), (*place, " ".join(sorted(names))))


def _move_people(db: sqlite3.Connection, ledger: Ledger) -> None:
    for dropped in inserts.dropped_aliases(ledger):
        db.execute(sqlite(person_moves.DROPPED), dropped)
    for move in ledger.moves:
        if isinstance(move, Merged):
            statements = person_moves.merging(ledger, move)
        else:
            rows = db.execute(sqlite(person_moves.ALIASES_OF), (move.contact_id,)).fetchall()
            statements = person_moves.ending(ledger, move, rows)
        for statement, values in statements:
            db.execute(sqlite(statement), values)


def _write_accounts(db: sqlite3.Connection, ledger: Ledger, vault: Vault) -> None:
    for account in ledger.new_accounts.values():
        columns = ledger_rows.account_values(account, vault)
        insert_rows(db, TableRows(Insert("accounts", tuple(columns)), [tuple(columns.values())]))
    if ledger.new_accounts:
        db.execute(registry_rows.RAISE_VERSION)


def _write_inbound(db: sqlite3.Connection, ledger: Ledger) -> None:
    insert_rows(db, inserts.inbound(ledger))
    if ledger.settled_held:
        settled = ledger.settled_held
        db.execute(
            f"DELETE FROM held_items WHERE (inbound_id, pointer) IN (SELECT a, b FROM {KEYS})",
            (_encode(settled).decode(),),
        )
    insert_rows(db, inserts.held_items(ledger))
    for inbound_id, body in ledger.new_bodies.items():
        db.execute("UPDATE inbound SET body=? WHERE id=?", (body, inbound_id))
    insert_rows(db, inserts.marks(ledger))
    insert_rows(db, inserts.source_items(ledger))
    for inbound_id, reports in ledger.new_reports.items():
        row = db.execute(_REPORTED, (inbound_id,)).fetchone()
        if row is not None:
            db.execute(_REPORT, (*inbound_rows.reported_anew(row, reports), inbound_id))


def _write_deliveries(db: sqlite3.Connection, ledger: Ledger) -> list[Work]:
    """Give each delivery the next sequence number of its (endpoint, order key), and insert it."""
    if not ledger.work:
        return []
    places = {(w.delivery.endpoint_id, w.delivery.order_key) for w in ledger.work}
    last = dict.fromkeys(places, 0)
    behind: dict[tuple[str, str], str] = {}
    for endpoint_id, order_key, value, first in read_json(db, _SEQUENCES, list(places)):
        last[endpoint_id, order_key] = value
        if first:
            behind[endpoint_id, order_key] = first
            db.execute(sqlite(merge_order.FORGET), (endpoint_id, order_key))
    work = inserts.numbered(ledger.work, last, behind)
    insert_rows(db, TableRows(_LAST, [(*place, value) for place, value in last.items()]))
    insert_rows(db, inserts.deliveries(work))
    return work


_RESULT = ("organization_id", "id", *result_rows.CHANGED, "replay")
_result: Callable[[Delivery], tuple[Any, ...]] = attrgetter(*_RESULT)
_RESULT_HEAD = f"WITH v({','.join(_RESULT)}) AS ("
_RESULT_TAIL = (
    f") UPDATE deliveries SET {result_rows.assignments('deliveries')} "
    "FROM v WHERE deliveries.organization_id = v.organization_id AND deliveries.id = v.id"
    " AND deliveries.state <> 'cancelled'"
)
_JOIN = "UPDATE deliveries SET together=? WHERE organization_id=? AND id=?"


def write_results(db: sqlite3.Connection, given: Sequence[Result]) -> frozenset[str]:
    """Write deliveries after attempts, and the attempts; a cancelled delivery stays cancelled.

    Returns: the ids of deliveries that were left out because their epoch is outdated.
    """
    epochs: dict[int, int] = dict(db.execute("SELECT partition, epoch FROM leases").fetchall())
    results = in_force = [r for r in given if epochs.get(r.delivery.partition) == r.epoch]
    if joining := [r for r in in_force if r.joins]:
        db.executemany(_JOIN, [(r.delivery.together, r.delivery.organization_id, r.delivery.id) for r in joining])
        results = [r for r in in_force if not r.joins]
    changed = write_rows(db, _RESULT_HEAD, [_result(r.delivery) for r in results], _RESULT_TAIL)
    attempts = [result.attempt for result in results if result.attempt is not None]
    if changed < len(results):
        attempts = _strip_erased(db, attempts)
    write_rows(
        db,
        f"INSERT INTO attempts({','.join(attempt_rows.ATTEMPT)})",
        [attempt_rows.attempt_row(attempt) for attempt in attempts],
        "ON CONFLICT(delivery_id,number) DO NOTHING",
    )
    if len(in_force) == len(given):
        return frozenset()
    return frozenset(r.delivery.id for r in given) - {r.delivery.id for r in in_force}


def _strip_erased(db: sqlite3.Connection, attempts: list[Attempt]) -> list[Attempt]:
    """Return the attempts; those whose event was erased while they were in flight lose what quotes it."""
    query = (
        f"SELECT json_group_array(d.id) FROM {KEYS} k"
        " CROSS JOIN deliveries d ON d.organization_id = k.a AND d.id = k.b"
        " WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.organization_id = k.a AND e.id = d.event_id)"
    )
    erased = set(read_json(db, query, [(a.organization_id, a.delivery_id) for a in attempts]))
    return [attempt_rows.without_payload(a) if a.delivery_id in erased else a for a in attempts]
