"""PURE. Every type that can be sent, with its shape and limits; and a message's content as its row shows it.

Sources: Meta, "Messages API" and the page of each type. Lengths count Unicode code points. Members that Meta doesn't
name are refused in the simple types, where they are mistakes, and let through where Meta keeps adding some: in
contacts, interactive messages and templates.
"""

from __future__ import annotations

from itertools import islice

from msgspec import Raw, Struct
from msgspec.json import encode

from tellwire.meta.outgoing.interactive import INTERACTIVE
from tellwire.meta.outgoing.media import SHAPES as MEDIA
from tellwire.meta.outgoing.shapes import Boolean, Choice, Complaint, Fields, Shape, String, complaints, step
from tellwire.meta.outgoing.sharing import CONTACTS, LOCATION
from tellwire.meta.outgoing.template import TEMPLATE

MOST_COMPLAINTS = 100


class Type(Struct, frozen=True):
    """A type: the shape of its object, whether it can be a reply, and whether the 24-hour window applies to it."""

    shape: Shape
    replies: bool = True
    windowed: bool = True


TYPES: dict[str, Type] = {
    "text": Type(Fields(needs={"body": String(4096)}, may={"preview_url": Boolean()}, closed=True)),
    **{kind: Type(shape) for kind, shape in MEDIA.items()},
    "location": Type(LOCATION),
    "contacts": Type(CONTACTS),
    "reaction": Type(Fields(needs={"message_id": String(), "emoji": String(least=0)}, closed=True), replies=False),
    "interactive": Type(INTERACTIVE),
    "template": Type(TEMPLATE, windowed=False),
}


def check(kind: object, value: object, *, reply: bool = False) -> list[Complaint]:
    """Check a message that is to be sent.

    Args:
        kind: the message's `type`.
        value: the decoded object named by the type, whatever it holds; None when it is missing.
        reply: whether it is to carry a `context`.

    Returns: every complaint, the first 100 of them; [] when it can be sent.
    """
    known = TYPES.get(kind) if isinstance(kind, str) else None
    if known is None or not isinstance(kind, str):
        return list(complaints(Choice(tuple(TYPES)), kind, "/type"))
    at = step(kind)
    found = [(at, "is missing")] if value is None else list(islice(complaints(known.shape, value, at), MOST_COMPLAINTS))
    if reply and not known.replies:
        found.append(("/context", f"a {kind} cannot be a reply: it names its message itself"))
    return found


def content_of(kind: str, value: object, context_message_id: str = "") -> bytes:
    """Return a message's content as its row shows it: `{"type": T, T: …}` and, for a reply, `context`.

    Args:
        kind: one of `TYPES`.
        value: the object named by the type; JSON text as `bytes` or `Raw` is taken verbatim.
        context_message_id: Meta's id of the message that is replied to, "" for none.

    Source: docs/reference/formats.md, "Content".
    """
    piece = bytes(value) if isinstance(value, bytes | Raw) else encode(value)
    context = b',"context":{"message_id":%b}' % encode(context_message_id) if context_message_id else b""
    name = encode(kind)
    return b'{"type":%b,%b:%b%b}' % (name, name, piece, context)
