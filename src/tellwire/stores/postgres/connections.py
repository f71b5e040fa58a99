"""PostgreSQL: connections, their settings, and which errors are the server's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import structlog
from msgspec import Struct

from tellwire.errors import BadSettings, Unavailable

log = structlog.get_logger("tellwire.store")

Connection: TypeAlias = "asyncpg.Connection[Any]"

OLDEST = 14
"""The oldest version of PostgreSQL that is supported."""

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_SAFE = {
    "synchronous_commit": "on",  # what was answered 200 is on disk, whatever the server's default is
    "idle_in_transaction_session_timeout": "10s",  # a frozen process must not hold its locks for ever
    "lock_timeout": "15s",
}
_PLANNED = {
    "jit": "off",
    # Every statement of the ledger finds its rows by an index: a plan made while a table was small must not outlive it.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "enable_material": "off",
}


def _local(settings: Mapping[str, str]) -> str:
    return "".join(f"SET LOCAL {name} = '{value}';" for name, value in settings.items())


SET_LOCAL_SAFE = _local(_SAFE)
SET_LOCAL = _local(_SAFE | _PLANNED)
"""The settings for one transaction, for sessions that are shared."""

_OF_THE_SERVER = ("08", "28", "3D", "40", "53", "57", "58", "XX")
_ALSO_OF_THE_SERVER = ("25006", "25P03", "55P03", "42501")


class PostgresServer(Struct, frozen=True):
    """The address of the database.

    `pooled`: behind a transaction-mode pooler, so sessions are shared with other clients.
    `without_timeout`: statements may take any time, as migrations do.
    """

    url: str
    pooled: bool = False
    without_timeout: bool = False

    @property
    def name(self) -> str:
        """The name of the database in messages, without user and password."""
        parts = urlsplit(self.url)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def options(self, *, ledger: bool = False) -> dict[str, Any]:
        """Return the arguments of `asyncpg.connect`; with `ledger` and no pooler, with the ledger's settings."""
        settings = {"application_name": "tellwire"}
        if not self.pooled:
            settings |= _SAFE | (_PLANNED if ledger else {})
        return {
            "dsn": self.url,
            "timeout": _CONNECT_SECONDS,
            "command_timeout": None if self.without_timeout else _ANSWER_SECONDS,
            "statement_cache_size": 0 if self.pooled else 256,
            "max_cached_statement_lifetime": 0,
            "server_settings": settings,
        }

    async def connect(self, *, ledger: bool = False) -> Connection:
        """Return a new connection.

        Errors are those of asyncpg; `is_server_error` classifies them.
        """
        return await asyncpg.connect(**self.options(ledger=ledger))


async def check(connection: Connection) -> None:
    """Refuse a server that is too old, and warn of one that may lose committed data (`fsync` off).

    Raises:
        BadSettings: its version is below `OLDEST`.
    """
    version = connection.get_server_version()
    if version.major < OLDEST:
        raise BadSettings(
            f"DATABASE_URL: PostgreSQL {OLDEST} or newer is needed, and this server is {version.major}.{version.minor}"
        )
    if await connection.fetchval("SELECT setting FROM pg_settings WHERE name = 'fsync'") != "on":
        log.warning("postgresql_without_fsync", remedy="turn fsync on: a crash of the machine loses committed events")


@contextmanager
def reporting_connect_errors(server: PostgresServer) -> Iterator[None]:
    """Translate the errors of the first request to a server, which is made within this context.

    Raises:
        BadSettings: PostgreSQL's clients do not understand the URL.
        Unavailable: the server cannot be reached, or refuses the login; the text says why and what helps.
    """
    try:
        yield
    except asyncpg.ClientConfigurationError as error:
        raise BadSettings(f"DATABASE_URL: {error_text(error)}") from None
    except Exception as error:
        if not is_server_error(error):
            raise
        raise Unavailable(f"the database {server.name} cannot be opened: {_why(error)}") from None


def _why(error: Exception) -> str:
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return f"{error_text(error)}; see the user and password in TELLWIRE_DATABASE_URL"
        case asyncpg.InvalidCatalogNameError():
            return f"{error_text(error)}; create it first, with `createdb` for example"
        case ConnectionRefusedError():
            return "nothing listens there; start PostgreSQL, or correct TELLWIRE_DATABASE_URL"
        case TimeoutError():
            return f"it did not answer within {_CONNECT_SECONDS:.0f} s"
        case _:
            return error_text(error)


class LedgerConnection:
    """One connection for the ledger's statements, made when it is needed and anew after it broke."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._connection: Connection | None = None

    @property
    def begin(self) -> str:
        """The SQL that begins a transaction with the settings of the ledger's statements."""
        return f"BEGIN;{SET_LOCAL}" if self._server.pooled else "BEGIN;"

    async def connection(self) -> Connection:
        """Return the connection, ready for the next transaction."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._server.connect(ledger=True)
        return self._connection

    async def roll_back(self) -> None:
        """Roll back a failed transaction; close the connection when that fails too."""
        connection = self._connection
        if connection is None or connection.is_closed():
            self._connection = None
            return
        try:
            await connection.execute("ROLLBACK")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            self.drop()

    def drop(self) -> None:
        """Close the connection; the next transaction makes another."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Close the connection, with a message to the server if that works."""
        if self._connection is not None and not self._connection.is_closed():
            try:
                await self._connection.close(timeout=2)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                self._connection.terminate()
        self._connection = None


def is_server_error(error: BaseException) -> bool:
    """Return whether an error is the server's (gone, full, read-only, too busy), not that of a job's statement."""
    if isinstance(error, OSError | asyncio.TimeoutError | asyncpg.InternalClientError):
        return True
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)
    state = getattr(error, "sqlstate", None)
    return isinstance(state, str) and (state.startswith(_OF_THE_SERVER) or state in _ALSO_OF_THE_SERVER)


def unavailable(error: BaseException) -> Unavailable:
    """Return the error for callers when the server cannot commit."""
    return Unavailable(f"the database cannot commit: {error_text(error)}")


def error_text(error: BaseException) -> str:
    """Return the first line of an error's text, or its type's name without a text."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__
