"""Migrations from nothing make exactly the schema of `stores.tables`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, inspect, text
from tests.postgres_server import drop_database, fresh_database
from tests.world import DAY, KIND, START, SetClock, World, incoming, status, statuses

from tellwire.stores import migrate as migrations
from tellwire.stores.migrate import HEAD, is_current, migrate_sqlite
from tellwire.stores.postgres import migrate
from tellwire.stores.postgres.connections import Server
from tellwire.stores.postgres.query_runner import PostgresQueryRunner
from tellwire.stores.schema.tables import metadata

OBJECTS = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"


def objects(path: Path) -> dict[tuple[str, str], str]:
    """Tables and indexes as SQLite keeps them, white space, quotes and the order of a table's lines aside."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        rows = connection.execute(text(OBJECTS)).all()
    engine.dispose()
    return {(kind, name): " ".join(sorted(sql.replace('"', "").replace(",", " ").split())) for kind, name, sql in rows}


def test_migrated_from_nothing_is_what_the_tables_say(tmp_path: Path) -> None:
    migrated, made = tmp_path / "migrated.db", tmp_path / "made.db"
    migrate_sqlite(migrated)
    engine = create_engine(f"sqlite:///{made}")
    metadata.create_all(engine)
    engine.dispose()
    assert objects(migrated) == objects(made)
    assert is_current(migrated)
    migrate_sqlite(migrated)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def described(connection: Connection) -> dict[str, Any]:
    """Tables with their columns, keys and indexes as PostgreSQL keeps them, the order of columns aside."""
    columns = text(
        "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
    )
    indexes = text("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
    keys = {
        name: (inspect(connection).get_pk_constraint(name), inspect(connection).get_foreign_keys(name))
        for name in inspect(connection).get_table_names()
        if name != "alembic_version"
    }
    return {
        "columns": sorted(map(tuple, connection.execute(columns)), key=str),
        "indexes": sorted(connection.execute(indexes).scalars()),
        "keys": keys,
    }


async def _nothing(_: object) -> None: ...


def test_on_postgresql_the_same_twice_and_by_several_at_once() -> None:
    migrated, made = fresh_database(migrated=False), fresh_database(migrated=False)

    async def main() -> None:
        assert not await migrate.is_current(Server(migrated))
        await asyncio.gather(*(migrate.migrate(Server(migrated)) for _ in range(4)))
        await migrate.migrate(Server(migrated))
        assert await migrate.is_current(Server(migrated))
        one, other = PostgresQueryRunner(Server(migrated)), PostgresQueryRunner(Server(made))
        await other.write(metadata.create_all, lock="SELECT 1", before=_nothing, after=_nothing)
        assert await one.read(described) == await other.read(described)
        for runner in (one, other):
            await runner.close()

    asyncio.run(main())
    for url in (migrated, made):
        drop_database(url)


def test_this_version_runs_on_a_newer_schema(tmp_path: Path) -> None:
    path, url = tmp_path / "newer.db", fresh_database()
    newer = f"UPDATE alembic_version SET version_num = '{int(HEAD) + 1:04}'"
    migrate_sqlite(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text(newer))
    engine.dispose()
    assert is_current(path)
    migrate_sqlite(path)

    async def main() -> None:
        runner = PostgresQueryRunner(Server(url))
        await runner.write(lambda c: c.execute(text(newer)).rowcount, lock="SELECT 1", before=_nothing, after=_nothing)
        await runner.close()
        await migrate.migrate(Server(url))
        assert await migrate.is_current(Server(url))

    asyncio.run(main())
    drop_database(url)


# --- rows of the version before -------------------------------------------------------------------------------------


def migrate_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def rows_of(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row of a database."""
    found = {}
    for name in sorted(set(inspect(connection).get_table_names()) - {"alembic_version"}):
        rows = connection.execute(text(f'SELECT * FROM "{name}"')).mappings()
        found[name] = sorted((dict(row) for row in rows), key=str)
    return found


def put(connection: Connection, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Make these the rows, as far as there are tables and columns for them."""
    for name in set(inspect(connection).get_table_names()) & rows.keys():
        connection.execute(text(f'DELETE FROM "{name}"'))
        names = list(connection.execute(text(f'SELECT * FROM "{name}"')).keys())
        columns, places = ",".join(f'"{each}"' for each in names), ",".join(f":{each}" for each in names)
        for row in rows[name]:
            connection.execute(text(f'INSERT INTO "{name}"({columns}) VALUES ({places})'), row)


@pytest.mark.usefixtures("each_store")
def test_a_database_of_the_version_before_keeps_its_rows_and_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        newer = World(tmp_path / "newer.db", SetClock(START), DAY, auto_accounts=True, kind=KIND.get())
        await newer.store.open()
        await newer.post(incoming("wamid.1"))
        await newer.post(statuses(status("wamid.out", "sent")))
        await newer.post(incoming("wamid.2"), speaks_for=("999",))  # waits for its account
        rows = await newer.store.read(rows_of)
        await newer.close()
        older = {name: rows[name] for name in ("accounts", "contacts", "conversations", "events", "facts", "held_items",
                 "inbound", "messages", "message_statuses", "contact_aliases")}  # fmt: skip
        before: dict[str, list[dict[str, Any]]] = {}

        def prepare(connection: Connection) -> None:
            migrate_to(connection, "0002")
            put(connection, older)
            before.update(rows_of(connection))

        if KIND.get() == "postgres":
            url = fresh_database(migrated=False)
            cold = PostgresQueryRunner(Server(url))
            await cold.write(prepare, lock="SELECT 1", before=_nothing, after=_nothing)
            await cold.close()
            await migrate.migrate(Server(url))
            world = World(tmp_path / "none", SetClock(START + 1), DAY, auto_accounts=True, server=Server(url))
        else:
            engine = create_engine(f"sqlite:///{tmp_path}/older.db")
            with engine.begin() as connection:
                prepare(connection)
            engine.dispose()
            world = World(tmp_path / "older.db", SetClock(START + 1), DAY, auto_accounts=True)
        await world.store.open()
        after = await world.store.read(rows_of)
        assert len(before["messages"]) == 2
        assert before["held_items"]
        for name, kept in ((name, before[name]) for name in older.keys() - {"facts"}):  # those count up
            assert [{k: row[k] for k in kept[0]} for row in after[name]] == kept if kept else after[name] == [], name
        assert len(world.store.registry().media_key) == 32
        assert [a.send_rate for a in world.store.registry().accounts.values()] == [80]
        await world.post(incoming("wamid.1"))
        await world.post(incoming("wamid.3"))
        assert await world.query("SELECT count(*) FROM messages") == [(3,)]
        await world.store.close()
        if KIND.get() == "postgres":
            drop_database(url)

    asyncio.run(main())
