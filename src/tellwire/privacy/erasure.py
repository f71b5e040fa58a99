"""Runs erasures batch by batch until no data of the person is left; any process may do so, at any time, and more than
once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec import Raw, Struct

from tellwire.loops import FairSlots
from tellwire.model.deliveries import Event, Snapshot
from tellwire.model.erasures import Erasure, Phase
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.row_json import instant
from tellwire.ports.clock import Clock
from tellwire.ports.queues import ErasureBatch, ErasurePart, Erasures
from tellwire.ports.storage import LedgerStore

MAX_CONCURRENT = 16
"""Erasures under way at a time, shared by organization."""
_MOST_PAGES = 50
"""After how many pages of searched POSTs the position is written down, even when nothing was found."""


class ErasureWorker:
    """Runs erasures.

    Args:
        store, erasures, clock: transactions, the erasures under way, and the time.
        forget: called with the ids of cancelled deliveries, so that they are not sent from memory.
        sweep: removes the bytes of all media whose rows were erased.
    """

    def __init__(
        self,
        store: LedgerStore,
        erasures: Erasures,
        clock: Clock,
        forget: Callable[[Sequence[str]], None],
        sweep: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._erasures = erasures
        self._clock = clock
        self._forget = forget
        self._sweep = sweep
        self._running: dict[str, asyncio.Task[None]] = {}
        self._slots = FairSlots(MAX_CONCURRENT)

    def start(self, organization_id: str, erasure_id: str) -> asyncio.Task[None]:
        """Continue an erasure in the background; calling this again while it runs starts nothing new."""
        task = self._running.get(erasure_id)
        if task is None:
            task = self._running[erasure_id] = asyncio.create_task(self._in_turn(organization_id, erasure_id))
            task.add_done_callback(lambda _: self._running.pop(erasure_id, None))
        return task

    async def stop(self) -> None:
        """Stop; an erasure that is not done is continued after the next start."""
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _in_turn(self, organization_id: str, erasure_id: str) -> None:
        async with self._slots.place(organization_id):
            await self.run(organization_id, erasure_id)

    async def run(self, organization_id: str, erasure_id: str) -> None:
        """Continue an erasure to its end; return at once when it is done already."""
        while (erasure := await self._erasures.get(organization_id, erasure_id)) and erasure.state == "running":
            match erasure.phase:
                case "direct":
                    self._drop_cancelled(await self._erasures.erase_some(erasure, "conversations", self._clock.now()))
                case "groups":
                    await self._erase_groups(erasure)
                case "received":
                    await self._erase_received(erasure)
                case "meta":
                    self._drop_cancelled(await self._erasures.erase_some(erasure, "meta", self._clock.now()))
                case "answers":
                    self._drop_cancelled(await self._erasures.erase_some(erasure, "answers", self._clock.now()))
                case _:
                    await self._end(erasure)

    async def round(self) -> None:
        """Continue erasures that other processes left, and drop marks that were kept for long enough."""
        await self.start_all()
        await self.prune()

    async def start_all(self) -> None:
        """Continue every erasure that was begun and is not done: a process may have ended in the middle of it."""
        for organization_id, erasure_id in await self._erasures.running():
            self.start(organization_id, erasure_id)

    async def prune(self) -> None:
        """Drop marks and finished erasures that were kept for long enough."""
        now = self._clock.now()
        if not await self._erasures.outlived(now):
            return
        while await self._erasures.drop_marks(now):
            pass
        await self._erasures.drop_finished(now)

    def _drop_cancelled(self, done: ErasureBatch) -> None:
        if done.cancelled:
            self._forget(done.cancelled)

    async def _erase_groups(self, erasure: Erasure) -> None:
        group, _, position = erasure.cursor.partition(" ")
        if position:
            part: ErasurePart = "group_events" if position.startswith("events ") else "group_messages"
            self._drop_cancelled(await self._erasures.erase_some(erasure, part, self._clock.now()))
        elif following := await self._erasures.next_group(erasure, group):
            await self._erasures.go_to(erasure, "groups", f"{following} events ")
        else:
            await self._erasures.go_to(erasure, "received", "")

    async def _erase_received(self, erasure: Erasure) -> None:
        registry, after = self._store.registry(), erasure.cursor
        for _ in range(_MOST_PAGES):
            found = await self._erasures.search_payloads(erasure, registry, after)
            if found.ids or not found.after:
                break
            after = found.after
        phase: Phase = "received" if found.after else "meta"
        await self._erasures.erase_payloads(erasure, registry, found.ids, phase, found.after)

    async def _end(self, erasure: Erasure) -> None:
        """Emit `contact.erased`, a second time if the process ends before the erasure is recorded as done.

        Raises:
            Unavailable: the bytes of media cannot be removed just now; the erasure is not done until they are.
        """
        await self._sweep()
        now = self._clock.now()
        await self._store.apply(Keys(), lambda ledger: _emit_erased(ledger, erasure))
        await self._erasures.finish(erasure, now)


class _ErasedContact(Struct):
    contact_id: str
    contact_ids: tuple[str, ...]
    conversation_ids: tuple[str, ...]
    erased_at: str


def _emit_erased(ledger: Ledger, erasure: Erasure) -> None:
    row = _ErasedContact(
        erasure.contact_id, erasure.contact_ids, erasure.subject.conversation_ids, instant(erasure.erased_at)
    )
    ledger.emit(
        Event(
            id=ledger.new_id(),
            organization_id=erasure.organization_id,
            account_id="",
            entity="operational",
            action="insert",
            name="contact.erased",
            order_key=erasure.organization_id,
            snapshot=Snapshot(row=Raw(msgspec.json.encode(row))),
            created_at=ledger.now,
        )
    )
