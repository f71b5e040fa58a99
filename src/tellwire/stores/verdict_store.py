"""`VerdictStore` over any store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from tellwire.errors import Unavailable
from tellwire.model.registry import Registry
from tellwire.model.units import Micros
from tellwire.stores.queries import traffic, verdict_figures
from tellwire.stores.query_runner import QueryRunner
from tellwire.verdict.figures import Stored
from tellwire.verdict.traffic import Counts, Heard


class WatchedStore(QueryRunner, Protocol):
    """A store that says whether it takes commits."""

    @property
    def failing(self) -> str: ...


class SqlVerdictStore:
    """Reads the verdict's figures, and adds to the traffic of numbers."""

    def __init__(self, store: WatchedStore) -> None:
        self._store = store

    @property
    def failing(self) -> str:
        """Return why the last commit failed; "" when it did not."""
        return self._store.failing

    def registry(self) -> Registry:
        """Return the accounts and endpoints."""
        return self._store.registry()

    async def figures(self, now: Micros) -> Stored:
        """Return the figures; raises `Unavailable` when the database cannot be read."""
        registry = self._store.registry()
        disabled = [each.id for each in registry.endpoints.values() if each.state == "disabled"]
        paused = [each.id for each in registry.accounts.values() if each.sending_paused]
        try:
            return await self._store.read(lambda c: verdict_figures.read(c, now, disabled=disabled, paused=paused))
        except DBAPIError as error:
            raise Unavailable(str(error.orig)) from None

    async def add(self, heard: Mapping[str, Heard], counts: Mapping[str, Counts], now: Micros) -> None:
        """Add messages to the traffic of numbers, by phone_number_id, and counts to that of organizations."""
        known = self._store.registry().accounts
        of_accounts = [(known[name], each) for name, each in heard.items() if name in known]
        whole = {organization_id: replace(each) for organization_id, each in counts.items()}
        for account, each in of_accounts:
            whole.setdefault(account.organization_id, Counts()).received += each.messages
        if not whole:
            return

        def work(connection: Connection) -> None:
            verdict_figures.add(connection, of_accounts)
            traffic.add(connection, whole, now)

        await self._store.write(work)
