"""What subscribers are told of the platform itself: `{"type", "timestamp", "data"}`, also where formats differ."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from tellwire.formats.schemas import TIME, Schema, document
from tellwire.model.deliveries import Event
from tellwire.model.units import Micros

EVENTS: tuple[str, ...] = (
    "account.paused",
    "account.resumed",
    "account.updated",
    "account.warning",
    "agent.failed",
    "contact.erased",
    "contact.preference_changed",
    "conversation.handed_over",
    "conversation.resumed",
    "delivery.exhausted",
    "endpoint.disabled",
    "endpoint.recovered",
    "media.failed",
    "message.payment",
    "standby.echo",
    "standby.message",
    "standby.status",
    "template.updated",
    "thread.control_passed",
    "thread.control_taken",
)

_SCHEMA = document(
    "operational",
    "Operational event",
    "Something about the platform itself; the same in every format but `cloudevents`.",
    {
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"type": "string", "description": "The event's name, such as `endpoint.disabled`."},
            "timestamp": TIME,
            "data": {"type": "object", "description": "What it happened to."},
        },
    },
)

SCHEMAS: Mapping[str, Schema] = {"operational": _SCHEMA}

_encode = msgspec.json.Encoder().encode


def encode(event: Event) -> bytes:
    """The body: `type` is the event's name, `timestamp` its time in RFC 3339, `data` the snapshot's row."""
    return _encode({"type": event.name, "timestamp": _rfc3339(event.created_at), "data": event.snapshot.row})


def _rfc3339(at: Micros) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat()
