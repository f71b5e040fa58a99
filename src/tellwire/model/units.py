"""The units that times are counted in: micros since 1970 in our own records, seconds where Meta tells them."""

from __future__ import annotations

Micros = int
Seconds = int

MICROS = 1_000_000
"""How many micros a second has."""

MINUTE: Micros = 60 * MICROS
HOUR: Micros = 60 * MINUTE
DAY: Micros = 24 * HOUR


def micros(seconds: float) -> Micros:
    """Return a span of seconds in micros; what is less than one is cut off."""
    return int(seconds * MICROS)
