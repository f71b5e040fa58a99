"""Records the results of attempts: many in one commit, none lost, none given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence

import structlog
from msgspec import Struct
from msgspec.structs import replace

from tellwire.delivery.endpoint_queue import Ticket
from tellwire.errors import Unavailable
from tellwire.model.deliveries import Delivery, Work
from tellwire.ports.storage import Outbox, Result

log = structlog.get_logger("tellwire.dispatcher")

_WRITERS = 2
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0


class Entry(Struct, eq=False):
    """The results of one ticket on their way to the store, in the order of what was sent.

    `disables`: why its endpoint is to be disabled once this is written.
    """

    ticket: Ticket
    results: tuple[Result, ...]
    disables: str = ""

    def of_each(self, change: Callable[[Delivery], Result]) -> Entry:
        """Return what follows for the same ticket."""
        return Entry(self.ticket, tuple(change(result.delivery) for result in self.results))

    @property
    def after(self) -> Work:
        """What was sent, as it is now."""
        sent = self.ticket.work
        first = Work(self.results[0].delivery, sent.event)
        if not sent.more:
            return first
        more = zip(sent.more, self.results[1:], strict=True)
        return replace(first, more=tuple(Work(result.delivery, work.event) for work, result in more))


class Recorder:
    """Takes results one by one and records all that have come together.

    While one commit is under way the next batch is handed over already, so that a result waits for two commits at
    the most. While the store cannot commit, results are kept and tried again; their keys stay blocked meanwhile.

    Args:
        outbox: where they go.
        recorded: called on the event loop with what is durable, in order.
        refused: called with what was dropped because its partition has another owner by now.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        recorded: Callable[[Sequence[Entry]], None],
        refused: Callable[[Sequence[Entry]], None],
    ) -> None:
        self.unrecorded = 0
        self.failing = ""
        self._outbox = outbox
        self._recorded = recorded
        self._refused = refused
        self._entries: list[Entry] = []
        self._some = asyncio.Event()
        self._again = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()
        self._writers: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to write."""
        if not self._writers:
            for _ in range(_WRITERS):
                self._run(self._write_forever())

    def put(self, entry: Entry) -> None:
        """Take a result; it is written in the next commit."""
        self._entries.append(entry)
        self.unrecorded += 1
        self._some.set()
        self._none.clear()

    def nudge(self) -> None:
        """Try again now to write what could not be written."""
        self._again.set()

    async def stop(self, timeout_seconds: float) -> None:
        """Write what is waiting within the bound, then stop."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._none.wait()
        except TimeoutError:
            log.warning("results_unrecorded", count=self.unrecorded, reason=self.failing)
        writers = list(self._writers)
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)

    def _run(self, writing: Coroutine[None, None, None]) -> None:
        writer = asyncio.create_task(writing)
        self._writers.add(writer)
        writer.add_done_callback(self._writers.discard)

    async def _write_forever(self) -> None:
        while True:
            await self._some.wait()
            entries, self._entries = self._entries, []
            self._some.clear()
            if entries:
                await self._write(entries)

    async def _write(self, entries: list[Entry], *, alone: bool = False) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                refused = await self._outbox.record(_fenced(entries))
            except Unavailable as error:
                self._fails(str(error), len(entries))
            except Exception as error:
                log.exception("record_failed", count=len(entries))
                self._fails(type(error).__name__, len(entries))
                if not alone:
                    # One of them may be the cause: the others must not wait for it.
                    for entry in entries:
                        self._run(self._write([entry], alone=True))
                    return
            else:
                self.failing = ""
                self._settle(entries, refused)
                return
            await self._pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _fails(self, reason: str, count: int) -> None:
        if not self.failing:
            log.warning("results_wait", count=count, reason=reason)
        self.failing = reason

    def _settle(self, entries: list[Entry], refused: Collection[str]) -> None:
        self.unrecorded -= len(entries)
        if not self.unrecorded:
            self._none.set()
        if not refused:
            self._recorded(entries)
            return
        # What is sent together is of one partition: all of it is refused, or none.
        self._refused([entry for entry in entries if entry.results[0].delivery.id in refused])
        if recorded := [entry for entry in entries if entry.results[0].delivery.id not in refused]:
            self._recorded(recorded)

    async def _pause(self, seconds: float) -> None:
        self._again.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._again.wait()
        except TimeoutError:
            pass


def _fenced(entries: Iterable[Entry]) -> list[Result]:
    return [
        Result(result.delivery, result.attempt, entry.ticket.epoch, result.joins)
        for entry in entries
        for result in entry.results
    ]
