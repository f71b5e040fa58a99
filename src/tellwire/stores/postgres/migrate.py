"""Migrations on PostgreSQL: all in one transaction, under a lock, so that several processes may migrate at once."""

from __future__ import annotations

from importlib.resources.abc import Traversable

import asyncpg

from tellwire.stores.migrate import MIGRATIONS, REVISION, WRITTEN_BY, FoundSchema, lacking, upgrade
from tellwire.stores.postgres.connections import Connection, PostgresServer, check, reporting_connect_errors
from tellwire.stores.postgres.query_runner import PostgresQueryRunner

_LOCK = "SELECT pg_advisory_xact_lock(7308613713580389)"


async def found_schema(server: PostgresServer) -> FoundSchema:
    """Return the schema that the database has.

    Raises:
        BadSettings: the server is too old.
        Unavailable: it cannot be reached.
    """
    with reporting_connect_errors(server):
        connection = await server.connect()
        try:
            await check(connection)
            return await _found(connection)
        finally:
            await connection.close()


async def _found(connection: Connection) -> FoundSchema:
    try:
        async with connection.transaction():
            revision = await connection.fetchval(REVISION)
    except asyncpg.UndefinedTableError:
        return FoundSchema("")
    try:
        async with connection.transaction():
            return FoundSchema(revision or "", await connection.fetchval(f"{WRITTEN_BY} $1", revision) or "")
    except asyncpg.UndefinedTableError:  # the schema is of a version under development
        return FoundSchema(revision or "")


async def lacking_in(server: PostgresServer, migrations: Traversable = MIGRATIONS) -> list[str]:
    """Return the revisions that the database lacks, oldest first.

    Raises:
        BadSettings: the server is too old.
        NotMigrated: the schema is of a newer version, or of a version under development.
        Unavailable: it cannot be reached.
    """
    remedy = "make an empty database and name it in TELLWIRE_DATABASE_URL"
    return lacking(await found_schema(server), server.name, remedy, migrations)


async def migrate(server: PostgresServer, migrations: Traversable = MIGRATIONS) -> None:
    """Bring the database to the newest schema.

    Raises:
        BadSettings: the server is too old.
        NotMigrated: the schema is of a newer version, or of a version under development.
        Unavailable: the server cannot be reached, or refuses.
    """
    if not await lacking_in(server, migrations):
        return
    queries = PostgresQueryRunner(PostgresServer(server.url, pooled=server.pooled, without_timeout=True))
    try:
        await queries.write(
            lambda connection: upgrade(connection, migrations), lock=_LOCK, before=_nothing, after=_nothing
        )
    finally:
        await queries.close()


async def _nothing(_: object) -> None: ...
