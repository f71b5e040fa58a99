"""What the verdict asks of the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tellwire.model.registry import Registry
from tellwire.model.units import Micros
from tellwire.verdict.figures import Disk, Stored
from tellwire.verdict.traffic import Counts, Heard


class VerdictStore(Protocol):
    """What stands in the database about what works."""

    @property
    def failing(self) -> str:
        """Why the last commit failed; "" when it did not."""
        ...

    def registry(self) -> Registry:
        """Return the accounts and endpoints."""
        ...

    async def figures(self, now: Micros) -> Stored:
        """Return the figures; raises `Unavailable` when the database cannot be read."""
        ...

    async def add(self, heard: Mapping[str, Heard], counts: Mapping[str, Counts], now: Micros) -> None:
        """Add messages to the traffic of numbers, by phone_number_id, and counts to that of organizations; messages
        without an account are left out."""
        ...


class Disks(Protocol):
    """The file systems that we write to."""

    async def usage(self) -> Sequence[Disk]:
        """Return how full each is; one that cannot be asked is left out."""
        ...
