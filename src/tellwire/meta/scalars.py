"""PURE. Single values of a payload, made safe: ids, times, names."""

from __future__ import annotations

from tellwire.model.units import Seconds

WAMID_LIMIT = 512
ID_LIMIT = 200
KEYWORD_LIMIT = 64
NAME_LIMIT = 512

_LAST_SECOND = 253402300799
"""9999-12-31T23:59:59Z"""


def ident(value: object, limit: int = ID_LIMIT) -> str | None:
    """Read an id or address: "" when there is none, None when it cannot serve as one.

    Whole numbers count as their decimal text; NUL, more than `limit` characters and other types cannot serve.
    """
    if isinstance(value, str):
        if len(value) > limit or "\0" in value:
            return None
        return "" if value.isspace() else value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**limit:
        return str(value)
    return None


def keyword(value: object) -> str:
    """Read a short name such as a message type; "" when it is anything else."""
    if not isinstance(value, str) or len(value) > KEYWORD_LIMIT or "\0" in value or value.isspace():
        return ""
    return value


def seconds(value: object) -> Seconds | None:
    """Read Meta's time, Unix seconds as an integer or a string of digits; None when it is unusable."""
    if isinstance(value, str) and len(value) <= 20 and value.isdecimal() and value.isascii():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LAST_SECOND:
        return value
    return None


def name(value: object) -> str | None:
    """Read a person's name: NUL shown as U+FFFD, cut to 512 characters; None when there is none."""
    return value[:NAME_LIMIT].replace("\0", "\ufffd") if isinstance(value, str) and value else None
