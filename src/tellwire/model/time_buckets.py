"""PURE. Cuts the time until now into equal spans, for figures and charts."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tellwire.model.units import DAY, HOUR, MINUTE, Micros

Span = Literal["hour", "day", "month"]


class Buckets(Struct, frozen=True):
    """How a span is cut: into `number` buckets of `width`. Days begin at midnight in UTC."""

    width: Micros
    number: int

    def begins(self, now: Micros) -> list[Micros]:
        """Return when each bucket begins, oldest first; `now` lies in the last one."""
        last = start_of(now, self.width)
        return [last - back * self.width for back in range(self.number - 1, -1, -1)]


BUCKETS: dict[Span, Buckets] = {
    "hour": Buckets(MINUTE, 60),
    "day": Buckets(HOUR, 24),
    "month": Buckets(DAY, 30),
}
"""How each span is cut that a chart may show."""


def start_of(at: Micros, width: Micros) -> Micros:
    """Return when the bucket of a time begins."""
    return at - at % width
