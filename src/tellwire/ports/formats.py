"""What a payload format has to offer; each module or package in `formats` is one, and `FORMATS` there is the table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from tellwire.model.deliveries import Endpoint, Event, SentAs
from tellwire.model.units import Seconds
from tellwire.ports.http_out import Answer, Request


class Registration(Struct, frozen=True, kw_only=True):
    """An endpoint that is to be let in and has yet to consent.

    Args:
        endpoint: as it is to be.
        token: fresh and unguessable text, to be given back.
        origin: the address under which this server is known, for receivers that want to know who asks.
    """

    endpoint: Endpoint
    token: str
    origin: str


class Handshake(Protocol):
    """How the receiver behind an endpoint consents to get deliveries, when it is registered or its URL changes."""

    ASKED: str
    """What a receiver has to do, for the text of a refusal."""

    def request(self, registration: Registration) -> Request:
        """The request that asks for consent; its deadline is set by the caller."""
        ...

    def refusal(self, registration: Registration, answer: Answer) -> str:
        """Why an answer is no consent; "" when it is."""
        ...

    def consent(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | None:
        """The receiver's side, which the catcher of `tellwire dev` plays: what to answer to such a request.

        Args:
            method, target: as in the request line.
            headers: by lower-case name.

        Returns: None when the method is not this handshake's.
        """
        ...


class ShownIds(Protocol):
    """The ids under which a format shows ours; the API takes them wherever it takes an id."""

    def fits(self, text: str) -> bool:
        """Whether a text could be such an id. No other format's ids and none of ours fit."""
        ...

    def shown(self, our_id: str) -> str:
        """The id that the format shows for one of ours; the same for ever."""
        ...

    def made_at(self, shown: str) -> Seconds:
        """The second in which the row behind a shown id was made: only its rows have to be looked through."""
        ...


class Joining(Protocol):
    """How a format puts several incoming messages of one conversation into one body, for endpoints with a `buffer`."""

    def takes(self, event: Event, types: Collection[str]) -> bool:
        """Whether an event is an incoming message of one of these types (none: of any type) that may share a body.

        Never a status, an update, a conversation, a message of the past, nor anything operational: behind those nothing
        waits, and they wait for nothing. Asked of endpoints with a buffer only, for each of their events.
        """
        ...

    def encode(self, events: Sequence[Event], endpoint: Endpoint, sent: SentAs) -> bytes:
        """The body of two events or more, in this order: all are of one conversation, and `takes` took each.

        Args:
            events: what it tells.
            endpoint: whose options count.
            sent: the `webhook-id` of the group, and the sequence of its last member.
        """
        ...


@runtime_checkable
class Format(Protocol):
    """A payload format. Everything is a function of its arguments: the same event gives the same bytes for ever."""

    NAME: str
    """The `format` of endpoints that want it."""

    EVENTS: tuple[str, ...]
    """The names that such an endpoint may list in `events`."""

    UNSENT: tuple[str, ...]
    """Those of `EVENTS` whose events have no place in it, ever: an endpoint that lists only such names would get
    nothing."""

    SCHEMAS: Mapping[str, Mapping[str, Any]]
    """JSON Schema of its bodies, by schema name."""

    CONTENT_TYPE: str
    """The `content-type` of its bodies."""

    SIGNATURE: str
    """The header with the signature of the format's own vendor, made with one secret; "" when there is none."""

    RESERVED: tuple[str, ...]
    """How the names of the format's own headers begin, in lower case: endpoints may not set such headers themselves."""

    TYPED: bool
    """Whether `tellwire_sdk.parse` knows its bodies."""

    OPTIONS: tuple[str, ...]
    """Those options of an endpoint that it has and other formats need not have: one that no format names here is
    everybody's."""

    @property
    def HANDSHAKE(self) -> Handshake | None:  # noqa: N802
        """How a receiver consents; None when nobody is asked."""
        ...

    @property
    def IDS(self) -> ShownIds | None:  # noqa: N802
        """The ids that it shows instead of ours; None when it shows ours."""
        ...

    @property
    def JOINING(self) -> Joining | None:  # noqa: N802
        """How it puts several messages into one body; None when it cannot: its endpoints have no `buffer`."""
        ...

    def names(self, event: Event) -> tuple[str, ...]:
        """The names in `EVENTS` that an event goes by; empty exactly when `encode` gives None.

        Every commit asks this of every event, so the snapshot's row is not to be read.
        """
        ...

    def encode(self, event: Event, endpoint: Endpoint, sent: SentAs) -> bytes | None:
        """The body to sign and send; None: this event has no place in this format."""
        ...

    def headers(self, event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:
        """The headers that only this format has, for a body that `encode` gave. `endpoint.secrets` holds the one secret
        that a signature of one value is made with, if there is any."""
        ...
