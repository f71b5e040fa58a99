"""PURE. Find which part of a file a request asks for (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

import re

from msgspec import Struct

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)


class Part(Struct, frozen=True):
    """The bytes from `start` up to `end` (not included)."""

    start: int
    end: int


def part_of(header: str, size: int) -> Part | None:
    """Return the part that `Range` asks for; None for the whole file, also for several ranges or a malformed header.

    Raises:
        ValueError: the range begins after the end.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        if not length:
            raise ValueError(header)
        return Part(size - length, size)
    start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
    if found[2] and end <= start:
        return None
    if start >= size:
        raise ValueError(header)
    return Part(start, min(end, size))


def names_tag(header: str, tag: str) -> bool:
    """Return whether `If-None-Match` names this tag."""
    return header.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in header.split(",")}
