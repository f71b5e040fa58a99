"""PURE. WappCloud's chats: `incoming_message` and `status_update`.

They do not name Meta's message ids. `conversation_id` may name the conversation or the message, so a message is known
by all that it says, and a status by what its `conversation_id` and its contact are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.json import encode

from tellwire.inbox.translators.envelope import (
    Members,
    Parts,
    Person,
    Translated,
    envelope,
    made_id,
    not_understood,
    written,
)
from tellwire.meta import scalars
from tellwire.meta.raw_json import verbatim
from tellwire.model.sources import Source

_NO_CONTENT = frozenset({"conversation_id", "id", "from", "timestamp"})


def translate(body: bytes, source: Source) -> Translated:
    """Return a chat as Meta would have told it."""
    chat, raw = verbatim.readable_members(body), verbatim.members(body) or {}
    kind = scalars.keyword(chat.get("message_type"))
    person = _person(chat)
    if kind not in ("incoming_message", "status_update"):
        return not_understood(body, kind or "post", "it is no incoming_message and no status_update")
    if person is None:
        return not_understood(body, kind, "it names no sender")
    if kind == "incoming_message":
        message = verbatim.members(raw["message"]) if "message" in raw else None
        if message is None:
            return not_understood(body, kind, "it has no message")
        return _incoming(message, person, source)
    pieces = verbatim.elements(raw["statuses"]) if "statuses" in raw else None
    listed = [verbatim.members(piece) for piece in pieces or ()]
    statuses = [_status(each, person, source) for each in listed if each is not None]
    if not statuses or len(statuses) < len(listed):
        return not_understood(body, kind, "it has no list of statuses")
    return envelope(Parts(number=source.phone_number_id, people=[person], statuses=statuses))


def _incoming(message: Members, person: Person, source: Source) -> Translated:
    content = {key: bytes(value) for key, value in message.items() if key not in _NO_CONTENT}
    said = "\0".join(f"{key}\0{bytes(value).decode(errors='replace')}" for key, value in message.items())
    head = {
        **person.sender,
        "id": encode(_wamid(message) or made_id(source, "message", person.address, said)),
        "timestamp": message.get("timestamp", b"null"),
    }
    parts = Parts(number=source.phone_number_id, people=[person], messages=[written({**head, **content})])
    return envelope(parts)


def _status(status: Members, person: Person, source: Source) -> bytes:
    named = verbatim.readable_members(written(status))
    chat = scalars.ident(named.get("conversation_id")) or ""
    found: dict[str, bytes] = {
        "id": encode(_wamid(status) or made_id(source, "status", person.address, chat)),
        "status": status.get("status", b"null"),
        "timestamp": status.get("timestamp", b"null"),
        **person.recipient,
    }
    if "errors" in status:
        found["errors"] = status["errors"]
    if pricing := _pricing(named.get("meta_pricing")):
        found["pricing"] = encode(pricing)
    return written(found)


def _pricing(given: object) -> dict[str, Any]:
    """Return Meta's object; {} where Meta has said nothing."""
    if not isinstance(given, dict):
        return {}
    names = ("billable", "category", "type")
    pricing = {name: given[f"meta_{name}"] for name in names if given.get(f"meta_{name}") not in (None, "")}
    return {} if pricing == {"billable": False} else pricing


def _person(chat: Mapping[str, Any]) -> Person | None:
    participants = chat.get("participants")
    sender = participants.get("sender") if isinstance(participants, dict) else None
    address = scalars.ident(sender.get("from")) if isinstance(sender, dict) else None
    if not address or not isinstance(sender, dict):
        return None
    profile = sender.get("profile")
    return Person(address, scalars.name(profile.get("name")) or "" if isinstance(profile, dict) else "")


def _wamid(holder: Members) -> str:
    """Return Meta's id, should the payload carry one."""
    given = verbatim.read(bytes(holder["id"]))[0] if "id" in holder else None
    return given if isinstance(given, str) and given.startswith("wamid.") and len(given) <= scalars.WAMID_LIMIT else ""
