"""Times as payloads write them, as aware datetimes. Nothing raises: what is no time is None."""

from __future__ import annotations

import re
from datetime import UTC, datetime

DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?"
)
UNIX_SECONDS = re.compile(r"[0-9]{1,12}")
LAST_SECOND = 253402300799
"""The end of the year 9999, where datetime ends."""


def rfc3339_time(text: object) -> datetime | None:
    """Return the time of a text such as `2026-05-06T03:39:23+00:00`; one without an offset is taken as UTC."""
    if not isinstance(text, str) or not DATE_TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def unix_time(text: object) -> datetime | None:
    """Return the time of a text of Unix seconds such as `1760686408`."""
    if not isinstance(text, str) or not UNIX_SECONDS.fullmatch(text) or int(text) > LAST_SECOND:
        return None
    return datetime.fromtimestamp(int(text), UTC)
