"""Group commit on the event loop: all waiting jobs become one transaction.

As in `writer`, jobs of one organization run in the order they came; if one raises, the transaction is rolled back and
each runs alone, so that only the job at fault fails. When the database cannot commit, every job of the commit fails
with `Unavailable`, and the next commit tries again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from tellwire.errors import Unavailable
from tellwire.observability.counters import Counters
from tellwire.stores.fair_batches import LATER, FairBatches, Job

log = structlog.get_logger("tellwire.store")

Transaction = Callable[[Sequence[Any]], Awaitable[tuple[Sequence[Any], Callable[[], None]]]]
"""Does the jobs of one commit; returns their results and a callback for when they are durable."""


class Committer:
    """Runs jobs: `transaction` does a whole commit, and `broken` returns whether an error is the database's.

    `size` and `whose` are those of `FairBatches`. A job whose result is `LATER` is done in the next commit.
    """

    def __init__(
        self,
        transaction: Transaction,
        broken: Callable[[BaseException], bool],
        *,
        counters: Counters,
        size: Callable[[Any], int] = lambda _: 1,
        whose: Callable[[Any], str] = lambda _: "",
    ) -> None:
        self._transaction = transaction
        self._broken = broken
        self._waiting = FairBatches(size=size, whose=whose)
        self._some = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._counters = counters
        self.failing = ""

    def start(self) -> None:
        """Start, in the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Commit the waiting jobs, then end."""
        self._stopping = True
        self._some.set()
        if self._task is not None:
            await self._task

    async def do(self, job: Any) -> Any:
        """Run a job in the next commit; return its result once that is durable."""
        if self._stopping:
            raise Unavailable("the store is stopping")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.add((job, future))
        self._some.set()
        return await future

    def submit(self, job: Any) -> None:
        """Run a job in the next commit, without waiting; its errors are ignored."""
        if not self._stopping:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._waiting.add((job, future))
            self._some.set()

    async def _run(self) -> None:
        while self._waiting or not self._stopping:
            await self._some.wait()
            batch = self._waiting.take()
            if not self._waiting and not self._stopping:
                self._some.clear()
            if batch:
                await self._commit(batch)

    async def _commit(self, batch: list[Job]) -> None:
        batch = [one for one in batch if not one[1].cancelled()]  # its caller has stopped waiting
        if not batch:
            return
        started = time.perf_counter()
        try:
            results, durable = await self._transaction([job for job, _ in batch])
        except Exception as error:  # noqa: BLE001 - a job's own error is its caller's
            await self._failed(batch, error)
            return
        if self.failing:
            log.info("store_commits_again")
        self.failing = ""
        self._counters.commits += 1
        self._counters.commit_jobs.add(len(batch))
        self._counters.commit_seconds.add(time.perf_counter() - started)
        asyncio.get_running_loop().call_soon(durable)  # the loop logs what it raises
        later: list[Job] = []
        for job, result in zip(batch, results, strict=True):
            if result is LATER:
                later.append(job)
            elif not job[1].done():
                job[1].set_result(result)
        if later:
            self._waiting.put_back(later)
            self._some.set()

    async def _failed(self, batch: list[Job], error: Exception) -> None:
        if self._broken(error):
            reason = (str(error).splitlines() or [""])[0] or type(error).__name__
            if not self.failing:
                log.error("store_cannot_commit", reason=reason, remedy="mend the database; no restart is needed")
            self.failing = reason
            error = Unavailable(f"the database cannot commit: {reason}")
        elif len(batch) > 1:
            for one in batch:
                await self._commit([one])
            return
        for _, future in batch:
            if not future.done():
                future.set_exception(error)
