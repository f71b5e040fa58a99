"""PURE. Turns figures into what a template draws as SVG, and into short words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from tellwire.web.console.words import words

_WIDTH = 5
_BAR = 4
_LEAST = 1.5


class Bars(Struct, frozen=True):
    """The bars of a chart as two paths: delivered attempts at the bottom, failed ones on top of them."""

    delivered: str
    failed: str


def bars(buckets: Sequence[Mapping[str, Any]], height: int) -> Bars:
    """Return a bar for each bucket; the highest is as high as the chart, and whatever happened can be seen."""
    most = max((each["delivered"] + each["failed"] for each in buckets), default=0)
    delivered, failed = [], []
    for index, each in enumerate(buckets):
        good, bad = _high(each["delivered"], most, height), _high(each["failed"], most, height)
        good = min(good, height - bad)
        if good:
            delivered.append(_bar(index, height, good))
        if bad:
            failed.append(_bar(index, height - good, bad))
    return Bars("".join(delivered), "".join(failed))


def _bar(index: int, bottom: float, height: float) -> str:
    return f"M{index * _WIDTH} {bottom:g}v-{height:g}h{_BAR}v{height:g}z"


def _high(count: int, most: int, height: int) -> float:
    return round(max(count / most * height, _LEAST), 1) if count else 0.0


def grouped(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}".replace(",", "\u202f")


def at_least(number: int, most: int) -> str:
    """Return a count that stopped at `most`, in words."""
    return words("figures.at_least", number=grouped(number)) if number >= most else grouped(number)


def lasting(seconds: float) -> str:
    """Return a duration in its two largest units."""
    left = max(int(seconds), 0)
    parts: list[str] = []
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1)):
        count, left = divmod(left, size)
        if parts and not count:
            break
        if count or unit == "seconds":
            parts.append(words(f"figures.{unit}", count=count))
        if len(parts) == 2:
            break
    return " ".join(parts)


def sentence(cause: str) -> str:
    """Return a cause as the sentence that it is."""
    return f"{cause[:1].upper()}{cause[1:]}{'' if cause.endswith(('.', '?')) else '.'}" if cause else ""


def milliseconds(value: float | None) -> str:
    """Return a latency."""
    if value is None:
        return "–"
    if value >= 1000:
        return words("figures.in_seconds", number=f"{value / 1000:.1f}")
    return words("figures.in_milliseconds", number=f"{value:.0f}" if value >= 1 else f"{value:.1f}")
