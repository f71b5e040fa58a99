"""The `row` format: `{"data": <row>, "entity": …, "action": …}`, as wakit sends it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
from msgspec import Struct

from tellwire.formats import event_names, operational
from tellwire.formats.cutting import members_of
from tellwire.formats.schemas import ERRORS, ID, TIME, Schema, document
from tellwire.model.deliveries import Endpoint, Event, SentAs
from tellwire.ports.formats import Handshake, Joining, ShownIds

_CONTENT: Schema = {
    "type": "object",
    "description": "Meta's own shape: the object named by `type`, and every other key that Meta sent.",
    "required": ["type"],
    "properties": {"type": {"type": "string"}},
}

_MESSAGE_COLUMNS: Schema = {
    "id": ID,
    "conversation_id": ID,
    "organization_id": ID,
    "direction": {"enum": ["incoming", "outgoing"]},
    "agent_id": {**ID, "description": "The agent that wrote it, AI or human; outgoing only."},
    "content": _CONTENT,
    "status": {
        "type": "object",
        "description": "Each status name with the time it was first reached; with `failed` also `errors`.",
        "properties": {"errors": ERRORS},
        "additionalProperties": TIME,
    },
    "wa_id": {**ID, "description": "Meta's id of the message (wamid); outgoing: once Meta has accepted it."},
    "from": {**ID, "description": "The contact's address as Meta gave it; incoming only."},
    "created_at": TIME,
    "updated_at": {**TIME, "description": "Increases with every change of the row: ignore a row that is not newer."},
    "to": {**ID, "description": "The contact's address; outgoing only."},
    "timestamp": {**TIME, "description": "Meta's time of the message."},
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
    "id": ID,
    "organization_id": ID,
    "organization_address": {**ID, "description": "The phone_number_id."},
    "contact_address": {**ID, "description": "The contact's address, or the id of a group."},
    "service": {"type": "string", "const": "whatsapp"},
    "status": {"enum": ["open", "closed"]},
    "created_at": TIME,
    "updated_at": {**TIME, "description": "Increases with every change of the row: ignore a row that is not newer."},
}


_OTHERS: Schema = {"not": {}, "description": "Of the format `openbsp`; here `contact_address` names the group."}


def _row_event(entity: str, columns: Schema, on_insert: list[str]) -> Schema:
    """Every column on insert; an update may be abridged to `id`, the changed columns and `updated_at`."""
    return {
        "required": ["data", "entity", "action"],
        "properties": {
            "data": {"type": "object", "required": ["id"], "properties": {**columns, "group_address": _OTHERS}},
            "entity": {"const": entity},
            "action": {"enum": ["insert", "update"]},
        },
        "if": {"properties": {"action": {"const": "insert"}}},
        "then": {"properties": {"data": {"required": on_insert}}},
        "else": {"properties": {"data": {"required": ["updated_at"]}}},
    }


_ON_INSERT = ["id", "conversation_id", "organization_id", "direction", "content", "status", "created_at"]

_MESSAGE_EVENT = document(
    "row-messages",
    "Message row",
    "A message was inserted or updated: `messages/insert`, `messages/update`.",
    _row_event(
        "messages",
        _MESSAGE_COLUMNS,
        _ON_INSERT,
    ),
)

_MESSAGES_EVENT = document(
    "row-buffered-messages",
    "Message rows of a buffer",
    "Several incoming messages of one conversation: `messages/insert` of an endpoint with a `buffer`.",
    {
        "required": ["data", "entity", "action"],
        "properties": {
            "data": {
                "type": "array",
                "minItems": 2,
                "items": {"type": "object", "required": _ON_INSERT, "properties": _MESSAGE_COLUMNS},
            },
            "entity": {"const": "messages"},
            "action": {"const": "insert"},
        },
    },
)

_CONVERSATION_EVENT = document(
    "row-conversations",
    "Conversation row",
    "A conversation was inserted or updated: `conversations/insert`, `conversations/update`.",
    _row_event("conversations", _CONVERSATION_COLUMNS, list(_CONVERSATION_COLUMNS)),
)


class _Content(Struct):
    type: object = None


class _TypedRow(Struct):
    content: _Content


_typed = msgspec.json.Decoder(_TypedRow).decode


def _type_of(event: Event) -> object:
    try:
        return _typed(event.snapshot.row).content.type
    except (msgspec.DecodeError, RecursionError):
        return None


class Rows:
    """Several incoming messages in one body: `data` is an array of their rows."""

    def takes(self, event: Event, types: Collection[str]) -> bool:
        """See `Joining.takes`."""
        if event.entity != "messages" or event.action != "insert" or event.direction != "incoming" or event.history:
            return False
        return not types or _type_of(event) in types

    def encode(self, events: Sequence[Event], endpoint: Endpoint, sent: SentAs) -> bytes:  # noqa: ARG002
        """See `Joining.encode`."""
        rows = b",".join(bytes(event.snapshot.row) for event in events)
        return b'{"data":[%b],"entity":"messages","action":"insert"}' % rows


NAME = "row"
EVENTS: tuple[str, ...] = event_names.ALL
UNSENT: tuple[str, ...] = ()
SCHEMAS: Mapping[str, Schema] = {
    "row-messages": _MESSAGE_EVENT,
    "row-buffered-messages": _MESSAGES_EVENT,
    "row-conversations": _CONVERSATION_EVENT,
    **operational.SCHEMAS,
}
CONTENT_TYPE = "application/json"
SIGNATURE = ""
RESERVED: tuple[str, ...] = ()
TYPED = True
OPTIONS: tuple[str, ...] = ("json", "updates")
HANDSHAKE: Handshake | None = None
IDS: ShownIds | None = None
JOINING: Joining | None = Rows()

_encode = msgspec.json.Encoder().encode


def names(event: Event) -> tuple[str, ...]:
    """The names under which a customer may have subscribed to this event."""
    return () if event.entity == "meta" else (event.name,)


def encode(event: Event, endpoint: Endpoint, sent: SentAs) -> bytes | None:  # noqa: ARG001
    """The body: the full row, or with `updates: "changed"` an update's `id`, changed columns and `updated_at`."""
    if event.entity == "operational":
        return operational.encode(event)
    if event.entity == "meta":
        return None
    return b'{"data":%b,"entity":"%b","action":"%b"}' % (
        shown(event, endpoint),
        event.entity.encode(),
        event.action.encode(),
    )


def headers(event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:  # noqa: ARG001
    """None of its own."""
    return ()


def shown(event: Event, endpoint: Endpoint) -> bytes:
    """The row as an endpoint wants it: whole, or with `updates: "changed"` what an update changed."""
    row = event.snapshot.row
    abridged = event.action == "update" and endpoint.updates == "changed"
    return _abridged(row, event.snapshot.changed) if abridged else bytes(row)


def _abridged(row: bytes | msgspec.Raw, changed: tuple[str, ...]) -> bytes:
    columns = members_of(row)
    kept = {"id", *changed} - {"updated_at"}
    shown = {name: value for name, value in columns.items() if name in kept}
    return _encode(shown | {"updated_at": columns["updated_at"]})
