"""PostgreSQL: write the changes of a ledger, and results of attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from tellwire.model.deliveries import Attempt, Work
from tellwire.model.ledger import Ledger, Merged
from tellwire.ports.storage import Result
from tellwire.security.vault import Vault
from tellwire.stores.postgres import sending
from tellwire.stores.postgres.bulk import array, placeholder, type_of, write_rows
from tellwire.stores.postgres.connections import Connection
from tellwire.stores.postgres.ledger_load import found
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
from tellwire.stores.records.inserts import Insert, TableRows

_REPORTED = f"SELECT {','.join(inbound_rows.REPORTED)} FROM inbound WHERE id=$1"
_SET = ",".join(f"{name}=${n}" for n, name in enumerate(inbound_rows.REPORTED, 2))
_REPORT = f"UPDATE inbound SET {_SET} WHERE id=$1"

_SEQUENCES = (
    "INSERT INTO sequences AS s (endpoint_id, order_key, last)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])"
    " ON CONFLICT(endpoint_id,order_key) DO UPDATE SET last = s.last + excluded.last"
    " RETURNING endpoint_id, order_key, last, behind"
)


async def write(connection: Connection, ledger: Ledger, vault: Vault, window: int) -> list[Work]:
    """Write the changes of a ledger; return its deliveries with their sequence numbers."""
    await _write_accounts(connection, ledger, vault)
    if ledger.moves:
        await _remember_merges(connection, ledger)
    work = await _numbered(connection, ledger.work)
    await write_rows(
        connection,
        (
            inserts.contacts(ledger),
            inserts.aliases(ledger),
            inserts.conversations(ledger, window),
            inserts.messages(ledger),
            inserts.status_facts(ledger),
            inserts.inbound(ledger),
            inserts.sends(ledger),
            inserts.media(ledger),
            inserts.agent_turns(ledger),
            inserts.marks(ledger),
            inserts.source_items(ledger),
            inserts.events(ledger),
            inserts.deliveries(work),
        ),
    )
    await _move_people(connection, ledger)
    await _write_held(connection, ledger)
    await sending.write(connection, ledger, vault)
    return work


async def _remember_merges(connection: Connection, ledger: Ledger) -> None:
    """Note for the survivor of each merge what goes out before its next events; the rows are still those of before."""
    behind: merge_order.Behind = {}
    for merged in merge_order.merged_of(ledger):
        keys = merge_order.keys_of(ledger, merged)
        last = [tuple(row) for row in await connection.fetch(merge_order.LAST, merged.younger)]
        places = merge_order.places_of(ledger, keys)
        found = {place: await connection.fetchval(merge_order.REMEMBERED, *place) for place in places}
        merge_order.put_behind(behind, ledger, keys, last, {place: each for place, each in found.items() if each})
    for place, names in behind.items():
        await connection.execute(merge_order.REMEMBER, *place, " ".join(sorted(names)))


async def _move_people(connection: Connection, ledger: Ledger) -> None:
    for dropped in inserts.dropped_aliases(ledger):
        await connection.execute(person_moves.DROPPED, *dropped)
    for move in ledger.moves:
        if isinstance(move, Merged):
            statements = person_moves.merging(ledger, move)
        else:
            rows = await connection.fetch(person_moves.ALIASES_OF, move.contact_id)
            statements = person_moves.ending(ledger, move, [tuple(row) for row in rows])
        for statement, values in statements:
            await connection.execute(statement, *values)


async def _write_accounts(connection: Connection, ledger: Ledger, vault: Vault) -> None:
    for account in ledger.new_accounts.values():
        columns = ledger_rows.account_values(account, vault)
        await write_rows(connection, [TableRows(Insert("accounts", tuple(columns)), [tuple(columns.values())])])
    if ledger.new_accounts:
        await connection.execute(registry_rows.RAISE_VERSION)


async def _numbered(connection: Connection, work: Sequence[Work]) -> list[Work]:
    """Give each delivery the next sequence number of its (endpoint, order key)."""
    if not work:
        return []
    more = Counter((w.delivery.endpoint_id, w.delivery.order_key) for w in work)
    columns = [endpoint for endpoint, _ in more], [key for _, key in more], list(more.values())
    rows = await connection.fetch(_SEQUENCES, *columns)
    last = {(endpoint, key): value - more[endpoint, key] for endpoint, key, value, _ in rows}
    behind = {(endpoint, key): first for endpoint, key, _, first in rows if first}
    for place in behind:
        await connection.execute(merge_order.FORGET, *place)
    return inserts.numbered(work, last, behind)


async def _write_held(connection: Connection, ledger: Ledger) -> None:
    if ledger.settled_held:
        await connection.execute(
            "DELETE FROM held_items h USING unnest($1::text[], $2::text[]) k(a, b)"
            " WHERE h.inbound_id = k.a AND h.pointer = k.b",
            [inbound_id for inbound_id, _ in ledger.settled_held],
            [pointer for _, pointer in ledger.settled_held],
        )
    await write_rows(connection, [inserts.held_items(ledger)])
    for inbound_id, body in ledger.new_bodies.items():
        await connection.execute("UPDATE inbound SET body=$1 WHERE id=$2", body, inbound_id)
    for inbound_id, reports in ledger.new_reports.items():
        row = await connection.fetchrow(_REPORTED, inbound_id)
        if row is not None:
            await connection.execute(_REPORT, inbound_id, *inbound_rows.reported_anew(row, reports))


# --- results ----------------------------------------------------------------------------------------------------------

_RESULT = ("organization_id", "id", "partition", *result_rows.CHANGED, "replay")
_ATTEMPT = ("number", "started_at", "outcome", "record", "response_body")
_COLUMNS = (*_RESULT, "epoch", *_ATTEMPT)
RECORD = f"""
WITH held AS MATERIALIZED (
  SELECT partition, epoch FROM leases WHERE partition = ANY($1::integer[]) ORDER BY partition FOR SHARE),
v AS MATERIALIZED (
  SELECT r.* FROM unnest({", ".join(placeholder(n, type_of(name)) for n, name in enumerate(_COLUMNS, 2))})
  r({",".join(_COLUMNS)}) JOIN held h ON h.partition = r.partition AND h.epoch = r.epoch),
a AS (
  INSERT INTO attempts(delivery_id, organization_id, {",".join(_ATTEMPT)})
  SELECT id, organization_id, {",".join(_ATTEMPT)} FROM v WHERE number IS NOT NULL
  ON CONFLICT(delivery_id, number) DO NOTHING),
u AS (
  UPDATE deliveries d SET {result_rows.assignments("d")}
  FROM v WHERE d.organization_id = v.organization_id AND d.id = v.id AND d.state <> 'cancelled'
  RETURNING 1)
SELECT partition, epoch, (SELECT count(*) FROM u) FROM held
"""
_JOIN = """
WITH held AS MATERIALIZED (
  SELECT partition, epoch FROM leases WHERE partition = ANY($1::integer[]) ORDER BY partition FOR SHARE)
UPDATE deliveries d SET together = v.together
FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::text[], $5::text[])
  v(partition, epoch, organization_id, id, together)
JOIN held h ON h.partition = v.partition AND h.epoch = v.epoch
WHERE d.organization_id = v.organization_id AND d.id = v.id
RETURNING d.id
"""
_WITHOUT_EVENT = f"""
SELECT d.id FROM unnest($1::text[], $2::text[]) k(a, b) {found("deliveries", "d", "organization_id = k.a AND id = k.b")}
WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.organization_id = k.a AND e.id = d.event_id)
"""
_STRIP = """
UPDATE attempts a SET record = v.record, response_body = ''
FROM unnest($1::text[], $2::integer[], $3::bytea[]) v(delivery_id, number, record)
WHERE a.delivery_id = v.delivery_id AND a.number = v.number
"""
_NO_ATTEMPT = (None,) * len(_ATTEMPT)

_result: Callable[[Any], tuple[Any, ...]] = attrgetter(*_RESULT)


async def write_results(connection: Connection, results: Sequence[Result]) -> set[str]:
    """Write deliveries after attempts, and the attempts; a cancelled delivery stays cancelled.

    Returns: the ids of deliveries whose epoch is outdated, of which nothing was written.
    """
    refused: set[str] = set()
    if joining := [r for r in results if r.joins]:
        refused = await _join(connection, joining)
        results = [r for r in results if not r.joins]
        if not results:
            return refused
    partitions = list({r.delivery.partition for r in results})
    rows = [(*_result(r.delivery), r.epoch, *_attempt(r.attempt)) for r in results]
    columns = [array(type_of(n), values) for n, values in zip(_COLUMNS, zip(*rows, strict=True), strict=True)]
    answer = await connection.fetch(RECORD, partitions, *columns)
    held = {partition: epoch for partition, epoch, _ in answer}
    outdated = {r.delivery.id for r in results if held.get(r.delivery.partition) != r.epoch}
    if answer and answer[0][2] < len(results) - len(outdated):
        await _strip_erased(connection, [r.attempt for r in results if r.attempt and r.delivery.id not in outdated])
    return refused | outdated


async def _join(connection: Connection, results: Sequence[Result]) -> set[str]:
    """Write which deliveries are sent together; return the ids of those of which nothing was written."""
    some = [r.delivery for r in results]
    written = await connection.fetch(
        _JOIN,
        [d.partition for d in some],
        [r.epoch for r in results],
        [d.organization_id for d in some],
        [d.id for d in some],
        [d.together for d in some],
    )
    return {d.id for d in some} - {row[0] for row in written}


async def _strip_erased(connection: Connection, attempts: Sequence[Attempt]) -> None:
    """Remove what quotes the event from attempts that were in flight while their event was erased."""
    places = [a.organization_id for a in attempts], [a.delivery_id for a in attempts]
    erased = {row[0] for row in await connection.fetch(_WITHOUT_EVENT, *places)}
    theirs = [a for a in attempts if a.delivery_id in erased]
    if theirs:
        stripped = [attempt_rows.attempt_record(attempt_rows.without_payload(a)) for a in theirs]
        await connection.execute(_STRIP, [a.delivery_id for a in theirs], [a.number for a in theirs], stripped)


def _attempt(attempt: Attempt | None) -> tuple[Any, ...]:
    if attempt is None:
        return _NO_ATTEMPT
    record = attempt_rows.attempt_record(attempt)
    return attempt.number, attempt.started_at, attempt.outcome, record, attempt.response_body
