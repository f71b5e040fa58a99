"""Migrations from nothing make exactly the schema of `stores/schema`."""

from __future__ import annotations

import asyncio
import shutil
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect, text
from tests.postgres_server import drop_database, fresh_database
from tests.world import DAY, KIND, START, SetClock, World, incoming, status, statuses

from tellwire import __version__
from tellwire.errors import NotMigrated
from tellwire.model.inbound import SpeaksFor
from tellwire.stores.migrate import (
    HEAD,
    MIGRATIONS,
    check_chain,
    lacking_in_file,
    migrate_sqlite,
    revisions,
    what_they_do,
)
from tellwire.stores.opening import migrate_store, open_store, plan_migration
from tellwire.stores.postgres import migrate as postgres_migrate
from tellwire.stores.postgres.connections import PostgresServer
from tellwire.stores.postgres.query_runner import PostgresQueryRunner
from tellwire.stores.schema.tables import metadata

PAGE = "docs/contributing/adding-a-table-or-column.md"
OBJECTS = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"


def objects(path: Path) -> dict[tuple[str, str], str]:
    """Tables and indexes as SQLite keeps them, white space, quotes and the order of a table's lines aside."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        rows = connection.execute(text(OBJECTS)).all()
    engine.dispose()
    return {(kind, name): " ".join(sorted(sql.replace('"', "").replace(",", " ").split())) for kind, name, sql in rows}


def parts(path: Path) -> dict[str, str]:
    """Tables, columns and indexes by name, each with what it is."""
    engine = create_engine(f"sqlite:///{path}")
    look, found = inspect(engine), {}
    for table in set(look.get_table_names()) - {"alembic_version"}:
        found[f"the table {table}"] = "there"
        for column in look.get_columns(table):
            kind = f"{column['type']}, nullable {column['nullable']}, default {column['default']}"
            found[f"the column {table}.{column['name']}"] = kind
        for index in look.get_indexes(table):
            found[f"the index {index['name']}"] = f"on {index['column_names']}, unique {index['unique']}"
    engine.dispose()
    return found


def test_migrated_from_nothing_is_what_the_tables_say(tmp_path: Path) -> None:
    migrated, made = tmp_path / "migrated.db", tmp_path / "made.db"
    migrate_sqlite(migrated)
    engine = create_engine(f"sqlite:///{made}")
    metadata.create_all(engine)
    engine.dispose()
    history, tables = parts(migrated), parts(made)
    for name in sorted(tables.keys() | history.keys(), key=lambda name: ("table" not in name, name)):
        assert name in history, f"{name} is in stores/schema, and no migration makes it ({PAGE})"
        assert name in tables, f"{name} is made by a migration, and is not in stores/schema ({PAGE})"
        assert history[name] == tables[name], f"{name} is not the same after the migrations and in stores/schema"
    assert objects(migrated) == objects(made)
    assert not lacking_in_file(migrated)
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
        assert await postgres_migrate.lacking_in(PostgresServer(migrated)) == revisions()
        await asyncio.gather(*(postgres_migrate.migrate(PostgresServer(migrated)) for _ in range(4)))
        await postgres_migrate.migrate(PostgresServer(migrated))
        assert not await postgres_migrate.lacking_in(PostgresServer(migrated))
        one, other = PostgresQueryRunner(PostgresServer(migrated)), PostgresQueryRunner(PostgresServer(made))
        await other.write(metadata.create_all, lock="SELECT 1", before=_nothing, after=_nothing)
        history, tables = await one.read(described), await other.read(described)
        for runner in (one, other):
            await runner.close()
        assert history == tables

    asyncio.run(main())
    for url in (migrated, made):
        drop_database(url)


# --- a migration beside the others ------------------------------------------------------------------------------------


NEXT = """'Labels of people.'
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade():
    op.add_column("contacts", sa.Column("of_the_next_version", sa.Text(), server_default="es", nullable=False))
    op.create_table("table_of_the_next_version", sa.Column("message_id", sa.Text(), primary_key=True))
    op.execute("INSERT INTO table_of_the_next_version SELECT id FROM messages")
"""
NUMBER = len(revisions()) + 1
REVISION = f"{NUMBER:04}_labels"


def beside_the_others(folder: Path, name: str = REVISION, *, revision: str = REVISION, before: str = HEAD) -> Path:
    """The migrations of this version and one more, in a folder of their own."""
    copy = folder / "the next 100%"
    shutil.copytree(str(MIGRATIONS), copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "versions" / f"{name}.py").write_text(NEXT.format(revision=revision, before=before))
    return copy


def rows_of(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row of a database."""
    found = {}
    for name in sorted(set(inspect(connection).get_table_names()) - {"alembic_version"}):
        rows = connection.execute(text(f'SELECT * FROM "{name}"')).mappings()
        found[name] = sorted((dict(row) for row in rows), key=str)
    return found


@pytest.mark.usefixtures("each_store")
def test_a_database_is_migrated_with_its_rows_and_only_what_runs_of_the_version_before_goes_on(
    tmp_path: Path,
) -> None:
    path, server = tmp_path / "it.db", PostgresServer(fresh_database()) if KIND.get() == "postgres" else None
    later = beside_the_others(tmp_path)

    async def migrate(folder: Path) -> None:
        if server is not None:
            await postgres_migrate.migrate(server, folder)
        else:
            migrate_sqlite(path, folder)

    async def missing(folder: Traversable) -> list[str]:
        return lacking_in_file(path, folder) if server is None else await postgres_migrate.lacking_in(server, folder)

    async def rows(world: World) -> dict[str, Any]:
        if server is None:
            return await world.store.read(rows_of)
        fresh = PostgresQueryRunner(server)  # a prepared `SELECT *` does not outlive a new column
        try:
            return await fresh.read(rows_of)
        finally:
            await fresh.close()

    async def main() -> None:
        world = World(path, SetClock(START), DAY, auto_accounts=True, server=server)
        await world.store.open()
        await world.post(incoming("wamid.1"))
        await world.post(statuses(status("wamid.out", "sent")))
        await world.post(incoming("wamid.2"), speaks_for=SpeaksFor(meta_ids=("999",)))  # waits for its account
        before = await rows(world)
        assert (len(before["messages"]), len(before["contacts"]), len(before["held_items"])) == (2, 1, 1)

        assert await missing(MIGRATIONS) == []
        assert await missing(later) == [REVISION]
        await migrate(later)
        assert await missing(later) == []
        await migrate(later)

        assert await world.query("SELECT version_num FROM alembic_version") == [(REVISION,)]
        after = await rows(world)
        assert after.pop("table_of_the_next_version") == [{"message_id": row["id"]} for row in before["messages"]]
        before["schema_revisions"] = [*before["schema_revisions"], {"revision": REVISION, "version": __version__}]
        before["contacts"] = [{**row, "of_the_next_version": "es"} for row in before["contacts"]]
        assert after == before
        await world.post(incoming("wamid.1"))
        await world.post(incoming("wamid.3"))
        assert await world.query("SELECT count(*) FROM messages") == [(3,)]
        await world.store.write(lambda c: c.execute(text("UPDATE schema_revisions SET version = '9.8.7'")).rowcount)
        await world.close()

        address = server.url if server is not None else f"sqlite:///{path}"
        refusals = [
            migrate_store(address),
            plan_migration(address),
            open_store(address, clock=SetClock(), master_keys=[bytes(32)], window=DAY, names={}),
            open_store(address, clock=SetClock(), master_keys=[bytes(32)], window=DAY, names={}, migrate=True),
            open_store(address, clock=SetClock(), master_keys=[bytes(32)], window=DAY, names={}, serving=False),
        ]
        for each in refusals:
            with pytest.raises(NotMigrated) as refused:
                await each
            assert f"has the schema '{REVISION}' of Tellwire 9.8.7, and this is Tellwire {__version__}" in str(
                refused.value
            )
            assert f"knows the schema up to '{HEAD}': start Tellwire 9.8.7 or a later version" in str(refused.value)
            assert "or restore a backup" in str(refused.value)

    asyncio.run(main())
    if server is not None:
        drop_database(server.url)


def test_the_migrations_are_one_chain() -> None:
    check_chain(Path(str(MIGRATIONS)))


def test_a_plan_says_what_each_step_does(tmp_path: Path) -> None:
    assert all(each.does for each in what_they_do(revisions())), f"a migration begins with a docstring ({PAGE})"
    first, later = what_they_do([HEAD, REVISION], beside_the_others(tmp_path))
    assert (first.revision, later.revision) == (HEAD, REVISION)
    assert (first.does, later.does) == ("The first schema.", "Labels of people.")


@pytest.mark.usefixtures("each_store")
def test_a_plan_changes_nothing(tmp_path: Path) -> None:
    path, url = tmp_path / "it.db", fresh_database(migrated=False) if KIND.get() == "postgres" else ""
    address = url or f"sqlite:///{path}"

    async def main() -> None:
        for _ in range(2):
            plan = await plan_migration(address)
            assert (plan.revision, plan.newest, [each.revision for each in plan.migrations]) == ("", HEAD, revisions())
            assert not path.exists()
        name = await migrate_store(address)
        plan = await plan_migration(address)
        assert (plan.database, plan.revision, plan.migrations) == (name, HEAD, [])

    asyncio.run(main())
    if url:
        drop_database(url)


@pytest.mark.parametrize(
    ("migration", "complaint"),
    [
        pytest.param(
            {"name": f"{NUMBER + 1:04}_labels"},
            rf"{NUMBER + 1:04}_labels\.py stands where {NUMBER:04}_.*\.py is expected: the numbers have no gap",
            id="a gap",
        ),
        pytest.param(
            {"name": f"{HEAD}_again"},
            rf"{HEAD}_again\.py stands where {NUMBER:04}_.*\.py is expected: .* none is given twice",
            id="two of one number",
        ),
        pytest.param({"name": "labels"}, rf"labels\.py stands where {NUMBER:04}_.*\.py is expected", id="no number"),
        pytest.param(
            {"before": "0000_another"},
            rf"{REVISION}\.py must say revision = '{REVISION}' and down_revision = '{HEAD}'",
            id="after another",
        ),
        pytest.param({"revision": HEAD}, rf"{REVISION}\.py must say revision = '{REVISION}'", id="of another name"),
        pytest.param({"name": f"{NUMBER:04}_{'x' * 28}"}, "too long a name: 32 characters before", id="a long name"),
    ],
)
def test_what_does_not_follow_the_last_migration_is_told_in_a_sentence(
    tmp_path: Path, migration: dict[str, str], complaint: str
) -> None:
    path = tmp_path / "it.db"
    migrate_sqlite(path)
    with pytest.raises(NotMigrated, match=complaint):
        migrate_sqlite(path, beside_the_others(tmp_path, **migration))
    assert not lacking_in_file(path)


@pytest.mark.usefixtures("each_store")
@pytest.mark.parametrize("revision", ["0001", "0002", "0003", HEAD + "_of_another_branch"])
def test_a_database_of_a_version_under_development_is_refused_with_what_to_do(tmp_path: Path, revision: str) -> None:
    path, url = tmp_path / "old.db", fresh_database() if KIND.get() == "postgres" else ""
    migrate_sqlite(path)

    async def main() -> None:
        server = PostgresServer(url) if url else None
        world = World(path, SetClock(START), DAY, auto_accounts=True, server=server)
        await world.store.open()
        await world.store.write(
            lambda c: c.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision}).rowcount
        )
        await world.close()
        address = url or f"sqlite:///{path}"
        with pytest.raises(NotMigrated) as migrating:
            await migrate_store(address)
        with pytest.raises(NotMigrated) as opening:
            await open_store(address, clock=SetClock(), master_keys=[bytes(32)], window=DAY, names={})
        name = server.name if server is not None else path
        assert str(migrating.value) == str(opening.value)
        assert f"the database {name} has the schema {revision!r} of a version" in str(opening.value)
        assert "another one in TELLWIRE_DATABASE_URL" in str(opening.value) or url
        assert not url or "make an empty database and name it in TELLWIRE_DATABASE_URL" in str(opening.value)

    asyncio.run(main())
    if url:
        drop_database(url)
