"""Migrations on PostgreSQL: the whole of one in a transaction, under a lock so that several at once are safe."""

from __future__ import annotations

from importlib.resources.abc import Traversable

import asyncpg

from tellwire.stores.migrate import MIGRATIONS, is_newest, upgrade
from tellwire.stores.postgres.connections import Server, check, reaching
from tellwire.stores.postgres.query_runner import PostgresQueryRunner

_LOCK = "SELECT pg_advisory_xact_lock(7308613713580389)"


async def is_current(server: Server, migrations: Traversable = MIGRATIONS) -> bool:
    """Whether the database has this version's schema, or a newer one, on which this version runs too.

    Raises:
        BadSettings: the server is too old.
        NotMigrated: the schema is of a version under development.
        Unavailable: it cannot be reached.
    """
    with reaching(server):
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


async def migrate(server: Server, migrations: Traversable = MIGRATIONS) -> None:
    """Bring the database to the newest schema.

    Raises:
        BadSettings: the server is too old.
        NotMigrated: the schema is of a version under development.
        Unavailable: it cannot be reached, or does not let us.
    """
    if await is_current(server, migrations):
        return
    queries = PostgresQueryRunner(Server(server.url, pooled=server.pooled, patient=True))
    try:
        await queries.write(
            lambda connection: upgrade(connection, migrations), lock=_LOCK, before=_nothing, after=_nothing
        )
    finally:
        await queries.close()


async def _nothing(_: object) -> None: ...
