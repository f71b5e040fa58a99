"""`VerdictStore` over any store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sqlalchemy.exc import DBAPIError

from tellwire.errors import Unavailable
from tellwire.model.registry import Registry
from tellwire.model.units import Micros
from tellwire.stores.queries import verdict_figures
from tellwire.stores.query_runner import QueryRunner
from tellwire.verdict.figures import Stored
from tellwire.verdict.traffic import Heard


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
        try:
            return await self._store.read(lambda c: verdict_figures.read(c, now))
        except DBAPIError as error:
            raise Unavailable(str(error.orig)) from None

    async def add(self, heard: Mapping[str, Heard]) -> None:
        """Add messages to the traffic of numbers, by phone_number_id."""
        known = self._store.registry().accounts
        of_accounts = [(known[name], each) for name, each in heard.items() if name in known]
        if of_accounts:
            await self._store.write(lambda c: verdict_figures.add(c, of_accounts))
