"""What a subscriber receives: pure encoders from an event to bytes, one module a format, and the table of them.

A new format is one module that satisfies `Format` and one row in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tellwire.formats import chat, row
from tellwire.model.deliveries import Endpoint, Event


class Format(Protocol):
    """A payload format. Everything is a function of its arguments: the same event gives the same bytes for ever."""

    NAME: str
    """The `format` of endpoints that want it."""

    EVENTS: tuple[str, ...]
    """The names that such an endpoint may list in `events`."""

    SCHEMAS: Mapping[str, Mapping[str, Any]]
    """JSON Schema of its bodies, by schema name."""

    def names(self, event: Event) -> tuple[str, ...]:
        """The names in `EVENTS` that an event goes by; empty exactly when `encode` gives None."""
        ...

    def encode(self, event: Event, endpoint: Endpoint) -> bytes | None:
        """The body to sign and send; None: this event has no place in this format."""
        ...

    def headers(self, event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:
        """The headers that only this format has, for a body that `encode` gave."""
        ...


FORMATS: Mapping[str, Format] = {row.NAME: row, chat.NAME: chat}
