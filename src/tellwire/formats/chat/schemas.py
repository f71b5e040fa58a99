"""JSON Schemas of the bodies of the `chat` format."""

from __future__ import annotations

from tellwire.formats.schemas import ERRORS, Schema, document

_UNIX: Schema = {"type": "string", "pattern": "^[0-9]{1,12}$", "description": "Unix seconds, as text."}
_CHAT_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{24}$", "description": "The conversation's or message's id."}


def _chat_event(kind: str, key: str, value: Schema) -> Schema:
    sender = {
        "type": "object",
        "description": "The contact, in both events.",
        "required": ["from", "profile"],
        "properties": {
            "from": {"type": "string", "description": "Digits without `+`, else the user id as Meta gave it."},
            "profile": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "description": "Empty when unknown."}},
            },
        },
    }
    receiver = {
        "type": "object",
        "description": "The business, in both events.",
        "required": ["to"],
        "properties": {"to": {"type": "string", "description": "Digits without `+`, else the phone_number_id."}},
    }
    return {
        "required": ["messaging_product", "message_type", "participants", key],
        "properties": {
            "messaging_product": {"const": "whatsapp"},
            "message_type": {"const": kind},
            "participants": {
                "type": "object",
                "required": ["sender", "receiver"],
                "properties": {"sender": sender, "receiver": receiver},
            },
            key: value,
        },
    }


_CHAT_MESSAGE: Schema = {
    "type": "object",
    "description": "Beside these: the object named by `type`, and every other key that Meta sent.",
    "required": ["conversation_id", "timestamp", "type"],
    "properties": {"conversation_id": _CHAT_ID, "timestamp": _UNIX, "type": {"type": "string"}},
}

_CHAT_STATUS: Schema = {
    "type": "object",
    "required": ["conversation_id", "status", "timestamp", "meta_pricing"],
    "properties": {
        "conversation_id": _CHAT_ID,
        "status": {"type": "string", "description": "sent, delivered, read, played, failed, or another of Meta's."},
        "timestamp": _UNIX,
        "errors": {**ERRORS, "description": "Why it failed; only when it did."},
        "meta_pricing": {
            "type": "object",
            "required": ["meta_billable", "meta_category", "meta_type"],
            "properties": {
                "meta_billable": {"type": "boolean"},
                "meta_category": {"type": "string"},
                "meta_type": {"type": "string"},
            },
        },
    },
    "if": {"properties": {"status": {"const": "failed"}}},
    "then": {"required": ["errors"]},
    "else": {"properties": {"errors": False}},
}

INCOMING_MESSAGE = document(
    "chat-incoming-message",
    "Incoming message",
    "A contact wrote: `incoming_message`.",
    _chat_event("incoming_message", "message", _CHAT_MESSAGE),
)

STATUS_UPDATE = document(
    "chat-status-update",
    "Status update",
    "An outgoing message reached a status: `status_update`.",
    _chat_event("status_update", "statuses", {"type": "array", "minItems": 1, "maxItems": 1, "items": _CHAT_STATUS}),
)
