"""UUIDv7 (RFC 9562 section 5.7) in strictly rising order, whatever the clock does.

The store reads deliveries "after this id", so an id made later must sort later, also when the clock was set back.
"""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom

from tellwire.model.units import Micros

_VARIANT = 0b10 << 62
_LOW = (1 << 62) - 1
_STEP_BITS = 40


class IdMaker:
    """Makes ids; `floor` is the highest id already stored ("" when none); `random(n)` gives n random bits."""

    def __init__(self, *, floor: str = "", random: Callable[[int], int] | None = None) -> None:
        self._random = random or SystemRandom().getrandbits
        self._millis = -1
        self._low = 0
        self._prefix = ""
        self.rise(floor)

    def rise(self, floor: str) -> None:
        """Make only ids above this one from now on too ("" changes nothing).

        The step is random, so that two makers that rise to the same floor do not make the same ids.
        """
        if not floor:
            return
        number = int(floor.replace("-", ""), 16)
        millis, low = number >> 80, number & _LOW
        if (millis, floor[:19], low) > (self._millis, self._prefix, self._low):
            self._millis, self._prefix = millis, floor[:19]
            self._low = min(low + self._random(_STEP_BITS), _LOW)

    def make(self, now: Micros) -> str:
        """Return a new id: 36 characters, greater than every id made before. `now` in micros."""
        millis = now // 1000
        if millis > self._millis:
            self._start(millis)
        else:
            self._low += 1
            if self._low > _LOW:
                self._start(self._millis + 1)
        low = f"{_VARIANT | self._low:016x}"
        return f"{self._prefix}{low[:4]}-{low[4:]}"

    def _start(self, millis: int) -> None:
        self._millis = millis
        self._low = self._random(61)
        text = f"{millis:012x}"
        self._prefix = f"{text[:8]}-{text[8:]}-7{self._random(12):03x}-"


def micros_of(identifier: str) -> Micros:
    """Return when a UUIDv7 text was made, to the millisecond, in micros."""
    return int(identifier[:8] + identifier[9:13], 16) * 1000


def id_floor(at: Micros) -> str:
    """Return the lowest text that an id made at `at` or later can have; times outside 48 bits of milliseconds are
    clamped."""
    text = f"{min(max(at // 1000, 0), (1 << 48) - 1):012x}"
    return f"{text[:8]}-{text[8:]}-"
