"""`AlertStore` over any store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from tellwire.alerts.findings import Channel, Finding, Key
from tellwire.alerts.ports import Remembered
from tellwire.errors import Unavailable
from tellwire.model.units import Micros
from tellwire.stores.queries import alerts
from tellwire.stores.query_runner import Transactions
from tellwire.verdict.rules import Line

T = TypeVar("T")


class SqlAlertStore:
    """Findings and what was told of them, in the database."""

    def __init__(self, store: Transactions) -> None:
        self._store = store

    async def note(self, lines: Mapping[Key, Line], gone: Collection[Key], now: Micros) -> None:
        """Write down what this process has in its verdict, and what it has no more."""
        await self._write(lambda c: alerts.note(c, lines, gone, now))

    async def read(self) -> Remembered:
        """Return everything."""
        try:
            return await self._store.read(alerts.read)
        except DBAPIError as error:
            raise Unavailable(str(error.orig)) from None

    async def over(self, findings: Collection[Finding], now: Micros) -> None:
        """Mark findings as over, unless a process had them again meanwhile; forget those that have long been."""
        await self._write(lambda c: alerts.over(c, findings, now))

    async def keep(self, findings: Collection[Finding], channel: Channel) -> None:
        """Write what was told of findings, and how it goes with the channel; a finding that is not there is added."""
        await self._write(lambda c: alerts.keep(c, findings, channel))

    async def only(self, names: Collection[str]) -> None:
        """Forget every channel but these, and what it was told."""
        await self._write(lambda c: alerts.only(c, names))

    async def _write(self, work: Callable[[Connection], T]) -> T:
        try:
            return await self._store.write(work)
        except DBAPIError as error:
            raise Unavailable(str(error.orig)) from None
