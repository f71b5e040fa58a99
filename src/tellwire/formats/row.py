"""The `row` format: `{"data": <row>, "entity": …, "action": …}`, as wakit sends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tellwire.formats import operational
from tellwire.formats.schemas import CONVERSATION_EVENT, MESSAGE_EVENT, OPERATIONAL_EVENT
from tellwire.model.deliveries import Endpoint, Event

NAME = "row"
EVENTS: tuple[str, ...] = (
    "messages.insert",
    "messages.update",
    "conversations.insert",
    "conversations.update",
    *operational.EVENTS,
)
SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "row-messages": MESSAGE_EVENT,
    "row-conversations": CONVERSATION_EVENT,
    "operational": OPERATIONAL_EVENT,
}

_columns = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def names(event: Event) -> tuple[str, ...]:
    """The names under which a customer may have subscribed to this event."""
    return (event.name,)


def encode(event: Event, endpoint: Endpoint) -> bytes | None:
    """The body: the full row, or with `updates: "changed"` an update's `id`, changed columns and `updated_at`."""
    if event.entity == "operational":
        return operational.encode(event)
    row: bytes | msgspec.Raw = event.snapshot.row
    if event.action == "update" and endpoint.updates == "changed":
        row = _abridged(row, event.snapshot.changed)
    return b'{"data":%b,"entity":"%b","action":"%b"}' % (bytes(row), event.entity.encode(), event.action.encode())


def headers(event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:  # noqa: ARG001
    """None of its own."""
    return ()


def _abridged(row: bytes | msgspec.Raw, changed: tuple[str, ...]) -> bytes:
    columns = _columns(row)
    last = columns.pop("updated_at")
    kept = {"id", *changed}
    return _encode({name: value for name, value in columns.items() if name in kept} | {"updated_at": last})
