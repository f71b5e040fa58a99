"""Read and show times: a span such as 10m before now, and how long ago something was."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

from tellwire.errors import BadSettings

_SPAN = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(option: str, given: str) -> timedelta:
    """Return how long a span such as 90s, 10m, 24h or 7d is.

    Raises:
        BadSettings: it is none.
    """
    read = _SPAN.fullmatch(given)
    if read is None:
        raise BadSettings(f"{option} takes a number with s, m, h or d, such as 24h; not {given}")
    return timedelta(**{_UNITS[read[2]]: int(read[1])})


def moment(option: str, given: str) -> str:
    """Return the RFC 3339 time that is so long ago, or the time that was given; "" for "".

    Raises:
        BadSettings: it is neither.
    """
    if not given:
        return ""
    if _SPAN.fullmatch(given):
        return (datetime.fromtimestamp(time.time(), UTC) - span(option, given)).isoformat(timespec="milliseconds")
    try:
        read = datetime.fromisoformat(given)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise BadSettings(
            f"{option} takes a span such as 90s, 10m, 2h or 3d, or a time with its zone such as "
            f"2026-05-06T03:00:00Z; not {given}"
        )
    return given


def ago(then: str, now: float) -> str:
    """Return how long before `now` (Unix seconds) an RFC 3339 time was, or in how long it comes; any other text as it
    is."""
    try:
        seconds = now - datetime.fromisoformat(then).timestamp()
    except ValueError:
        return then
    told = next((f"{int(abs(seconds) // size)} {unit}" for size, unit in _STEPS if abs(seconds) >= size), "")
    if not told:
        return "now"
    return f"{told} ago" if seconds > 0 else f"in {told}"
