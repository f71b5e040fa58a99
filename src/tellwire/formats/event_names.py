"""The names that events go by in the `tellwire-event` header; an endpoint of any format may subscribe to them."""

from __future__ import annotations

from tellwire.formats import operational

ALL: tuple[str, ...] = (
    "messages.insert",
    "messages.update",
    "conversations.insert",
    "conversations.update",
    *operational.EVENTS,
)
