"""The clock that the domain is given."""

from __future__ import annotations

from typing import Protocol

from tellwire.model.units import Micros


class Clock(Protocol):
    """The source of the time, given as an argument so that tests can set it."""

    def now(self) -> Micros:
        """Return the time in microseconds since 1970-01-01 UTC."""
        ...
