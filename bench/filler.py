"""Fill an empty database with an invented past: `python -m bench.filler DATABASE_URL PLAN.json RESULT.json`.

The filler runs in the product's Python, with the product's own schema (`stores/schema/`) and records
(`stores/records/`), so that it always fits them. It does not sync while it writes and makes the indexes last: a million
messages take two minutes.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, create_engine, event, insert, text, update
from sqlalchemy.ext.asyncio import create_async_engine

from bench.past import Past, Row, alias_rows
from bench.protocol import Fill, Filled
from tellwire.clock import SystemClock
from tellwire.security.vault import Vault, read_or_make_master_key
from tellwire.stores.migrate import migrate_sqlite
from tellwire.stores.opening import migrate_store
from tellwire.stores.records import attempt_rows, inbound_rows, ledger_rows
from tellwire.stores.schema import tables

_STRIDE = 5_000
_WINDOW = 24 * 3600 * 1_000_000
_FAST = ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000", "temp_store=MEMORY")

ATTEMPT = ("delivery_id", "number", "organization_id", "started_at", "outcome", "record", "response_body")
DELIVERY = (*ledger_rows.DELIVERY, "conversation_id")


class TableInserter:
    """An inserter of rows into one table, with the columns in the order in which the rows have them."""

    def __init__(self, connection: Connection, table: Table, names: Sequence[str]) -> None:
        compiled = insert(table).compile(dialect=connection.dialect, column_keys=list(names))
        self._connection = connection
        self._statement = str(compiled)
        self._in_order = itemgetter(*(names.index(name) for name in compiled.positiontup or ()))
        self.name = table.name
        self.rows = 0

    def put(self, rows: Iterable[Row]) -> None:
        """Insert rows, in batches."""
        ordered = map(self._in_order, rows)
        while chunk := list(itertools.islice(ordered, _STRIDE)):
            self._connection.exec_driver_sql(self._statement, chunk)
            self.rows += len(chunk)


def fill(connection: Connection, plan: Fill, vault: Vault) -> tuple[Past, Counter[str]]:
    """Insert the plan's past into a migrated, empty database; return the past and the number of rows by table."""
    past = Past(plan, now=SystemClock().now())
    for table in _LARGE:
        for index in table.indexes:
            index.drop(connection)
    rows = Counter[str]()
    for table, values in (
        (tables.accounts, [ledger_rows.account_values(account, vault) for account in past.accounts]),
        (tables.endpoints, [ledger_rows.endpoint_values(endpoint, vault) for endpoint in past.endpoints]),
    ):
        if values:
            connection.execute(insert(table), values)
            rows[table.name] += len(values)
    registry = tables.facts.c.name == "registry"
    connection.execute(update(tables.facts).where(registry).values(value=tables.facts.c.value + 1))
    _messages(connection, past, rows)
    conversation = attrgetter(*ledger_rows.CONVERSATION)
    _put(connection, rows, tables.contacts, ledger_rows.CONTACT, map(attrgetter(*ledger_rows.CONTACT), past.contacts))
    aliases = ("organization_id", "value", "contact_id", "since", "until")
    _put(connection, rows, tables.contact_aliases, aliases, alias_rows(past.contacts))
    opened = ((*conversation(each), each.last_row_at + _WINDOW) for each in past.conversations.values())
    _put(connection, rows, tables.conversations, (*ledger_rows.CONVERSATION, "check_at"), opened)
    last = ((*place, value) for place, value in past.sequences.items())
    _put(connection, rows, tables.sequences, ("endpoint_id", "order_key", "last"), last)
    for table in _LARGE:
        for index in table.indexes:
            index.create(connection)
    return past, rows


_LARGE = (tables.inbound, tables.messages, tables.events, tables.deliveries, tables.attempts)


def _messages(connection: Connection, past: Past, rows: Counter[str]) -> None:
    inbound = TableInserter(connection, tables.inbound, inbound_rows.INBOUND)
    messages = TableInserter(connection, tables.messages, ledger_rows.MESSAGE)
    events = TableInserter(connection, tables.events, ledger_rows.EVENT)
    deliveries = TableInserter(connection, tables.deliveries, DELIVERY)
    attempts = TableInserter(connection, tables.attempts, ATTEMPT)
    columns = attrgetter(*ledger_rows.DELIVERY)
    everything = past.messages()
    while some := list(itertools.islice(everything, _STRIDE)):
        inbound.put(inbound_rows.values(each.inbound) for each in some)
        messages.put(ledger_rows.message_row(each.message) for each in some)
        events.put(ledger_rows.event_row(each.event) for each in some)
        deliveries.put((*columns(each.delivery), each.event.conversation_id) for each in some)
        attempts.put(attempt_rows.attempt_row(each.attempt) for each in some if each.attempt is not None)
    for inserter in (inbound, messages, events, deliveries, attempts):
        rows[inserter.name] += inserter.rows


def _put(connection: Connection, rows: Counter[str], table: Table, names: Sequence[str], values: Iterable[Row]) -> None:
    inserter = TableInserter(connection, table, names)
    inserter.put(values)
    rows[table.name] += inserter.rows


def fill_sqlite(path: Path, plan: Fill) -> Filled:
    """Create an SQLite file and fill it."""
    begin = time.monotonic()
    migrate_sqlite(path)
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _not_durable)
    with engine.begin() as connection:
        past, rows = fill(connection, plan, Vault((read_or_make_master_key(path, holds_sealed=lambda: False),)))
    engine.dispose()
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return _filled(past, rows, begin, path.stat().st_size)


async def fill_postgres(url: str, plan: Fill, vault: Vault) -> Filled:
    """Migrate a database of a PostgreSQL server, fill it, then vacuum and analyse it."""
    begin = time.monotonic()
    await migrate_store(url)
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    try:
        async with engine.begin() as connection:
            past, rows = await connection.run_sync(fill, plan, vault)
        async with engine.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await plain.execute(text("VACUUM ANALYZE"))
            await plain.execute(text("CHECKPOINT"))
            size = (await plain.execute(text("SELECT pg_database_size(current_database())"))).scalar_one()
    finally:
        await engine.dispose()
    return _filled(past, rows, begin, size)


def _filled(past: Past, rows: Counter[str], begin: float, size: int) -> Filled:
    return Filled(
        endpoints=past.first_of_each,
        rows=dict(rows),
        seconds=round(time.monotonic() - begin, 1),
        mib=round(size / (1 << 20), 1),
    )


def _not_durable(db: Any, _record: Any) -> None:
    for pragma in _FAST:
        db.execute(f"PRAGMA {pragma}").fetchall()


def main(arguments: Sequence[str]) -> None:
    """Fill the database as the command line says; on PostgreSQL secrets are encrypted with TELLWIRE_MASTER_KEY."""
    database, order, result = arguments
    plan = msgspec.json.decode(Path(order).read_bytes(), type=Fill)
    if database.startswith("sqlite:///"):
        filled = fill_sqlite(Path(database.removeprefix("sqlite:///")), plan)
    else:
        vault = Vault((base64.b64decode(os.environ["TELLWIRE_MASTER_KEY"]),))
        filled = asyncio.run(fill_postgres(database, plan, vault))
    Path(result).write_bytes(msgspec.json.encode(filled))


if __name__ == "__main__":
    main(sys.argv[1:])
