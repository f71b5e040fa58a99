"""What alerts ask of the outside."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from msgspec import Struct

from tellwire.alerts.findings import Channel, Finding, Key
from tellwire.model.units import Micros
from tellwire.verdict.rules import Line


class Remembered(Struct, frozen=True, kw_only=True):
    """What the database holds: findings by key, channels by name, and the names of the findings' organizations."""

    findings: Mapping[Key, Finding] = {}
    channels: Mapping[str, Channel] = {}
    names: Mapping[str, str] = {}


class AlertStore(Protocol):
    """Findings, and what was told of them; every method raises `Unavailable` when the database cannot be used."""

    async def note(self, lines: Mapping[Key, Line], gone: Collection[Key], now: Micros) -> None:
        """Write down what this process has in its verdict, and what it has no more."""
        ...

    async def read(self) -> Remembered:
        """Return everything."""
        ...

    async def over(self, findings: Collection[Finding], now: Micros) -> None:
        """Mark findings as over, unless a process had them again meanwhile; forget those that have long been."""
        ...

    async def keep(self, findings: Collection[Finding], channel: Channel) -> None:
        """Write what was told of findings, and how it goes with the channel; a finding that is not there is added."""
        ...

    async def only(self, names: Collection[str]) -> None:
        """Forget every channel but these, and what it was told."""
        ...
