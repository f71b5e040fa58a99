"""PURE. One attempt as a page shows it: where its time went, and the command that makes the same request."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

PHASES = ("dns", "connect", "tls", "send", "first_byte", "body")
WIDTH = 1000
"""The width of the bar in units of its drawing."""
_LEAST = 3
_MASK = "****"
_PLACEHOLDER = "YOUR-SECRET"
_NOT_SENT_AGAIN = ("content-length", "host")


class Phase(Struct, frozen=True):
    """A part of the time of an attempt: how long it took, and where it stands in the bar."""

    name: str
    milliseconds: float
    left: int
    width: int


def phases(durations: Mapping[str, float]) -> list[Phase]:
    """Return the phases that ran, in order and to scale; one that is very short still shows."""
    ran = [(name, durations[name]) for name in PHASES if name in durations]
    whole = sum(length for _, length in ran) or 1.0
    found, left = [], 0
    for name, length in ran:
        width = max(_LEAST, round(length / whole * WIDTH))
        found.append(Phase(name, length, left, width))
        left += width
    return found


def drawn_width(some: list[Phase]) -> int:
    """Return how wide the drawing of phases is."""
    return max((each.left + each.width for each in some), default=WIDTH)


def curl(attempt: Mapping[str, Any], body: str | None) -> str:
    """Return the command that makes the request of an attempt; where a secret was masked it has a placeholder."""
    parts = [f"curl -X POST {shlex.quote(attempt['url'])}"]
    for name, value in attempt["request_headers"]:
        if name.lower() not in _NOT_SENT_AGAIN:
            parts.append(f"-H {shlex.quote(f'{name}: {value.replace(_MASK, _PLACEHOLDER)}')}")
    if body is not None:
        parts.append(f"--data-raw {shlex.quote(body)}")
    return " \\\n  ".join(parts)


def indented(body: str | None) -> str | None:
    """Return a JSON body with line breaks for an editor, anything else as it is."""
    if body is None:
        return None
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
