"""PURE. What tables show of an id.

An id begins with its time and ends at random (UUIDv7), so that two of the same minute begin alike: the end is shown.
"""

from __future__ import annotations

import re

SHORT = 8
"""So many characters of an id are shown."""
_WHOLE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_id(given: object) -> bool:
    """Return whether something is a whole id of ours."""
    return isinstance(given, str) and _WHOLE.fullmatch(given) is not None


def short(identifier: str) -> str:
    """Return what a table shows of an id; any other text as it is."""
    return identifier[-SHORT:] if is_id(identifier) else identifier
