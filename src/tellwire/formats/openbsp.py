"""The `openbsp` format: `{"data": <row>, "entity": …, "action": …}` with rows as wakit's server keeps them.

Their documents describe other rows, which the format `row` sends. Values of Meta's are passed on as they are, and odd
ones never fail. Source: docs/reference/formats.md, "Format openbsp".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from tellwire.formats import event_names, operational
from tellwire.formats.cutting import members_of
from tellwire.formats.schemas import ERRORS, ID, TIME, Schema, document
from tellwire.meta.raw_json import verbatim
from tellwire.model.deliveries import Endpoint, Event, SentAs
from tellwire.model.routing import order_key
from tellwire.ports.formats import Handshake, Joining, ShownIds

NAME = "openbsp"
EVENTS: tuple[str, ...] = event_names.ALL
UNSENT: tuple[str, ...] = ()
CONTENT_TYPE = "application/json"
SIGNATURE = ""
RESERVED: tuple[str, ...] = ()
TYPED = True
OPTIONS: tuple[str, ...] = ("json",)
JOINING: Joining | None = None
HANDSHAKE: Handshake | None = None
IDS: ShownIds | None = None

_MAYBE: Schema = {"type": ["string", "null"], "minLength": 1}
_SERVICE: Schema = {"const": "whatsapp"}
_NUMBER: Schema = {"type": "string", "description": "The phone_number_id."}
_CONTACT: Schema = {**_MAYBE, "description": "The contact's address as Meta gave it; null for a group as a whole."}
_GROUP: Schema = {**_MAYBE, "description": "Meta's id of the group; null outside of groups."}
_FILE: Schema = {
    "type": "object",
    "required": ["mime_type", "uri"],
    "properties": {name: {"type": "string"} for name in ("mime_type", "uri", "name")},
}
_CONTENT: Schema = {
    "type": "object",
    "description": "Empty for a message that other software sent, of which Meta tells only statuses.",
    "properties": {
        "version": {"const": "1"},
        "type": {"enum": ["text", "file", "data"]},
        "kind": ID,
        "text": {"type": "string", "description": "What was written; of a file its caption, of a reaction the emoji."},
        "file": {**_FILE, "description": "`uri` is the file's address here, which stays."},
        "data": {"description": "Meta's own object."},
        "re_message_id": {**ID, "description": "Meta's id of the message that is replied or reacted to."},
        "forwarded": {"const": True},
        "referred_product": {"description": "Meta's own object."},
        "referral": {"description": "Meta's own object."},
    },
    "if": {"minProperties": 1},
    "then": {"required": ["version", "type", "kind"]},
}
_MESSAGE: Schema = {
    "id": ID,
    "external_id": {**_MAYBE, "description": "Meta's id of the message (wamid)."},
    "conversation_id": ID,
    "organization_id": ID,
    "direction": {"enum": ["incoming", "outgoing"]},
    "agent_id": _MAYBE,
    "contact_address": _CONTACT,
    "service": _SERVICE,
    "organization_address": _NUMBER,
    "group_address": _GROUP,
    "thread_id": {"type": "null"},
    "content": _CONTENT,
    "status": {"type": "object", "properties": {"errors": ERRORS}, "additionalProperties": TIME},
    "timestamp": {**TIME, "description": "Meta's time of the message, else `created_at`."},
    "created_at": TIME,
    "updated_at": TIME,
}
_CONVERSATION: Schema = {
    "id": ID,
    "organization_id": ID,
    "service": _SERVICE,
    "organization_address": _NUMBER,
    "contact_address": _CONTACT,
    "group_address": _GROUP,
    "name": {"type": "null"},
    "status": {"enum": ["active", "closed"]},
    "extra": {"type": "null"},
    "created_at": TIME,
    "updated_at": TIME,
}


def _row_event(entity: str, columns: Schema) -> Schema:
    return document(
        f"openbsp-{entity}",
        f"Row of {entity} as wakit's server has it",
        f"As `row-{entity}`, for consumers that are written for wakit's server. A column without a value is null.",
        {
            "required": ["data", "entity", "action"],
            "properties": {
                "data": {"type": "object", "required": list(columns), "properties": columns},
                "entity": {"const": entity},
                "action": {"enum": ["insert", "update"]},
            },
        },
    )


SCHEMAS: Mapping[str, Schema] = {
    "openbsp-messages": _row_event("messages", _MESSAGE),
    "openbsp-conversations": _row_event("conversations", _CONVERSATION),
    **operational.SCHEMAS,
}

Pieces = Mapping[str, bytes]
"""The members of an object, verbatim."""
Members = Iterable[tuple[str, bytes]]

_NULL = b"null"
_json = msgspec.json.Encoder().encode


def names(event: Event) -> tuple[str, ...]:
    """The name under which a customer may have subscribed to this event."""
    return () if event.entity == "meta" else (event.name,)


def encode(event: Event, endpoint: Endpoint, sent: SentAs) -> bytes | None:  # noqa: ARG001
    """The body, always with the whole row."""
    if event.entity == "meta":
        return None
    if event.entity == "operational":
        return operational.encode(event)
    row = _pieces(event.snapshot.row)
    columns = _message(row, event) if event.entity == "messages" else _conversation(row, event)
    return _object([("data", _object(columns)), ("entity", _json(event.entity)), ("action", _json(event.action))])


def headers(event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:  # noqa: ARG001
    """None of its own."""
    return ()


def _message(row: Pieces, event: Event) -> Members:
    content = _pieces(row.get("content"))
    contact, group = _parties(event, row.get("from") or row.get("to") or _NULL)
    return (
        ("id", row["id"]),
        ("external_id", row.get("wa_id", _NULL)),
        ("conversation_id", row["conversation_id"]),
        ("organization_id", row["organization_id"]),
        ("direction", row["direction"]),
        ("agent_id", row.get("agent_id", _NULL)),
        ("contact_address", contact),
        ("service", b'"whatsapp"'),
        ("organization_address", _json(event.snapshot.phone_number_id)),
        ("group_address", _written(content.get("group_id")) or group),
        ("thread_id", _NULL),
        ("content", _object(_content(content, _first(row.get("media"))))),
        ("status", row["status"]),
        ("timestamp", row.get("timestamp", row["created_at"])),
        ("created_at", row["created_at"]),
        ("updated_at", row.get("updated_at", row["created_at"])),
    )


def _conversation(row: Pieces, event: Event) -> Members:
    contact, group = _parties(event, row["contact_address"])
    return (
        ("id", row["id"]),
        ("organization_id", row["organization_id"]),
        ("service", b'"whatsapp"'),
        ("organization_address", row["organization_address"]),
        ("contact_address", contact),
        ("group_address", group),
        ("name", _NULL),
        ("status", b'"active"' if _read(row["status"]) == "open" else b'"closed"'),
        ("extra", _NULL),
        ("created_at", row["created_at"]),
        ("updated_at", row["updated_at"]),
    )


def _parties(event: Event, address: bytes) -> tuple[bytes, bytes]:
    """Return the contact's address and the group's. A group is its own party, so that its events are ordered by its
    address; a contact's are by an id."""
    if event.order_key and order_key(event.account_id, _read(address)) == event.order_key:
        return _NULL, address
    return address, _NULL


# --- content ----------------------------------------------------------------------------------------------------------


def _content(content: Pieces, media: Pieces) -> Iterator[tuple[str, bytes]]:
    """Yield the members of the content; none for what other software sent."""
    kind = _read(content.get("type"))
    if kind in ("", "external"):
        return
    context = _pieces(content.get("context"))
    yield "version", b'"1"'
    yield from _PARTS.get(kind, _data)(kind, content, media)
    replied_to = _pieces(content.get("reaction")).get("message_id") if kind == "reaction" else None
    if message_id := _written(replied_to or context.get("id") or context.get("message_id")):
        yield "re_message_id", message_id
    if b"true" in (context.get("forwarded"), context.get("frequently_forwarded")):
        yield "forwarded", b"true"
    if product := context.get("referred_product"):
        yield "referred_product", product
    if referral := content.get("referral"):
        yield "referral", referral


def _text(_kind: str, content: Pieces, _media: Pieces) -> Members:
    return _part("text", "text", ("text", _written(_pieces(content.get("text")).get("body")) or b'""'))


def _reaction(_kind: str, content: Pieces, _media: Pieces) -> Members:
    emoji = _written(_pieces(content.get("reaction")).get("emoji"))
    return _part("text", "reaction", ("text", emoji or b'""'))


def _file(kind: str, content: Pieces, media: Pieces) -> Members:
    given = _pieces(content.get(kind))
    uri = _written(media.get("url")) or _written(given.get("link")) or _written(given.get("id")) or b'""'
    mime_type = _written(media.get("mime_type")) or _written(given.get("mime_type"))
    name = _written(media.get("filename")) or _written(given.get("filename"))
    file = [("mime_type", mime_type or b'"application/octet-stream"'), ("uri", uri)]
    file += [("name", name)] if name else []
    caption = _written(given.get("caption"))
    return _part(
        "file",
        "audio" if kind == "voice" else kind,
        ("file", _object(file)),
        *([("text", caption)] if caption else []),
    )


def _data(kind: str, content: Pieces, _media: Pieces) -> Members:
    others = [(key, value) for key, value in content.items() if key not in ("type", "context", "group_id", "referral")]
    return _part("data", kind, ("data", content.get(kind) or _object(others)))


def _part(type_: str, kind: str, *members: tuple[str, bytes]) -> Members:
    return [("type", _json(type_)), ("kind", _json(kind)), *members]


_PARTS: Mapping[str, Callable[[str, Pieces, Pieces], Members]] = {
    "text": _text,
    "reaction": _reaction,
    **dict.fromkeys(("image", "video", "audio", "voice", "document", "sticker"), _file),
}
"""By Meta's type of the message; any other one becomes `data` of that kind."""


# --- pieces of JSON ---------------------------------------------------------------------------------------------------


def _pieces(text: bytes | msgspec.Raw | None) -> Pieces:
    """The members of an object; none of anything else."""
    if text is None:
        return {}
    return {key: bytes(value).strip() for key, value in members_of(text).items()}


def _first(array: bytes | None) -> Pieces:
    """The members of the first object in an array."""
    found = None if array is None else verbatim.elements(array)
    return _pieces(found[0]) if found else {}


def _written(piece: bytes | None) -> bytes:
    """A text as it was written, with its quotes; b"" for an empty one and for anything else."""
    return piece if piece and piece.startswith(b'"') and piece != b'""' else b""


def _read(piece: bytes | None) -> str:
    value, _ = (None, "") if piece is None else verbatim.read(piece)
    return value if isinstance(value, str) else ""


def _object(members: Members) -> bytes:
    return b"{" + b",".join(_json(name) + b":" + value for name, value in members) + b"}"
