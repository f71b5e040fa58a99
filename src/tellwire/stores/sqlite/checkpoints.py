"""SQLite: move the write-ahead log into the database in another thread, so that no commit takes longer for it.

A passive checkpoint never waits, but under steady writing it never reaches the log's end either, and the log would
grow. When it is too long, the writer itself moves the rest (`overdue`), and the log starts anew.

Under a light load checkpoints are rarer, because a page that many commits have written is then moved once.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from time import monotonic

import structlog

log = structlog.get_logger("tellwire.store")

_SECONDS = 0.5
_LONGEST_SECONDS = 5.0
_FEW_ROWS = 2_000
_OVERDUE_PAGES = 16_384
_REWRITTEN_BYTES = 64 * 1024 * 1024
"""The largest file that is rewritten after an erasure, which stops the writer for about a second."""


class Checkpointer(threading.Thread):
    """Checkpoints over a connection of its own: every half second, or less often while few rows change."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(name="tellwire-checkpointer", daemon=True)
        self._connect = connect
        self._stopping = threading.Event()
        self.overdue = False
        """The log is longer than 64 MiB: the writer should `finish`."""
        self.rows = 0
        """Rows that the writer has changed so far; it keeps this up to date."""
        self.purging = False
        """The log still holds erased data: the writer should `finish`, after which the log is empty."""
        self._rewritten = False

    def run(self) -> None:
        db = self._connect()
        moved, last = 0, monotonic()
        try:
            while not self._stopping.wait(_SECONDS):
                rows, now = self.rows, monotonic()
                if rows == moved or (rows - moved < _FEW_ROWS and now - last < _LONGEST_SECONDS):
                    continue
                moved, last = rows, now
                try:
                    _, pages, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    self.overdue = pages > _OVERDUE_PAGES
                except sqlite3.OperationalError:
                    continue  # a full disk fails the next commit, which reports it
        finally:
            db.close()

    def finish(self, db: sqlite3.Connection) -> None:
        """Move the rest of the log. Called in the writer's thread, between two commits, so that the end is reached."""
        self.overdue = False
        if self.purging:
            self._purge(db)
        else:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _purge(self, db: sqlite3.Connection) -> None:
        """Empty the log. Pages that SQLite has rearranged may hold old copies too, so a small file is rewritten."""
        try:
            if not self._rewritten:
                (pages,), (size,) = (db.execute(f"PRAGMA page_{what}").fetchone() for what in ("count", "size"))
                if pages * size <= _REWRITTEN_BYTES:
                    db.execute("VACUUM")
                else:
                    log.info("store_not_rewritten", remedy="VACUUM the file when convenient: see the how-to on erasure")
                self._rewritten = True
            db.execute("PRAGMA busy_timeout=0").fetchone()  # when a reader is active, the next commit tries again
            busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self.purging = self._rewritten = bool(busy)
        except sqlite3.OperationalError as error:
            self.purging = self._rewritten = False
            log.warning("store_not_purged", reason=str(error), remedy="VACUUM the file: see the how-to on erasure")
        finally:
            db.execute("PRAGMA busy_timeout=10000").fetchone()

    def stop(self) -> None:
        self._stopping.set()
        self.join()
