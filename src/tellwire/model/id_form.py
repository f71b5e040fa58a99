"""PURE. What our ids look like, so that ids of Meta's are never taken for one."""

from __future__ import annotations

import re

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def looks_like_id(text: str) -> bool:
    """Return whether a text has the form of our ids."""
    return _UUID.fullmatch(text) is not None
