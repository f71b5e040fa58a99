"""SQLite's one writer: a thread that turns all waiting jobs into one transaction (group commit).

A job is a function of the connection. Those of one organization run in the order they came (`fair_batches`); if one
raises, the transaction is rolled back and each runs alone, so that only the job at fault fails. When the disk is full
or read-only, every job of the commit fails with `Unavailable` and none was applied; the next commit tries again.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from tellwire.errors import Unavailable
from tellwire.observability.counters import Counters
from tellwire.stores.fair_batches import LATER, FairBatches, Job

log = structlog.get_logger("tellwire.store")

Committed = Callable[[], Callable[[], None]]
"""Called in the writer's thread right after the commit; returns what to do on the event loop."""


class Writer(threading.Thread):
    """Runs jobs; `run_batch(db, jobs)` does a whole commit and returns (results, callback after the commit).

    `size` and `whose` are those of `FairBatches`. A job whose result is `LATER` is done in the next commit.
    `between` is called in the thread after each commit, `closing` in the thread before the connection closes.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        run_batch: Callable[[sqlite3.Connection, Sequence[Any]], tuple[list[Any], Committed]],
        between: Callable[[sqlite3.Connection], None],
        closing: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
        *,
        size: Callable[[Any], int],
        whose: Callable[[Any], str],
        counters: Counters,
    ) -> None:
        super().__init__(name="tellwire-writer", daemon=True)
        self._connect = connect
        self._run_batch = run_batch
        self._between = between
        self._closing = closing
        self._loop = loop
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._waiting = FairBatches(size=size, whose=whose)
        self._stopping = False
        self._counters = counters
        self.failing = ""

    async def do(self, job: Any) -> Any:
        """Run a job in the next commit; return its result once that is durable."""
        if self._stopping:
            raise Unavailable("the store is stopping")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put((job, future))
        return await future

    def stop(self) -> None:
        """Commit the waiting jobs, end the thread, and return when it has ended."""
        self._stopping = True
        self._queue.put(None)
        self.join()

    def run(self) -> None:
        db = self._connect()
        try:
            while batch := self._gather():
                self._commit(db, batch)
                self._between(db)
        finally:
            self._closing()
            db.close()

    def _gather(self) -> list[Job]:
        """Return the jobs of the next commit once there are any; none when the writer has stopped."""
        waits = not self._waiting and not self._stopping
        with suppress(queue.Empty):
            while True:
                job = self._queue.get(block=waits)
                waits = False
                if job is not None:
                    self._waiting.add(job)
        return self._waiting.take()

    def _commit(self, db: sqlite3.Connection, batch: list[Job]) -> None:
        batch = [one for one in batch if not one[1].cancelled()]  # its caller has stopped waiting
        if not batch:
            return
        changes, started = db.total_changes, time.perf_counter()
        try:
            results, durable = self._transaction(db, [job for job, _ in batch])
        except Exception as error:  # noqa: BLE001 - a job's own error is its caller's
            self._failed(db, batch, error)
        else:
            if self.failing and db.total_changes > changes:  # a commit of nothing proves nothing
                log.info("store_commits_again")
                self.failing = ""
            self._counters.commits += 1
            self._counters.commit_jobs.add(len(batch))
            self._counters.commit_seconds.add(time.perf_counter() - started)
            later = [one for one, result in zip(batch, results, strict=True) if result is LATER]
            self._waiting.put_back(later)
            self._answer([(f, r) for (_, f), r in zip(batch, results, strict=True) if r is not LATER], durable)

    def _failed(self, db: sqlite3.Connection, batch: list[Job], error: Exception) -> None:
        if _is_database_error(error):
            reason = str(error).splitlines()[0]
            if not self.failing:
                log.error("store_cannot_commit", reason=reason, remedy="free or unlock the disk; no restart is needed")
            self.failing = reason
            self._answer([(f, Unavailable(f"the database cannot commit: {reason}")) for _, f in batch], None)
        elif len(batch) == 1:
            self._answer([(batch[0][1], error)], None)
        else:
            for one in batch:
                self._commit(db, [one])

    def _transaction(self, db: sqlite3.Connection, jobs: Sequence[Any]) -> tuple[list[Any], Callable[[], None]]:
        db.execute("BEGIN IMMEDIATE")
        try:
            results, committed = self._run_batch(db, jobs)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return results, committed()

    def _answer(self, answers: list[tuple[asyncio.Future[Any], Any]], durable: Callable[[], None] | None) -> None:
        def deliver() -> None:
            if durable is not None:
                durable()
            for future, answer in answers:
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

        self._loop.call_soon_threadsafe(deliver)


def _is_database_error(error: Exception) -> bool:
    """Return whether an error is the database's (disk full, read-only, I/O), not that of a job's statement."""
    cause = error.orig if isinstance(error, OperationalError) else error
    return (
        isinstance(cause, sqlite3.OperationalError)
        and getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF != sqlite3.SQLITE_ERROR
    )
