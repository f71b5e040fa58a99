"""The queries of the worker that does erasures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from tellwire.model.erasures import Counts, Erasure, Phase
from tellwire.model.registry import Registry
from tellwire.model.units import Micros
from tellwire.ports.queues import ErasureBatch, ErasurePart, PayloadMatches
from tellwire.stores.queries import (
    erasure_batches,
    erasures,
    person_in_meta_events,
    person_in_payloads,
    person_rows,
    tombstones,
)
from tellwire.stores.queries.person_in_payloads import PersonSearch
from tellwire.stores.query_runner import QueryRunner

_PARTS = {
    "conversations": erasure_batches.direct,
    "group_events": erasure_batches.group_events,
    "group_messages": erasure_batches.group_messages,
    "meta": person_in_meta_events.erase_some,
    "answers": erasure_batches.answers,
}


class SqlErasures:
    """`Erasures` over any store."""

    def __init__(self, store: QueryRunner) -> None:
        self._store = store

    async def running(self) -> Sequence[tuple[str, str]]:
        """Return (organization id, id) of the erasures that are not done."""
        return await self._store.read(erasures.running)

    async def get(self, organization_id: str, erasure_id: str) -> Erasure | None:
        """Return an erasure as it is now, None when there is none."""
        return await self._store.read(lambda c: erasures.get(c, self._store.vault, organization_id, erasure_id))

    async def erase_some(self, erasure: Erasure, part: ErasurePart, now: Micros) -> ErasureBatch:
        """Erase the next rows of a part."""
        return await self._move(erasure, lambda c, current: _PARTS[part](c, self._store.vault, now, current))

    async def next_group(self, erasure: Erasure, after: str) -> str:
        """Return the id of the organization's next conversation with a group after `after`."""
        return await self._store.read(lambda c: person_rows.next_group(c, erasure.organization_id, after))

    async def search_payloads(self, erasure: Erasure, registry: Registry, after: str) -> PayloadMatches:
        """Search the next stored POSTs for the person."""
        until = erasure.subject.until
        return await self._store.read(
            lambda c: person_in_payloads.search(c, registry, self._search(c, erasure), after=after, until=until)
        )

    async def erase_payloads(
        self, erasure: Erasure, registry: Registry, ids: Sequence[str], phase: Phase, cursor: str
    ) -> ErasureBatch:
        """Remove the person from stored POSTs."""
        done = await self._store.read(
            lambda c: person_in_payloads.cuts(c, registry, self._search(c, erasure), ids) if ids else []
        )

        def work(connection: Connection, current: Erasure) -> ErasureBatch:
            wanted = self._search(connection, erasure)
            changed = person_in_payloads.erase(connection, registry, wanted, done, erasure.erased_at)
            counts = Counts(received=changed)
            return ErasureBatch(erasures.advance(connection, current, counts, phase=phase, cursor=cursor))

        return await self._move(erasure, work)

    async def go_to(self, erasure: Erasure, phase: Phase, cursor: str) -> ErasureBatch:
        """Store the phase and cursor that an erasure has reached."""
        return await self._move(
            erasure, lambda c, now: ErasureBatch(erasures.advance(c, now, Counts(), phase=phase, cursor=cursor))
        )

    async def finish(self, erasure: Erasure, now: Micros) -> None:
        """Mark an erasure as done, delete whom it was about, and purge the database's files."""
        await self._store.write(lambda c: erasures.finish(c, erasure, now))
        await self._store.purge_erased()

    async def outlived(self, now: Micros) -> bool:
        """Return whether there are marks or erasures old enough to drop."""
        return await self._store.read(lambda c: erasures.outlived(c, now))

    async def drop_marks(self, now: Micros) -> bool:
        """Drop a batch of marks that were kept for long enough; return whether there may be more."""
        return await self._store.write(lambda c: tombstones.prune(c, now))

    async def drop_finished(self, now: Micros) -> None:
        """Drop finished erasures whose marks are gone too."""
        await self._store.write(lambda c: erasures.prune(c, now))

    async def _move(self, before: Erasure, work: Callable[[Connection, Erasure], ErasureBatch]) -> ErasureBatch:
        """Do the work unless another process has moved the erasure on meanwhile."""

        def guarded(connection: Connection) -> ErasureBatch:
            current = erasures.get(connection, self._store.vault, before.organization_id, before.id)
            if current is None or (current.phase, current.cursor) != (before.phase, before.cursor):
                return ErasureBatch(current or before)
            return work(connection, current)

        return await self._store.write(guarded)

    def _search(self, connection: Connection, erasure: Erasure) -> PersonSearch:
        key = tombstones.key(connection, self._store.vault)
        subject = erasure.subject
        return PersonSearch(erasure.organization_id, subject.addresses, key, subject.nobodys, subject.spans)
