"""PURE. Keep and count Meta's limits: sends of a number in a second, sends to one recipient, calls in an hour."""

from __future__ import annotations

from collections import deque

from tellwire.model.units import MICROS


class Window:
    """A limit on how many come in any span of `length` micros (a half-open interval); a limit of 0 allows any number.

    `broken` counts what was over the limit, `peak` is the most that came in any span, `peak_let_in` the most let in.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._came: deque[int] = deque()
        self._let_in: deque[int] = deque()
        self.broken = 0
        self.peak = 0
        self.peak_let_in = 0

    def take(self, now: int, limit: int) -> bool:
        """Count one that comes at `now` (micros). Return whether it is within `limit`, and thereby let in."""
        for times in (self._came, self._let_in):
            while times and times[0] <= now - self._length:
                times.popleft()
        self._came.append(now)
        self.peak = max(self.peak, len(self._came))
        if limit and len(self._let_in) >= limit:
            self.broken += 1
            return False
        self._let_in.append(now)
        self.peak_let_in = max(self.peak_let_in, len(self._let_in))
        return True


class PairBuckets:
    """A token bucket for each recipient: one send every `seconds`, with a burst of `burst` borrowed from later.

    `broken` counts the sends over the limit, by recipient.
    """

    def __init__(self) -> None:
        self._levels: dict[str, tuple[float, int]] = {}
        self.broken: dict[str, int] = {}
        self.sends: dict[str, int] = {}

    def take(self, recipient: str, now: int, *, burst: int, seconds: float) -> bool:
        """Count a send at `now` (micros). Return whether it is within the limit."""
        self.sends[recipient] = self.sends.get(recipient, 0) + 1
        if not burst:
            return True
        level, then = self._levels.get(recipient, (float(burst), now))
        regained = max(0, now - then) / (seconds * MICROS) if seconds else burst
        level = min(float(burst), level + regained)
        within = level >= 1 - 1e-9
        self._levels[recipient] = (level - 1 if within else level, max(now, then))
        if not within:
            self.broken[recipient] = self.broken.get(recipient, 0) + 1
        return within
