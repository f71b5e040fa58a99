"""The repository in which the synchronisation of templates stores its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.accounts.templates import Listed, SyncCounts, TemplateStatus
from tellwire.model.registry import Registry
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros
from tellwire.stores.queries import accounts, templates
from tellwire.stores.query_runner import QueryRunner

_AT_ONCE = 100
"""Templates of one transaction."""


class SqlTemplateRepository:
    """The templates of an installation, over any store."""

    def __init__(self, store: QueryRunner) -> None:
        self._store = store

    def registry(self) -> Registry:
        """Return the accounts."""
        return self._store.registry()

    async def sync_statuses(self) -> list[TemplateStatus]:
        """Return the state of synchronisation of every business account that was synchronised or tried."""
        return await self._store.read(templates.sync_statuses)

    async def keep(
        self, account: Account, listed: Sequence[Listed], *, started: Micros, now: Micros, due_at: Micros
    ) -> SyncCounts:
        """Replace the templates of the account's business account by those that Meta listed, in portions."""
        every = {(each.name, each.language): each for each in listed}
        places = list(every)
        added = changed = 0
        for start in range(0, len(places), _AT_ONCE):
            some = {place: every[place] for place in places[start : start + _AT_ONCE]}
            done = await self._store.write(partial(self._portion, account=account, some=some, started=started, now=now))
            added, changed = added + done.added, changed + done.changed

        def end(connection: Connection) -> SyncCounts:
            before = _sync_status(connection, account)
            gone = templates.drop_unlisted(connection, of_=before, listed=every, started=started, now=now)
            stale = before.asked_at > started
            after = replace(
                before,
                synchronised_at=now,
                asked_at=before.asked_at if stale else 0,
                due_at=min(before.due_at, due_at) if stale else due_at,
                attempts=0,
                cause="",
            )
            templates.put_sync_status(connection, after)
            accounts.note_token(connection, account, "accepted", now)
            return SyncCounts(added=added, changed=changed, removed=gone, total=len(every))

        return await self._store.write(end)

    def _portion(
        self,
        connection: Connection,
        *,
        account: Account,
        some: Mapping[tuple[str, str], Listed],
        started: Micros,
        now: Micros,
    ) -> SyncCounts:
        of_ = _sync_status(connection, account)
        return templates.keep(connection, self._store.new_id, of_=of_, listed=some, started=started, now=now)

    async def failed(
        self, account: Account, cause: str, *, now: Micros, due_at: Micros, token_refused: bool = False
    ) -> None:
        """Record why Meta gave no list, and when to ask again."""

        def work(connection: Connection) -> None:
            before = _sync_status(connection, account)
            after = replace(before, attempts=before.attempts + 1, cause=cause, due_at=due_at)
            templates.put_sync_status(connection, after)
            if token_refused:
                accounts.note_token(connection, account, "refused", now)

        await self._store.write(work)


def _sync_status(connection: Connection, account: Account) -> TemplateStatus:
    found = templates.sync_status(connection, account.organization_id, account.waba_id)
    return found or TemplateStatus(organization_id=account.organization_id, waba_id=account.waba_id)
