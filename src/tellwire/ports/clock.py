"""Time as an argument."""

from __future__ import annotations

from typing import Protocol

from tellwire.model.units import Micros


class Clock(Protocol):
    """Time as an argument: tests set it, nobody sleeps through a schedule."""

    def now(self) -> Micros:
        """Microseconds since 1970-01-01 UTC."""
        ...
