"""PURE. What a message says, in a few words, and whether it says what is looked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

_MOST = 120
_RUN = re.compile(r"[0-9A-Za-z]+")  # what JSON writes as it is
_FIRST = ("body", "caption", "text", "title", "name", "filename", "emoji", "url")


def excerpt(content: bytes) -> str:
    """Return the beginning of what a message says; for one without words its type."""
    found = _read(content)
    kind = found.get("type") if isinstance(found, dict) else None
    kind = kind if isinstance(kind, str) else "message"
    inner = found.get(kind, found) if isinstance(found, dict) else found
    words = next(_spoken(inner), "")
    if not words:
        return kind
    words = " ".join(words.split())
    cut = words if len(words) <= _MOST else words[: _MOST - 1] + "…"
    return cut if kind == "text" else f"{kind}: {cut}"


def _spoken(value: Any) -> Iterator[str]:
    """Yield texts that a person reads, the likeliest first."""
    if isinstance(value, dict):
        for name in _FIRST:
            inner = value.get(name)
            if isinstance(inner, str) and inner:
                yield inner
        for inner in value.values():
            if isinstance(inner, dict | list):
                yield from _spoken(inner)
    elif isinstance(value, list):
        for each in value:
            yield from _spoken(each)


def says(content: bytes, words: str) -> bool:
    """Return whether a text of the message holds these words, whole ones: "order 17" is not in "order 170"."""
    run = max(_RUN.findall(words), key=len, default="")
    if run and run.lower().encode() not in content.lower():  # spares reading nearly all of them
        return False
    pattern = re.compile(rf"(?<!\w){re.escape(words)}(?!\w)", re.IGNORECASE)
    return any(pattern.search(" ".join(each.split())) for each in _texts(_read(content)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _read(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
