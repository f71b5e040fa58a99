"""PURE. A POST while it is applied, and how much its events may hold (docs/reference/delivery.md, "Large POSTs")."""

from __future__ import annotations

from msgspec import Struct

from tellwire.inbox.meta_events import Verbatim
from tellwire.meta.webhooks.items import Item
from tellwire.model.inbound import Inbound, SpeaksFor

_MOST_ROWS, _LEAST_ROWS, _ROWS_PER_BYTE = 16 * 1024 * 1024, 1024 * 1024, 64
"""Bytes of rows that the events of one POST may hold beside as many as its body has: the second, and the third for each
byte of the body, up to the first. Every status of a message is an event with its whole row; of a large message there
can be thousands, in POSTs as small as you like."""


class Post(Struct, frozen=True):
    """A parsed POST, or a part of its items. `speaks_for`: what its secrets may change. `digest`: SHA-256 of the whole
    body in hex, "" if no item has its key from it. `room`: how many bytes of rows its events may still hold. `whose`:
    the organization in whose turn it is applied. `gone`: pointers of items that were asked for and are no longer in the
    body. `more`: whether a part follows. `source_id`: the source that sent it, "" for Meta. `verbatim`: what endpoints
    of the format `meta` are told of it, if there are any."""

    body: bytes
    items: tuple[Item, ...]
    speaks_for: SpeaksFor
    digest: str
    room: int
    whose: str = ""
    gone: frozenset[str] = frozenset()
    more: bool = False
    source_id: str = ""
    verbatim: Verbatim | None = None


class Applied(Struct, frozen=True):
    """A POST that was applied, how many bytes of rows its events hold, and how many of its items were gone through:
    not all, when these had many deliveries."""

    inbound: Inbound
    size: int
    count: int


def room_of(body: bytes) -> int:
    """Return how many bytes of rows the events of a POST may hold."""
    return len(body) + min(_MOST_ROWS, _LEAST_ROWS + _ROWS_PER_BYTE * len(body))
