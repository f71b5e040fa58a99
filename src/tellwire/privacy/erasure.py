"""Goes on with an erasure, stride by stride, until nothing of the person is left; anybody may, at any time, again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec import Raw, Struct

from tellwire.model.deliveries import Event, Snapshot
from tellwire.model.erasures import Erasure, Phase
from tellwire.model.ledger import Keys, Ledger
from tellwire.model.row_json import instant
from tellwire.ports.clock import Clock
from tellwire.ports.queues import ErasureBatch, ErasurePart, Erasures
from tellwire.ports.storage import LedgerStore

_PAGES_UNNOTED = 50
"""POSTs are looked through in portions; where we are is written down this often at least."""


class ErasureWorker:
    """Runs erasures.

    Args:
        store, erasures, clock: decisions, the erasures under way, and the time.
        forget: told of every delivery that was cancelled, so that it does not go out from memory.
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

    def start(self, organization_id: str, erasure_id: str) -> asyncio.Task[None]:
        """Go on with an erasure in the background, once however often this is called."""
        task = self._running.get(erasure_id)
        if task is None:
            task = self._running[erasure_id] = asyncio.create_task(self.run(organization_id, erasure_id))
            task.add_done_callback(lambda _: self._running.pop(erasure_id, None))
        return task

    async def stop(self) -> None:
        """Leave what is not done as it is; it is gone on with after the next start."""
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def run(self, organization_id: str, erasure_id: str) -> None:
        """Go on with an erasure to its end; returns at once when it is over."""
        while (erasure := await self._erasures.get(organization_id, erasure_id)) and erasure.state == "running":
            match erasure.phase:
                case "direct":
                    self._took(await self._erasures.erase_some(erasure, "conversations", self._clock.now()))
                case "groups":
                    await self._groups(erasure)
                case "received":
                    await self._received(erasure)
                case "answers":
                    self._took(await self._erasures.erase_some(erasure, "answers", self._clock.now()))
                case _:
                    await self._end(erasure)

    async def round(self) -> None:
        """Go on with what others have left, and drop what was kept for long enough."""
        await self.start_all()
        await self.prune()

    async def start_all(self) -> None:
        """Go on with every erasure that was begun and is not done: a process may have ended in the middle of it."""
        for organization_id, erasure_id in await self._erasures.running():
            self.start(organization_id, erasure_id)

    async def prune(self) -> None:
        """Drop marks, and what is known of erasures, when they were kept for long enough."""
        now = self._clock.now()
        if not await self._erasures.outlived(now):
            return
        while await self._erasures.drop_marks(now):
            pass
        await self._erasures.drop_finished(now)

    def _took(self, done: ErasureBatch) -> None:
        if done.cancelled:
            self._forget(done.cancelled)

    async def _groups(self, erasure: Erasure) -> None:
        group, _, place = erasure.cursor.partition(" ")
        if place:
            part: ErasurePart = "group_events" if place.startswith("events ") else "group_messages"
            self._took(await self._erasures.erase_some(erasure, part, self._clock.now()))
        elif following := await self._erasures.next_group(erasure, group):
            await self._erasures.go_to(erasure, "groups", f"{following} events ")
        else:
            await self._erasures.go_to(erasure, "received", "")

    async def _received(self, erasure: Erasure) -> None:
        registry, after = self._store.registry(), erasure.cursor
        for _ in range(_PAGES_UNNOTED):
            found = await self._erasures.search_payloads(erasure, registry, after)
            if found.ids or not found.after:
                break
            after = found.after
        phase: Phase = "received" if found.after else "answers"
        await self._erasures.erase_payloads(erasure, registry, found.ids, phase, found.after)

    async def _end(self, erasure: Erasure) -> None:
        """Tell subscribers, once more when the process ends before the erasure is noted as done.

        Raises:
            Unavailable: the bytes of media cannot be removed just now; the erasure is not over until they are.
        """
        await self._sweep()
        now = self._clock.now()
        await self._store.apply(Keys(), lambda ledger: _tell(ledger, erasure))
        await self._erasures.finish(erasure, now)


class _Told(Struct):
    contact_id: str
    contact_ids: tuple[str, ...]
    conversation_ids: tuple[str, ...]
    erased_at: str


def _tell(ledger: Ledger, erasure: Erasure) -> None:
    told = _Told(erasure.contact_id, erasure.contact_ids, erasure.subject.conversation_ids, instant(erasure.erased_at))
    ledger.emit(
        Event(
            id=ledger.new_id(),
            organization_id=erasure.organization_id,
            account_id="",
            entity="operational",
            action="insert",
            name="contact.erased",
            order_key=erasure.organization_id,
            snapshot=Snapshot(row=Raw(msgspec.json.encode(told))),
            created_at=ledger.now,
        )
    )
