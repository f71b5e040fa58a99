"""An SQLite database in a backup: copied beside its server, and put in the place of another one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine

from tellwire.errors import TellwireError
from tellwire.model.units import Micros
from tellwire.stores.backups.archive import Tell, beside, flush_folder
from tellwire.stores.migrate import found_in_file, lacking_in_file
from tellwire.stores.queries import inventory
from tellwire.stores.queries.inventory import Inventory
from tellwire.stores.sqlite.store import hold_lock, lock_path

_PAGES = 2048
"""Pages that are copied at a time, between two looks at the progress."""


class SqliteFile:
    """The database file of the settings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.made_by = 0

    # --- backup -------------------------------------------------------------------------------------------------------

    async def check_source(self) -> str:
        """Return the revision of the database.

        Raises:
            TellwireError: there is no database.
            NotMigrated: its schema is of a newer version, or of a version under development.
        """
        lacking_in_file(self.path)
        if revision := found_in_file(self.path).revision:
            return revision
        raise TellwireError(f"there is no database of Tellwire at {self.path}: TELLWIRE_DATABASE_URL names it")

    async def save(self, copy: Path, tell: Tell) -> Inventory:
        """Copy the database as it is at one moment, beside a server that goes on writing.

        One read transaction is held while the pages are copied. In WAL mode it stops no writer, and the copy need not
        begin anew when something is written, as a backup without it does.

        Raises:
            TellwireError: the database is damaged.
        """
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(_connect(self.path)) as source, closing(sqlite3.connect(copy, isolation_level=None)) as target:
            source.execute("PRAGMA query_only=ON")
            target.execute("PRAGMA synchronous=OFF")  # the archive is flushed, this copy goes
            source.execute("BEGIN")
            size = source.execute("PRAGMA page_size").fetchone()[0]
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the moment of the copy

            def copied(_status: int, remaining: int, total: int) -> None:
                tell("copying the database", (total - remaining) * size, total * size)

            try:
                source.backup(target, pages=_PAGES, progress=copied)
            except sqlite3.Error as error:
                raise TellwireError(f"the database {self.path} cannot be copied to {copy.parent}: {error}") from None
            source.execute("ROLLBACK")
            target.execute("PRAGMA journal_mode=DELETE").fetchone()  # the copy is one file
            pages = target.execute("PRAGMA page_count").fetchone()[0]
            tell("checking the copy", pages * size, pages * size)
            [found] = target.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise TellwireError(f"the database {self.path} is damaged, and no backup was made: {found}")
        with _opened(copy) as connection:
            return inventory.inventory(connection)

    # --- restore ------------------------------------------------------------------------------------------------------

    async def check_target(self, revision: str, *, made_by: int) -> None:  # noqa: ARG002 - any schema may be there
        """Check that no server runs on the database. Without a lock file none does, and none is made.

        Raises:
            AlreadyRunning: a server runs on it.
        """
        if lock_path(self.path).exists():
            os.close(hold_lock(self.path))

    async def contents(self) -> dict[str, int]:
        """Return how much the database holds, which is not changed by that, nor made."""
        if not self.path.exists():
            return {}
        # Without a log nobody has it open, and no file need be made to read it.
        how = "?mode=ro" if self._with_suffix("-wal").exists() else "?immutable=1"
        with _opened(self.path, how) as connection:
            return inventory.contents(connection)

    async def replace(self, chunks: Iterable[bytes], now: Micros, *, send_waiting: bool) -> int:
        """Put a database in the place of this one; return how many messages may have been sent already.

        Until it is whole and durable, the one that is there stays.

        Raises:
            AlreadyRunning: a server runs on it.
            TellwireError: another process has it open.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = hold_lock(self.path), beside(self._file, "restoring")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.writelines(chunks)
            with _opened(draft) as connection, connection.begin():
                doubtful = inventory.forget_the_server(connection, now, send_waiting=send_waiting)
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            self._end_log()
            draft.replace(self._file)
            flush_folder(self._file.parent)
        finally:
            draft.unlink(missing_ok=True)
            os.close(handle)
        return doubtful

    def _end_log(self) -> None:
        """Remove the log of the database that is there: it must not be applied to the one that comes."""
        if self.path.exists():
            with closing(_connect(self.path)) as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        log = self._with_suffix("-wal")
        if log.exists() and log.stat().st_size:
            raise TellwireError(f"another process has {self.path} open: end it, and try again")
        for suffix in ("-wal", "-shm"):
            self._with_suffix(suffix).unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        """The file itself, where `path` is a symbolic link; its log is beside that."""
        return self.path.resolve()

    def _with_suffix(self, suffix: str) -> Path:
        return self._file.with_name(self._file.name + suffix)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=30)


@contextmanager
def _opened(path: Path, how: str = "") -> Iterator[Connection]:
    """Open a database for queries. Its name goes as a URI, in which no character of it has another meaning."""
    uri = f"{path.absolute().as_uri()}{how}"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()
