"""PostgreSQL: run queries (functions of an SQLAlchemy connection) over asyncpg."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy import Connection as QueryConnection
from sqlalchemy import Dialect, text
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import registry as dialects
from sqlalchemy.dialects.postgresql.asyncpg import AsyncpgString, PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoneIsFree
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tellwire.errors import Unavailable
from tellwire.stores.postgres.connections import SET_LOCAL_SAFE, Connection, PostgresServer, error_text, is_server_error

T = TypeVar("T")

_CONNECTIONS = 4


class _ShownNul(AsyncpgString):
    """Text in which NUL, which PostgreSQL cannot store, becomes U+FFFD, as `meta` does in names."""

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the function that converts a value to send."""
        return lambda value: value.replace("\0", "\ufffd") if isinstance(value, str) else value


class PlainDialect(PGDialect_asyncpg):
    """asyncpg without the codecs for JSON columns, which the schema has none of.

    Their set-up queries the server outside of any transaction, which fails behind a transaction-mode pooler."""

    supports_statement_cache = True
    colspecs = {**PGDialect_asyncpg.colspecs, sqltypes.String: _ShownNul}  # noqa: RUF012 - so it is inherited

    def on_connect(self) -> None:
        """Do nothing with a new connection."""


dialects.register("postgresql.plain", __name__, "PlainDialect")


class PostgresQueryRunner:
    """Runs each query in a transaction of its own."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

        async def connect(**_: Any) -> Connection:
            return await server.connect()

        arguments: dict[str, Any] = {"async_creator_fn": connect}
        if server.pooled:
            arguments |= {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}
        self._engine = create_async_engine(
            "postgresql+plain://", connect_args=arguments, pool_size=_CONNECTIONS, max_overflow=2, pool_timeout=15
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def read(self, work: Callable[[QueryConnection], T]) -> T:
        """Run a read-only query.

        Raises:
            Unavailable: the database cannot answer.
        """

        async def run(connection: AsyncConnection) -> T:
            return await connection.run_sync(work)

        return await self._in_transaction(run)

    async def write(
        self,
        work: Callable[[QueryConnection], T],
        *,
        lock: str,
        before: Callable[[Connection], Awaitable[None]],
        after: Callable[[Connection], Awaitable[None]],
    ) -> T:
        """Run a write under the lock that the SQL `lock` takes; `before` and `after` run in its transaction too."""

        async def run(connection: AsyncConnection) -> T:
            await connection.execute(text(lock))
            driver: Any = (await connection.get_raw_connection()).driver_connection
            if self._server.pooled:
                await driver.execute(SET_LOCAL_SAFE)
            await before(driver)
            result = await connection.run_sync(work)
            await after(driver)
            return result

        return await self._in_transaction(run)

    async def _in_transaction(self, run: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        try:
            async with self._engine.begin() as connection:
                return await run(connection)
        except NoneIsFree:
            raise Unavailable("every connection to the database is in use") from None
        except Exception as error:
            cause = error
            if isinstance(error, DBAPIError) and error.orig is not None:
                cause = getattr(error.orig, "__cause__", None) or error.orig  # SQLAlchemy wraps the error of asyncpg
            if is_server_error(cause):
                raise Unavailable(f"the database cannot be asked: {error_text(cause)}") from None
            raise
