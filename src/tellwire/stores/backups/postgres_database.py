"""A PostgreSQL database in a backup: dumped and restored by PostgreSQL's own programs, found on PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from msgspec import Struct
from sqlalchemy import Connection, text

from tellwire.errors import AlreadyRunning, BadSettings, NotMigrated, TellwireError
from tellwire.model.units import Micros
from tellwire.stores.backups.archive import Tell
from tellwire.stores.postgres.connections import PostgresServer, reporting_connect_errors
from tellwire.stores.postgres.migrate import found_schema, lacking_in
from tellwire.stores.postgres.query_runner import PostgresQueryRunner
from tellwire.stores.queries import inventory
from tellwire.stores.queries.inventory import Inventory
from tellwire.stores.schema.tables import metadata

T = TypeVar("T")

_TABLES = ("alembic_version", *metadata.tables)
_LOOK_SECONDS = 2.0
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'tellwire' AND pid <> pg_backend_pid()"
)


class _State(Struct, frozen=True):
    """The server's major version, and how many other connections of Tellwire the database has."""

    version: int
    others: int


class PostgresDatabase:
    """The database of the settings.

    Raises:
        BadSettings: it is reached by way of a pooler, which PostgreSQL's programs cannot use.
    """

    def __init__(self, url: str, *, pooled: bool) -> None:
        if pooled:
            raise BadSettings(
                "DATABASE_POOLER: pg_dump and pg_restore cannot work through a pooler; for this command name the server"
                " itself in TELLWIRE_DATABASE_URL, with TELLWIRE_DATABASE_POOLER=false"
            )
        self.server = PostgresServer(url)
        self.name = self.server.name
        self.made_by = 0
        """The major version of `pg_dump`, once `check_source` has looked for it."""

    # --- backup -------------------------------------------------------------------------------------------------------

    async def check_source(self) -> str:
        """Return the revision of the database.

        Raises:
            TellwireError: there is none of Tellwire, or `pg_dump` is missing or too old.
            NotMigrated: its schema is of a newer version, or of a version under development.
        """
        await lacking_in(self.server)
        revision = (await found_schema(self.server)).revision
        if not revision:
            raise TellwireError(f"the database {self.name} holds nothing of Tellwire: TELLWIRE_DATABASE_URL names it")
        self.made_by = check_program("pg_dump", at_least=(await self._state()).version)
        return revision

    async def save(self, copy: Path, tell: Tell) -> Inventory:
        """Dump our tables as they are at one moment, and return what they hold at the same moment.

        Raises:
            TellwireError: `pg_dump` failed; the text says why.
            Unavailable: the server cannot be reached.
        """

        def dump(connection: Connection) -> Inventory:
            """Run within one transaction, whose snapshot pg_dump takes over; nothing else waits for this process."""
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            found = inventory.inventory(connection)
            arguments = ["--format=custom", f"--file={copy}", f"--snapshot={snapshot}", "--no-password"]
            self._dump([*arguments, *(f"--table={name}" for name in _TABLES)], copy, tell)
            return found

        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        runner = PostgresQueryRunner(self.server)
        try:
            return await runner.read(dump)
        finally:
            await runner.close()

    # --- restore ------------------------------------------------------------------------------------------------------

    async def check_target(self, revision: str, *, made_by: int) -> None:
        """Check that a dump can be put into the database.

        Args:
            revision: of the dump.
            made_by: the major version of the server or of pg_dump that made it, whichever is newer.

        Raises:
            AlreadyRunning: a server runs on it.
            NotMigrated: it has another schema already.
            TellwireError: `pg_restore` is missing or too old, or the server is.
        """
        found = (await found_schema(self.server)).revision
        if found not in ("", revision):
            raise NotMigrated(
                f"the database {self.name} has the schema {found!r}, and the archive {revision!r}: restore into an"
                " empty database (`createdb`), and name that one in TELLWIRE_DATABASE_URL"
            )
        state = await self._state()
        if state.version < made_by:
            raise TellwireError(
                f"the archive is of PostgreSQL {made_by}, and {self.name} is on {state.version}: restore it on"
                f" {made_by} or newer"
            )
        check_program("pg_restore", at_least=made_by)
        if state.others:
            raise AlreadyRunning(f"a Tellwire server is connected to {self.name}: stop it, and every command beside it")

    async def contents(self) -> dict[str, int]:
        """Return how much the database holds."""
        return await self._ask(inventory.contents)

    async def replace(self, chunks: Iterable[bytes], now: Micros, *, send_waiting: bool) -> int:
        """Put a dump in the place of what the database holds, whole or not at all; return how many messages may have
        been sent already.

        Raises:
            TellwireError: `pg_restore` failed, and nothing was changed; the text says why.
        """
        arguments = ["--format=custom", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
        if (await found_schema(self.server)).revision:
            arguments += ["--clean", "--if-exists"]
        self._restore([*arguments, "--no-password"], chunks)
        return await self._ask(partial(inventory.forget_the_server, now=now, send_waiting=send_waiting))

    # --- the server and the programs ----------------------------------------------------------------------------------

    async def _ask(self, work: Callable[[Connection], T]) -> T:
        """Run work in a transaction of its own."""
        runner = PostgresQueryRunner(self.server)
        try:
            return await runner.write(work, lock="SELECT 1", before=_nothing, after=_nothing)
        finally:
            await runner.close()

    async def _state(self) -> _State:
        with reporting_connect_errors(self.server):
            connection = await self.server.connect()
            try:
                return _State(connection.get_server_version().major, await connection.fetchval(_OTHERS))
            finally:
                await connection.close()

    def _dump(self, arguments: Sequence[str], copy: Path, tell: Tell) -> None:
        with TemporaryFile() as errors:
            process = self._start("pg_dump", arguments, errors)
            try:
                while process.poll() is None:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_LOOK_SECONDS)
                    tell("dumping the database", copy.stat().st_size, 0)
            finally:
                process.kill()
                process.wait()
            _check(process, "pg_dump", errors, "no backup was made")

    def _restore(self, arguments: Sequence[str], chunks: Iterable[bytes]) -> None:
        with TemporaryFile() as errors:
            process = self._start("pg_restore", arguments, errors, stdin=subprocess.PIPE)
            try:
                with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as pipe:
                    pipe.writelines(chunks)
                process.wait()
            finally:
                process.kill()
                process.wait()
            _check(process, "pg_restore", errors, "nothing was changed")

    def _start(
        self, program: str, arguments: Sequence[str], errors: IO[bytes], stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start a program on the database; the password goes by the environment, which no list of processes shows."""
        parts = urlsplit(self.server.url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        password = next((value for name, value in query if name == "password"), unquote(parts.password or ""))
        user, at, host = parts.netloc.rpartition("@")
        place = urlunsplit(
            parts._replace(
                netloc=f"{user.partition(':')[0]}{at}{host}",
                query=urlencode([(name, value) for name, value in query if name != "password"]),
            )
        )
        environment = {**os.environ, "LC_ALL": "C", "PGAPPNAME": "tellwire"}
        if password:
            environment["PGPASSWORD"] = password
        return subprocess.Popen(  # noqa: S603 - the program's path is looked up, and no shell reads the arguments
            [shutil.which(program) or program, f"--dbname={place}", *arguments],
            env=environment,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )


def check_program(program: str, *, at_least: int) -> int:
    """Return the major version of one of PostgreSQL's programs.

    Raises:
        TellwireError: it is not on PATH, or older than the server or the archive that it is to read.
    """
    install = f"install PostgreSQL's client programs, version {at_least} or newer (`postgresql-client-{at_least}`)"
    path = shutil.which(program)
    if path is None:
        raise TellwireError(f"{program} is not on PATH: {install}")
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"\) (\d+)", done.stdout)
    if done.returncode or found is None:
        raise TellwireError(f"{path} does not run: {_first_error(done.stderr)}")
    if int(found[1]) < at_least:
        raise TellwireError(f"{path} is of PostgreSQL {found[1]}, and {at_least} is needed: {install}")
    return int(found[1])


def _check(process: subprocess.Popen[bytes], program: str, errors: IO[bytes], outcome: str) -> None:
    if process.returncode:
        errors.seek(0)
        raise TellwireError(f"{outcome}: {_first_error(errors.read().decode(errors='replace')) or program + ' failed'}")


def _first_error(said: str) -> str:
    """Return what a program complained of first; what follows is a consequence."""
    lines = [line for line in said.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[-1] if lines else "")


async def _nothing(_: object) -> None: ...
