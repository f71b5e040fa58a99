"""SQLite: moves the write-ahead log into the database beside the writer, so that no commit pays for it.

A passive checkpoint never waits for anybody, but under steady writing it never reaches the log's end either, and the
log would grow. When it has grown too long the writer itself moves the rest (`overdue`); the log then starts anew.

Under a light load it waits a while, because a page that is written by many commits then moves once.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from time import monotonic

_SECONDS = 0.5
_LONGEST_SECONDS = 5.0
_FEW_ROWS = 2_000
_OVERDUE_PAGES = 16_384


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
                    continue  # a full disk shows at the next commit, which says so
        finally:
            db.close()

    def finish(self, db: sqlite3.Connection) -> None:
        """Move what is left of the log; in the writer's thread, between two commits, so that it does end."""
        self.overdue = False
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def stop(self) -> None:
        self._stopping.set()
        self.join()
