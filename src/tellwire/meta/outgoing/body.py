"""PURE. What is POSTed to `/{phone_number_id}/messages`. Source: Meta, "Messages API"."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.json import encode

from tellwire.meta.outgoing import media
from tellwire.meta.outgoing.recipient import Recipient
from tellwire.meta.outgoing.types import TYPES
from tellwire.meta.raw_json import verbatim


def body_of(content: bytes, to: Recipient, *, callback: str = "", media_ids: Mapping[str, str] = {}) -> bytes | None:
    """Return the body that sends a message.

    Args:
        content: as `content_of` wrote it; the object named by the type goes out verbatim.
        to: whom it goes to.
        callback: our id of the message; Meta's statuses bring it back.
        media_ids: ids of ours and what Meta calls these media; other ids go out as they are.

    Returns: None when the content is none that can be sent, because what it held was erased.
    """
    members = verbatim.members(media.with_media_ids(content, media_ids)) or {}
    kind, _ = verbatim.read(bytes(members.get("type", b"null")))
    if not isinstance(kind, str) or kind not in TYPES or kind not in members:
        return None
    name = encode(kind)
    parts = [
        b'"messaging_product":"whatsapp"',
        b'"recipient_type":"group"' if to.kind == "group" else b'"recipient_type":"individual"',
        b'"%b":%b' % (b"recipient" if to.kind == "user_id" else b"to", encode(to.address)),
        *([b'"context":%b' % bytes(members["context"])] if "context" in members else []),
        b'"type":%b' % name,
        b"%b:%b" % (name, bytes(members[kind])),
        *([b'"biz_opaque_callback_data":%b' % encode(callback)] if callback else []),
    ]
    return b"{%b}" % b",".join(parts)


def read_body(wamid: str, *, typing: bool = False) -> bytes:
    """Return the body that marks a message read, and all before it; `typing`: and shows that an answer is being
    written."""
    indicator: dict[str, object] = {"typing_indicator": {"type": "text"}} if typing else {}
    return encode({"messaging_product": "whatsapp", "status": "read", "message_id": wamid, **indicator})
