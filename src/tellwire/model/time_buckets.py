"""PURE. Buckets of time, for figures over a span: each begins at a multiple of its length since 1970, in UTC."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tellwire.model.units import DAY, HOUR, MINUTE, Micros

SpanName = Literal["hour", "day", "month"]


class Span(Struct, frozen=True):
    """A span of `count` buckets, each of the length `step`."""

    step: Micros
    count: int


SPANS: dict[SpanName, Span] = {"hour": Span(MINUTE, 60), "day": Span(HOUR, 24), "month": Span(DAY, 30)}


def start_of(at: Micros, step: Micros) -> Micros:
    """Return when the bucket that holds a time begins."""
    return at - at % step


def starts(span: Span, now: Micros) -> list[Micros]:
    """Return when the buckets of a span begin, the oldest first; the last one holds `now`."""
    last = start_of(now, span.step)
    return [last - span.step * back for back in reversed(range(span.count))]
