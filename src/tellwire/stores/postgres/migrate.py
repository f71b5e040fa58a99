"""Migrations on PostgreSQL: all in one transaction, under a lock, so that several processes may migrate at once."""

from __future__ import annotations

from importlib.resources.abc import Traversable

import asyncpg

from tellwire.stores.migrate import MIGRATIONS, is_newest, upgrade
from tellwire.stores.postgres.connections import PostgresServer, check, reporting_connect_errors
from tellwire.stores.postgres.query_runner import PostgresQueryRunner

_LOCK = "SELECT pg_advisory_xact_lock(7308613713580389)"


async def is_current(server: PostgresServer, migrations: Traversable = MIGRATIONS) -> bool:
    """Return whether the database has this version's schema, or a newer one (this version runs on that too).

    Raises:
        BadSettings: the server is too old.
        NotMigrated: the schema is of a version under development.
        Unavailable: it cannot be reached.
    """
    with reporting_connect_errors(server):
        connection = await server.connect()
        try:
            await check(connection)
            async with connection.transaction():
                revision = await connection.fetchval("SELECT version_num FROM alembic_version")
        except asyncpg.UndefinedTableError:
            return False
        finally:
            await connection.close()
    remedy = "make an empty database and name it in TELLWIRE_DATABASE_URL"
    return revision is not None and is_newest(revision, server.name, remedy, migrations)


async def migrate(server: PostgresServer, migrations: Traversable = MIGRATIONS) -> None:
    """Bring the database to the newest schema.

    Raises:
        BadSettings: the server is too old.
        NotMigrated: the schema is of a version under development.
        Unavailable: the server cannot be reached, or refuses.
    """
    if await is_current(server, migrations):
        return
    queries = PostgresQueryRunner(PostgresServer(server.url, pooled=server.pooled, without_timeout=True))
    try:
        await queries.write(
            lambda connection: upgrade(connection, migrations), lock=_LOCK, before=_nothing, after=_nothing
        )
    finally:
        await queries.close()


async def _nothing(_: object) -> None: ...
