"""PURE. Small charts of bars, as the paths of an SVG picture that a template puts together."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

WIDTH, HEIGHT = 240, 64
_GAP = 1.0
_LEAST = 1.5
"""A bar that stands for anything at all is so high, so that one failure among thousands is seen."""


class Chart(Struct, frozen=True, kw_only=True):
    """A chart: the paths of its bars above and below the line, where the line is, and what it shows in numbers."""

    above: str
    below: str
    line: float
    total: int
    total_below: int
    most: int


def bars(above: Sequence[int], below: Sequence[int] = ()) -> Chart:
    """Return a chart of values in time, the oldest first; `below` hang from the line, drawn to the same scale."""
    low = list(below) or [0] * len(above)
    most, least = max(above, default=0), max(low, default=0)
    room = HEIGHT * least / ((most + least) or 1)
    line = HEIGHT - max(room, 4.0 * bool(least))
    up = _path(above, line, line / (most or 1), -1)
    down = _path(low, line, (HEIGHT - line) / (least or 1), 1)
    return Chart(above=up, below=down, line=round(line, 1), total=sum(above), total_below=sum(low), most=most)


def _path(values: Sequence[int], line: float, scale: float, way: int) -> str:
    step = WIDTH / max(len(values), 1)
    parts = []
    for place, value in enumerate(values):
        if value:
            height = way * max(value * scale, _LEAST)
            parts.append(f"M{place * step:.1f} {line:.1f}h{step - _GAP:.1f}v{height:.1f}h-{step - _GAP:.1f}z")
    return "".join(parts)
