"""The `chat` format: `incoming_message` and `status_update`, as WappCloud sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from tellwire.formats import event_names, operational
from tellwire.formats.chat import ids
from tellwire.formats.chat.handshake import Challenge
from tellwire.formats.chat.ids import shown
from tellwire.formats.chat.schemas import INCOMING_MESSAGE, STATUS_UPDATE
from tellwire.formats.cutting import members_of
from tellwire.formats.schemas import Schema
from tellwire.meta.raw_json import verbatim
from tellwire.model.deliveries import Endpoint, Event, Participants, SentAs, Snapshot, StatusItem
from tellwire.ports.formats import Handshake, Joining, ShownIds
from tellwire_sdk.signing import wappcloud_signature

NAME = "chat"
EVENTS: tuple[str, ...] = ("incoming_message", "status_update", *event_names.ALL)
UNSENT: tuple[str, ...] = ("conversations.insert", "conversations.update")
SCHEMAS: Mapping[str, Schema] = {
    "chat-incoming-message": INCOMING_MESSAGE,
    "chat-status-update": STATUS_UPDATE,
    **operational.SCHEMAS,
}
CONTENT_TYPE = "application/json"
SIGNATURE = "X-Wappcloud-Signature"
RESERVED: tuple[str, ...] = ("x-wappcloud-",)
TYPED = True
OPTIONS: tuple[str, ...] = ("conversation_ids", "json", "wappcloud_signature")
HANDSHAKE: Handshake | None = Challenge()
IDS: ShownIds | None = ids
JOINING: Joining | None = None

Kind = Literal["incoming_message", "status_update"]

_encode = msgspec.json.Encoder().encode


def names(event: Event) -> tuple[str, ...]:
    """The names under which a customer may have subscribed to this event: its kind here and `event.name`."""
    if event.entity == "operational":
        return (event.name,)
    kind = _kind(event)
    return () if kind is None else (kind, event.name)


def encode(event: Event, endpoint: Endpoint, sent: SentAs) -> bytes | None:  # noqa: ARG001
    """The body; None for what this format has no place for."""
    if event.entity == "operational":
        return operational.encode(event)
    kind = _kind(event)
    if kind is None:
        return None
    conversation_id = shown(event.message_id if endpoint.conversation_ids == "message" else event.conversation_id)
    status = event.snapshot.status
    if kind == "incoming_message" or status is None:
        return _payload(kind, event.snapshot, "message", _message(event.snapshot, conversation_id))
    return _payload(kind, event.snapshot, "statuses", [_status(status, conversation_id)])


def headers(event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:
    """`X-Wappcloud-Event`, and `X-Wappcloud-Signature` when the endpoint has a secret."""
    named = ("X-Wappcloud-Event", _kind(event) or event.name)
    if not endpoint.secrets:
        return (named,)
    prefixed = endpoint.wappcloud_signature == "prefixed"
    return (named, (SIGNATURE, wappcloud_signature(body, endpoint.secrets[0].value, prefixed=prefixed)))


def _kind(event: Event) -> Kind | None:
    if event.entity != "messages":
        return None
    if event.direction == "incoming":
        return "incoming_message" if event.action == "insert" else None
    status = event.snapshot.status
    return None if status is None or status.name == "pending" else "status_update"


def _payload(kind: Kind, snapshot: Snapshot, key: str, value: object) -> bytes:
    who = snapshot.participants or Participants("", "")
    return _encode(
        {
            "messaging_product": "whatsapp",
            "message_type": kind,
            "participants": {
                "sender": {"from": who.contact, "profile": {"name": who.name}},
                "receiver": {"to": who.business},
            },
            key: value,
        }
    )


def _message(snapshot: Snapshot, conversation_id: str) -> dict[str, Any]:
    content = members_of(members_of(snapshot.row)["content"])
    kind, _ = verbatim.read(bytes(content.get("type", b"null")))
    ours: dict[str, Any] = {"conversation_id": conversation_id, "timestamp": str(snapshot.sent_at)}
    leading = {key: content[key] for key in ("type", kind) if isinstance(key, str) and key in content}
    return ours | {key: value for key, value in (leading | content).items() if key not in ours}


def _status(status: StatusItem, conversation_id: str) -> dict[str, Any]:
    item: dict[str, Any] = {"conversation_id": conversation_id, "status": status.name, "timestamp": str(status.at)}
    if status.name == "failed":
        item["errors"] = [
            {
                "code": error.code,
                "title": error.title,
                "message": error.message,
                "error_data": {"details": error.details},
            }
            for error in status.errors
        ]
    item["meta_pricing"] = {
        "meta_billable": status.billable,
        "meta_category": status.category,
        "meta_type": status.type,
    }
    return item
