"""A payload format of the tests' own: what delivery does not look at, said once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tellwire.model.deliveries import Endpoint, Event
from tellwire.ports.formats import Handshake, Joining, ShownIds


class OwnFormat:
    """To be completed by `encode`."""

    NAME = "tiny"
    EVENTS: tuple[str, ...] = ()
    UNSENT: tuple[str, ...] = ()
    SCHEMAS: Mapping[str, Mapping[str, Any]] = {}
    CONTENT_TYPE = "application/json"
    SIGNATURE = ""
    RESERVED: tuple[str, ...] = ()
    TYPED = False
    OPTIONS: tuple[str, ...] = ()
    HANDSHAKE: Handshake | None = None
    IDS: ShownIds | None = None
    JOINING: Joining | None = None

    def names(self, event: Event) -> tuple[str, ...]:
        return (event.name,)

    def headers(self, event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:
        return ()
