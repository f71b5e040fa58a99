"""PURE. A step of a journey, and the words that several kinds of steps share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from tellwire.model.deliveries import DeliveryState, Endpoint
from tellwire.model.units import MICROS, Micros

StepKind = Literal[
    "written", "received", "verified", "stored", "media", "endpoint", "agent", "queued", "accepted", "sent",
    "delivered", "read", "played", "failed",
]  # fmt: skip
StepState = Literal["done", "waiting", "failed", "missing", "skipped"]
"""`missing` should have come; `skipped` was not to come, because somebody chose so, such as for an
endpoint that does not take this."""


class Line(Struct, frozen=True, kw_only=True):
    """One delivery of an endpoint's step: what it told, and how it stands."""

    id: str
    event_id: str
    event: str
    state: DeliveryState
    attempts: int
    cause: str
    status: int
    first_at: Micros
    last_at: Micros
    next_at: Micros


class Step(Struct, frozen=True, kw_only=True):
    """A step, in words.

    Args:
        at: when it happened, or since when it is waited for; 0 where neither is known.
        detail: what there is to know of it; `remedy`: what to do, "" for nothing.
        refs: ids of what it is about, by their names in the API.
        attempts: how many there were, of a delivery or of a send.
        deliveries: of an endpoint, those that count most, oldest first.
        waits: until when, 0 for nobody knows.
    """

    kind: StepKind
    state: StepState
    title: str
    at: Micros = 0
    detail: str = ""
    remedy: str = ""
    refs: dict[str, str] = {}
    endpoint_id: str = ""
    attempts: int = 0
    deliveries: Sequence[Line] = ()
    waits: Micros = 0


def age(length: Micros) -> str:
    """Return a length of time in its largest unit: "4 minutes"."""
    seconds = max(0, length) // MICROS
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return plural(seconds // size, word)
    return plural(seconds, "second")


def plural(count: int, word: str) -> str:
    """Return a number with its word: "1 try" is not in here, so words take an "s"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def sentence(text: str) -> str:
    """Return a text as a sentence: with a capital and a full stop; "" stays."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "?", "…")) else ".")


def name_of(endpoint: Endpoint) -> str:
    """Return what people call an endpoint: its description, else its host."""
    return endpoint.description or urlsplit(endpoint.url).hostname or endpoint.url
