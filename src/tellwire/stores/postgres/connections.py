"""PostgreSQL: connections, what they are set to, and which errors are the server's own."""

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
"""The oldest version of PostgreSQL that is served."""

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_SAFE = {
    "synchronous_commit": "on",  # what is answered 200 is on disk, whatever the server's default is
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
"""The settings for one transaction, for where a session is nobody's own."""

_OF_THE_SERVER = ("08", "28", "3D", "40", "53", "57", "58", "XX")
_ALSO_OF_THE_SERVER = ("25006", "25P03", "55P03", "42501")


class Server(Struct, frozen=True):
    """Where the database is.

    `pooled`: behind a transaction-mode pooler, so a session is shared with others. `patient`: statements may take as
    long as they do, as migrations may.
    """

    url: str
    pooled: bool = False
    patient: bool = False

    @property
    def name(self) -> str:
        """The database as messages name it: without user and password."""
        parts = urlsplit(self.url)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def options(self, *, ledger: bool = False) -> dict[str, Any]:
        """What asyncpg is told; one for the ledger has the settings of its statements, but behind a
        pooler."""
        settings = {"application_name": "tellwire"}
        if not self.pooled:
            settings |= _SAFE | (_PLANNED if ledger else {})
        return {
            "dsn": self.url,
            "timeout": _CONNECT_SECONDS,
            "command_timeout": None if self.patient else _ANSWER_SECONDS,
            "statement_cache_size": 0 if self.pooled else 256,
            "max_cached_statement_lifetime": 0,
            "server_settings": settings,
        }

    async def connect(self, *, ledger: bool = False) -> Connection:
        """A new connection.

        Raises what asyncpg raises; `is_the_servers` knows it.
        """
        return await asyncpg.connect(**self.options(ledger=ledger))


async def check(connection: Connection) -> None:
    """Refuse a server that is too old, and warn of one that does not keep what it has committed.

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
def reaching(server: Server) -> Iterator[None]:
    """Within it a server is first asked for something.

    Raises:
        BadSettings: the URL is none that PostgreSQL's clients understand.
        Unavailable: it cannot be reached, or lets nobody in; the text says why and what helps.
    """
    try:
        yield
    except asyncpg.ClientConfigurationError as error:
        raise BadSettings(f"DATABASE_URL: {said(error)}") from None
    except Exception as error:
        if not is_the_servers(error):
            raise
        raise Unavailable(f"the database {server.name} cannot be opened: {_why(error)}") from None


def _why(error: Exception) -> str:
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return f"{said(error)}; see the user and password in TELLWIRE_DATABASE_URL"
        case asyncpg.InvalidCatalogNameError():
            return f"{said(error)}; create it first, with `createdb` for example"
        case ConnectionRefusedError():
            return "nothing listens there; start PostgreSQL, or correct TELLWIRE_DATABASE_URL"
        case TimeoutError():
            return f"it did not answer within {_CONNECT_SECONDS:.0f} s"
        case _:
            return said(error)


class Link:
    """One connection for one purpose, made when it is needed and made anew after it broke."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Connection | None = None

    @property
    def begin(self) -> str:
        """The text that begins a transaction with the settings of the ledger's statements."""
        return f"BEGIN;{SET_LOCAL}" if self._server.pooled else "BEGIN;"

    async def connection(self) -> Connection:
        """The connection, fit for the next transaction."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._server.connect(ledger=True)
        return self._connection

    async def rolled_back(self) -> None:
        """Leave a transaction that failed; a connection that cannot even do that is given up."""
        connection = self._connection
        if connection is None or connection.is_closed():
            self._connection = None
            return
        try:
            await connection.execute("ROLLBACK")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            self.drop()

    def drop(self) -> None:
        """Give the connection up; the next transaction makes another."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Say goodbye to the server."""
        if self._connection is not None and not self._connection.is_closed():
            try:
                await self._connection.close(timeout=2)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                self._connection.terminate()
        self._connection = None


def is_the_servers(error: BaseException) -> bool:
    """Whether it is the server that cannot (gone, full, read-only, too busy), not the job that asks for nonsense."""
    if isinstance(error, OSError | asyncio.TimeoutError | asyncpg.InternalClientError):
        return True
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)
    state = getattr(error, "sqlstate", None)
    return isinstance(state, str) and (state.startswith(_OF_THE_SERVER) or state in _ALSO_OF_THE_SERVER)


def unavailable(error: BaseException) -> Unavailable:
    """What a caller is told when the server cannot."""
    return Unavailable(f"the database cannot commit: {said(error)}")


def said(error: BaseException) -> str:
    """An error's own words in one line."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__
