"""Goes on with an erasure, stride by stride, until nothing of the person is left; anybody may, at any time, again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import Connection

from tellwire.model.deliveries import Event, Snapshot
from tellwire.model.ledger import Keys, Ledger
from tellwire.model.registry import Registry
from tellwire.model.row_json import instant
from tellwire.ports.clock import Clock
from tellwire.ports.storage import LedgerStore
from tellwire.security.vault import Vault
from tellwire.stores.queries import erasure_strides, erasures, person_in_payloads, person_rows, tombstones
from tellwire.stores.queries.erasure_strides import ErasureBatch
from tellwire.stores.queries.erasures import Counts, Erasure
from tellwire.stores.queries.person_in_payloads import Search

T = TypeVar("T")

_PAGES_UNNOTED = 50
"""POSTs are looked through in portions; where we are is written down this often at least."""


class Store(LedgerStore, Protocol):
    """What of a store an erasure needs."""

    @property
    def vault(self) -> Vault: ...

    def registry(self) -> Registry: ...

    async def read(self, work: Callable[[Connection], T]) -> T: ...

    async def write(self, work: Callable[[Connection], T]) -> T: ...

    async def scrub(self) -> None:
        """Make what was erased leave the files as well, as far as the store can."""
        ...


class ErasureWorker:
    """Runs erasures.

    Args:
        forget: told of every delivery that was cancelled, so that it does not go out from memory.
        sweep: removes the bytes of all media whose rows were erased.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        forget: Callable[[Sequence[str]], None],
        sweep: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
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
        while (erasure := await self._look(organization_id, erasure_id)) is not None and erasure.state == "running":
            match erasure.phase:
                case "direct":
                    await self._stride(erasure, erasure_strides.direct)
                case "groups":
                    await self._groups(erasure)
                case "received":
                    await self._received(erasure)
                case "answers":
                    await self._stride(erasure, erasure_strides.answers)
                case _:
                    await self._end(erasure)

    async def start_all(self) -> None:
        """Go on with every erasure that was begun and is not done: a process may have ended in the middle of it."""
        for organization_id, erasure_id in await self._store.read(erasures.running):
            self.start(organization_id, erasure_id)

    async def prune(self) -> None:
        """Drop marks, and what is known of erasures, when they were kept for long enough."""
        now = self._clock.now()
        if not await self._store.read(lambda c: erasures.outlived(c, now)):
            return
        while await self._store.write(lambda c: tombstones.prune(c, now)):
            pass
        await self._store.write(lambda c: erasures.prune(c, now))

    async def _look(self, organization_id: str, erasure_id: str) -> Erasure | None:
        vault = self._store.vault
        return await self._store.read(lambda c: erasures.get(c, vault, organization_id, erasure_id))

    async def _stride(
        self, before: Erasure, stride: Callable[[Connection, Vault, int, Erasure], ErasureBatch]
    ) -> Erasure:
        """Make a stride from where the erasure stands, unless another process has made it."""
        vault, now = self._store.vault, self._clock.now()

        def work(connection: Connection) -> ErasureBatch:
            erasure = erasures.get(connection, vault, before.organization_id, before.id)
            if erasure is None or (erasure.phase, erasure.cursor) != (before.phase, before.cursor):
                return ErasureBatch(erasure or before)
            return stride(connection, vault, now, erasure)

        done = await self._store.write(work)
        if done.cancelled:
            self._forget(done.cancelled)
        return done.erasure

    async def _groups(self, erasure: Erasure) -> None:
        group, _, place = erasure.cursor.partition(" ")
        if place:
            what = erasure_strides.group_events if place.startswith("events ") else erasure_strides.group_messages
            await self._stride(erasure, what)
            return
        following = await self._store.read(lambda c: person_rows.next_group(c, erasure.organization_id, group))
        await self._move(erasure, Counts(), *(("groups", f"{following} events ") if following else ("received", "")))

    async def _received(self, erasure: Erasure) -> None:
        registry, vault = self._store.registry(), self._store.vault
        after, until = erasure.cursor, erasure.subject.until
        for _ in range(_PAGES_UNNOTED):

            def look(connection: Connection, after: str = after) -> tuple[Search, person_in_payloads.PayloadMatches]:
                key = tombstones.key(connection, vault)
                wanted = Search(erasure.organization_id, erasure.subject.addresses, key)
                return wanted, person_in_payloads.search(connection, registry, wanted, after=after, until=until)

            wanted, found = await self._store.read(look)
            if found.ids or not found.after:
                break
            after = found.after
        place = ("received", found.after) if found.after else ("answers", "")

        def work(connection: Connection, vault: Vault, now: int, current: Erasure) -> ErasureBatch:  # noqa: ARG001
            changed = person_in_payloads.erase(connection, registry, wanted, found.ids, erasure.erased_at)
            phase, cursor = place
            return ErasureBatch(
                erasures.advance(connection, current, Counts(received=changed), phase=phase, cursor=cursor)
            )

        await self._stride(erasure, work)

    async def _move(self, erasure: Erasure, counts: Counts, phase: str, cursor: str) -> None:
        def work(connection: Connection, vault: Vault, now: int, current: Erasure) -> ErasureBatch:  # noqa: ARG001
            return ErasureBatch(erasures.advance(connection, current, counts, phase=phase, cursor=cursor))

        await self._stride(erasure, work)

    async def _end(self, erasure: Erasure) -> None:
        """Tell subscribers, once more when the process ends before the erasure is noted as done.

        Raises:
            Unavailable: the bytes of media cannot be removed just now; the erasure is not over until they are.
        """
        await self._sweep()
        now = self._clock.now()
        await self._store.apply(Keys(), lambda ledger: _tell(ledger, erasure))
        await self._store.write(lambda c: erasures.finish(c, erasure, now))
        await self._store.scrub()


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
