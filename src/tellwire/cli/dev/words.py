"""PURE. Put what `dev` shows into few words: a message's text, a person's name, a short id."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from tellwire.simulator import PEOPLE

_SHORT = 6
_NAMES = {address: person.name for person in PEOPLE for address in (person.wa_id, person.user_id)}


def text_of(kind: str, content: Any) -> str:
    """Return the text of a message, "" for one that has none. `content`: what Meta calls by the message's type."""
    if not isinstance(content, Mapping):
        return ""
    if kind == "reaction":
        return str(content.get("emoji", ""))
    body = content.get("body", "")
    for name in ("caption", "name"):
        body = body or content.get(name, "")
    if isinstance(body, Mapping):  # of an interactive message
        body = body.get("text", "")
    return str(body)


def on_one_line(text: str) -> str:
    """Return a text without what would move a terminal's cursor or turn its writing round."""
    return "".join(" " if unicodedata.category(each) in _MOVING or each in _TURNING else each for each in text)


_MOVING = ("Cc", "Zl", "Zp", "Cs")
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def short_id(identifier: str) -> str:
    """Return the end of an id, which differs where the beginnings (the time) are equal."""
    return identifier[-_SHORT:]


def name_of(address: str, contact: Mapping[str, Any] | None = None) -> str:
    """Return how a person is called: by the simulator, or by WhatsApp; else the end of their address."""
    known = _NAMES.get(address.removeprefix("+")) or str((contact or {}).get("name") or "")
    return on_one_line(known) or (f"…{address[-4:]}" if address else "?")
