"""PURE. Several units with a message each put into one value, as Meta itself batches messages.

Source: docs/reference/formats.md, "Buffering".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tellwire.meta import scalars
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.units import around

_SHARED = frozenset(("messaging_product", "metadata", "contacts", "messages"))
"""The members of a value that messages of one person have in common, or that are theirs."""


class _Envelope(NamedTuple):
    """A unit taken apart: what stands before and after its value, and the value's members."""

    head: bytes
    tail: bytes
    value: Mapping[str, bytes]


def type_of(envelope: bytes) -> str | None:
    """Return the type of the message that a unit is, "" for one that names none; None for anything else, and for a
    message whose value has members that are not known."""
    opened = _opened(envelope)
    if opened is None or "messages" not in opened.value or not _SHARED.issuperset(opened.value):
        return None
    messages = verbatim.elements(opened.value["messages"]) or ()
    if len(messages) != 1:
        return None
    return scalars.keyword(verbatim.readable_members(bytes(messages[0])).get("type"))


def together(envelopes: Sequence[bytes]) -> bytes:
    """Return one envelope with the messages of several units, in their order, and the contacts of all, each once.

    Args:
        envelopes: one or more of whose messages `type_of` gave the type; all are of one conversation.
    """
    opened = [found for each in envelopes if (found := _opened(each)) is not None]
    messages = [bytes(piece) for each in opened for piece in verbatim.elements(each.value["messages"]) or ()]
    contacts = dict.fromkeys(
        bytes(piece) for each in opened for piece in verbatim.elements(each.value.get("contacts", b"[]")) or ()
    )
    first = opened[0]
    value = {name: bytes(each) for name, each in first.value.items()}
    if contacts and "contacts" not in value:
        last = value.pop("messages")
        value |= {"contacts": b"", "messages": last}
    value["messages"] = b"[%b]" % b",".join(messages)
    if "contacts" in value:
        value["contacts"] = b"[%b]" % b",".join(contacts)
    shown = b",".join(b'"%b":%b' % (name.encode(), each) for name, each in value.items())
    return b"%b{%b}%b" % (first.head, shown, first.tail)


def _opened(envelope: bytes) -> _Envelope | None:
    top = verbatim.members(envelope) or {}
    entry = verbatim.members(_only(top, "entry")) or {}
    change = verbatim.members(_only(entry, "changes")) or {}
    value = verbatim.members(change["value"]) if "value" in change else None
    if value is None:
        return None
    parts = around(top, "entry", b"["), around(entry, "changes", b"["), around(change, "value", b"")
    return _Envelope(b"".join(head for head, _ in parts), b"".join(tail for _, tail in reversed(parts)), value)


def _only(members: Mapping[str, bytes], name: str) -> bytes:
    pieces = verbatim.elements(members[name]) if name in members else None
    return bytes(pieces[0]) if pieces is not None and len(pieces) == 1 else b"null"
