"""PURE. Put what `dev` shows into few words: a message's text, a person's name, a short id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tellwire.cli.printing import on_one_line
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


def short_id(identifier: str) -> str:
    """Return the end of an id, which differs where the beginnings (the time) are equal."""
    return identifier[-_SHORT:]


def name_of(address: str, contact: Mapping[str, Any] | None = None) -> str:
    """Return how a person is called: by the simulator, or by WhatsApp; else the end of their address."""
    known = _NAMES.get(address.removeprefix("+")) or str((contact or {}).get("name") or "")
    return on_one_line(known) or (f"…{address[-4:]}" if address else "?")
