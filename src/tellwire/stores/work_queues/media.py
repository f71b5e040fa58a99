"""The queries for files of messages that downloads and uploads need."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from tellwire.model.messaging import Media
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.units import Micros
from tellwire.stores.queries import media, operational
from tellwire.stores.queries.audit import OURSELVES, AuditChange
from tellwire.stores.query_runner import QueryRunner


class SqlMediaFiles:
    """`Downloads` and `UploadedFiles` over any store."""

    def __init__(self, store: QueryRunner) -> None:
        self._store = store

    async def due(
        self, now: Micros, without: Collection[str], limit: int, *, not_of: Collection[str] = ()
    ) -> Sequence[Media]:
        """Return the files that are due to be downloaded."""
        return await self._store.read(lambda c: media.due(c, now, without, limit, not_of=not_of))

    async def hurry(self, account_ids: Collection[str], now: Micros) -> None:
        """Make the waiting files of these accounts due at once."""
        await self._store.write(lambda c: media.make_due(c, account_ids, now))

    async def get(self, organization_id: str, media_id: str) -> Media | None:
        """Return a file as it is now, None when there is none."""
        return await self._store.read(lambda c: media.get(c, organization_id, media_id))

    async def these(self, organization_id: str, media_ids: Sequence[str]) -> Sequence[Media]:
        """Return the files of an organization with these ids, leaving out unknown ids."""
        return await self._store.read(lambda c: media.get_many(c, organization_id, media_ids))

    async def settle(self, before: Media, after: Media, news: OperationalEvent | None = None) -> bool:
        """Write a file's new state unless it has changed since `before`; return whether it was written.

        `news` is recorded in the same transaction when it was."""

        def work(connection: Connection) -> bool:
            written = media.settle(connection, before, after)
            if written and news is not None:
                change = AuditChange(after.organization_id, OURSELVES, after.updated_at, self._store.new_id)
                operational.record(connection, change, news)
            return written

        return await self._store.write(work)

    async def erased(self, now: Micros, limit: int) -> Sequence[Media]:
        """Return the erased files whose bytes are due to be removed."""
        return await self._store.read(lambda c: media.erased(c, now, limit))

    async def removed(self, files: Sequence[Media], now: Micros) -> None:
        """Record that the bytes of erased files are gone."""

        def work(connection: Connection) -> None:
            for each in files:
                media.bytes_removed(connection, each, now)

        await self._store.write(work)
