"""PURE. Rows as JSON, as events and reads show them (docs/reference/formats.md, "Order of keys")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from tellwire.model.messaging import Contact, Conversation, Message, StatusError
from tellwire.model.units import MICROS, Micros

_json = msgspec.json.Encoder().encode

STATUS_ORDER = (
    "pending",
    "held_for_quality_assessment",
    "sent",
    "delivered",
    "read",
    "played",
    "failed",
    "edited",
    "deleted",
)
_POSITION = {name: position for position, name in enumerate(STATUS_ORDER)}


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


@lru_cache(maxsize=4096)
def instant(at: Micros) -> str:
    """Return a time as RFC 3339 in UTC with `+00:00`; it has a fraction only when that is not zero."""
    seconds, fraction = divmod(at, MICROS)
    if not fraction:
        return _second(seconds) + "+00:00"
    return f"{_second(seconds)}.{fraction:06d}".rstrip("0") + "+00:00"


def status_json(status: Mapping[str, Micros], errors: bytes = b"") -> bytes:
    """Return the status map: names in the documented order, others after them, `errors` (a JSON array) last."""
    names = list(status)
    if len(names) > 1:
        names.sort(key=lambda name: (_POSITION.get(name, len(_POSITION)), name))
    parts = [_json(name) + b':"' + instant(status[name]).encode() + b'"' for name in names]
    if errors:
        parts.append(b'"errors":' + errors)
    return b"{" + b",".join(parts) + b"}"


def errors_json(errors: Sequence[StatusError]) -> bytes:
    """Return errors in the one shape that both formats show."""
    return _json(
        [{"code": e.code, "title": e.title, "message": e.message, "error_data": {"details": e.details}} for e in errors]
    )


def contact_json(contact: Contact) -> bytes:
    """Return `{name?, username?, phone?, user_id?}` as it is known now."""
    return _json(
        {
            key: value
            for key, value in (
                ("name", contact.name),
                ("username", contact.username),
                ("phone", contact.phone),
                ("user_id", contact.user_id),
            )
            if value
        }
    )


def message_row(message: Message, contact: Contact | None) -> bytes:
    """Return the full row of a message; columns without a value are left out."""
    parts = [
        f'{{"id":"{message.id}","conversation_id":"{message.conversation_id}",'
        f'"organization_id":"{message.organization_id}","direction":"{message.direction}"'.encode()
    ]
    if message.agent_id:
        parts.append(f',"agent_id":"{message.agent_id}"'.encode())
    parts += b',"content":', message.content, b',"status":', status_json(message.status, message.errors)
    if message.wamid:
        parts += b',"wa_id":', _json(message.wamid)
    if message.from_:
        parts += b',"from":', _json(message.from_)
    parts.append(f',"created_at":"{instant(message.created_at)}","updated_at":"{instant(message.updated_at)}"'.encode())
    if message.to:
        parts += b',"to":', _json(message.to)
    if message.timestamp:
        parts.append(f',"timestamp":"{instant(message.timestamp * MICROS)}"'.encode())
    if contact is not None:
        parts += b',"contact":', contact_json(contact)
    if message.pricing:
        parts += b',"pricing":', message.pricing
    if message.media:
        parts += b',"media":', message.media
    parts.append(b"}")
    return b"".join(parts)


def conversation_row(conversation: Conversation) -> bytes:
    """Return the full row of a conversation."""
    return b"".join(
        (
            f'{{"id":"{conversation.id}","organization_id":"{conversation.organization_id}","organization_address":'.encode(),
            _json(conversation.organization_address),
            b',"contact_address":',
            _json(conversation.contact_address),
            f',"service":"{conversation.service}","status":"{conversation.status}",'
            f'"created_at":"{instant(conversation.created_at)}","updated_at":"{instant(conversation.updated_at)}"}}'.encode(),
        )
    )
