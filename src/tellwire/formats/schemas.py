"""JSON Schema 2020-12 of every body that a subscriber can receive: for `/schemas/<name>.json` and for OpenAPI 3.1.

Unknown keys are allowed everywhere: Meta adds some, and so may we.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_ID: Schema = {"type": "string", "minLength": 1, "description": "An opaque id."}
_TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00$",
    "description": "RFC 3339 in UTC; a fraction only when it is not zero.",
}
_UNIX: Schema = {"type": "string", "pattern": "^[0-9]{1,12}$", "description": "Unix seconds, as text."}
_CHAT_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{24}$", "description": "The conversation's or message's id."}

_ERRORS: Schema = {
    "type": "array",
    "description": "Why it failed.",
    "items": {
        "type": "object",
        "required": ["code", "title", "message", "error_data"],
        "properties": {
            "code": {"type": ["integer", "string"], "description": "Meta's error code."},
            "title": {"type": "string"},
            "message": {"type": "string"},
            "error_data": {
                "type": "object",
                "required": ["details"],
                "properties": {"details": {"type": "string"}},
            },
        },
    },
}

_CONTENT: Schema = {
    "type": "object",
    "description": "Meta's own shape: the object named by `type`, and every other key that Meta sent.",
    "required": ["type"],
    "properties": {"type": {"type": "string"}},
}

_MESSAGE_COLUMNS: Schema = {
    "id": _ID,
    "conversation_id": _ID,
    "organization_id": _ID,
    "direction": {"enum": ["incoming", "outgoing"]},
    "agent_id": {**_ID, "description": "The agent that wrote it, AI or human; outgoing only."},
    "content": _CONTENT,
    "status": {
        "type": "object",
        "description": "Each status name with the time it was first reached; with `failed` also `errors`.",
        "properties": {"errors": _ERRORS},
        "additionalProperties": _TIME,
    },
    "wa_id": {**_ID, "description": "Meta's id of the message (wamid); outgoing: once Meta has accepted it."},
    "from": {**_ID, "description": "The contact's address as Meta gave it; incoming only."},
    "created_at": _TIME,
    "updated_at": {**_TIME, "description": "Increases with every change of the row: ignore a row that is not newer."},
    "to": {**_ID, "description": "The contact's address; outgoing only."},
    "timestamp": {**_TIME, "description": "Meta's time of the message."},
    "contact": {
        "type": "object",
        "description": "The contact as known at the event.",
        "properties": {name: {"type": "string"} for name in ("name", "username", "phone", "user_id")},
    },
    "pricing": {"type": "object", "description": "Meta's pricing object, once a status carried one."},
    "media": {
        "type": "array",
        "description": "The message's files; `url` is stable and ours.",
        "items": {
            "type": "object",
            "required": ["id"],
            "properties": {name: {"type": "string"} for name in ("id", "url", "mime_type", "sha256", "filename")},
        },
    },
}

_CONVERSATION_COLUMNS: Schema = {
    "id": _ID,
    "organization_id": _ID,
    "organization_address": {**_ID, "description": "The phone_number_id."},
    "contact_address": {**_ID, "description": "The contact's address, or the id of a group."},
    "service": {"type": "string", "const": "whatsapp"},
    "status": {"enum": ["open", "closed"]},
    "created_at": _TIME,
    "updated_at": {**_TIME, "description": "Increases with every change of the row: ignore a row that is not newer."},
}


def _document(name: str, title: str, description: str, body: Schema) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/schemas/{name}.json",
        "title": title,
        "description": description,
        "type": "object",
        **body,
    }


def _row_event(entity: str, columns: Schema, on_insert: list[str]) -> Schema:
    """Every column on insert; an update may be abridged to `id`, the changed columns and `updated_at`."""
    return {
        "required": ["data", "entity", "action"],
        "properties": {
            "data": {"type": "object", "required": ["id"], "properties": columns},
            "entity": {"const": entity},
            "action": {"enum": ["insert", "update"]},
        },
        "if": {"properties": {"action": {"const": "insert"}}},
        "then": {"properties": {"data": {"required": on_insert}}},
        "else": {"properties": {"data": {"required": ["updated_at"]}}},
    }


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
        "errors": {**_ERRORS, "description": "Why it failed; only when it did."},
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

MESSAGE_EVENT = _document(
    "row-messages",
    "Message row",
    "A message was inserted or updated: `messages/insert`, `messages/update`.",
    _row_event(
        "messages",
        _MESSAGE_COLUMNS,
        ["id", "conversation_id", "organization_id", "direction", "content", "status", "created_at"],
    ),
)

CONVERSATION_EVENT = _document(
    "row-conversations",
    "Conversation row",
    "A conversation was inserted or updated: `conversations/insert`, `conversations/update`.",
    _row_event("conversations", _CONVERSATION_COLUMNS, list(_CONVERSATION_COLUMNS)),
)

INCOMING_MESSAGE = _document(
    "chat-incoming-message",
    "Incoming message",
    "A contact wrote: `incoming_message`.",
    _chat_event("incoming_message", "message", _CHAT_MESSAGE),
)

STATUS_UPDATE = _document(
    "chat-status-update",
    "Status update",
    "An outgoing message reached a status: `status_update`.",
    _chat_event("status_update", "statuses", {"type": "array", "minItems": 1, "maxItems": 1, "items": _CHAT_STATUS}),
)

OPERATIONAL_EVENT = _document(
    "operational",
    "Operational event",
    "Something about the platform itself, in either format.",
    {
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"type": "string", "description": "The event's name, such as `endpoint.disabled`."},
            "timestamp": _TIME,
            "data": {"type": "object", "description": "What it happened to."},
        },
    },
)

SCHEMAS: Mapping[str, Schema] = {
    "row-messages": MESSAGE_EVENT,
    "row-conversations": CONVERSATION_EVENT,
    "chat-incoming-message": INCOMING_MESSAGE,
    "chat-status-update": STATUS_UPDATE,
    "operational": OPERATIONAL_EVENT,
}
"""Every schema by the name that its address has."""
