"""The units that times are counted in."""

from __future__ import annotations

Micros = int


Seconds = int


MICROS = 1_000_000
