"""PURE. All that is stored about one message, as a journey is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tellwire.model.agents import Agent, AgentRun, AgentTurn
from tellwire.model.deliveries import Delivery, Endpoint, Event
from tellwire.model.inbound import Inbound, ItemReport
from tellwire.model.messaging import Contact, Conversation, Media, Message, Send, StatusFact
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros


class Try(Struct, frozen=True, kw_only=True):
    """What came of an attempt of a delivery; `status` 0 where nothing answered, `millis` how long it took."""

    number: int
    at: Micros
    outcome: str
    cause: str
    status: int = 0
    millis: float = 0.0


class Way(Struct, frozen=True, kw_only=True):
    """A delivery of one of the message's events, with its first and its last attempt that is still stored."""

    delivery: Delivery
    first: Try | None = None
    last: Try | None = None


class Posted(Struct, frozen=True, kw_only=True):
    """The POST that brought the message, and the item of it that did; `place` counts from 1."""

    inbound: Inbound
    item: ItemReport
    place: int
    count: int


class Outage(Struct, frozen=True):
    """Since when every attempt to an endpoint has failed, and why the last one did."""

    since: Micros
    cause: str


class Records(Struct, frozen=True, kw_only=True):
    """What is known of a message at `now`; or, with only `posted`, of an item that has become no message.

    Args:
        author: who asked for a message of ours to be sent, in words, "" for nobody known.
        events: those about the message, oldest first, without what Meta sent as it is.
        meta_events: the ids of those that tell what Meta sent as it is.
        ways: their deliveries, oldest first.
        endpoints: all of the organization, by id.
        outages: those endpoints that take nothing just now, by id.
        untold: for each endpoint that got none of the message, why.
        run: the agent's turn that followed it or, of a reply, that wrote it; `turn`: one that is still to come.
        handover: why the agent is out of the conversation, "" while it is not.
        cut: there are more deliveries than these.
        retention: how long events and deliveries are kept.
    """

    now: Micros
    message: Message | None = None
    contact: Contact | None = None
    conversation: Conversation | None = None
    account: Account | None = None
    facts: Sequence[StatusFact] = ()
    send: Send | None = None
    author: str = ""
    files: Sequence[Media] = ()
    posted: Posted | None = None
    events: Sequence[Event] = ()
    meta_events: frozenset[str] = frozenset()
    ways: Sequence[Way] = ()
    endpoints: Mapping[str, Endpoint]
    outages: Mapping[str, Outage]
    untold: Mapping[str, str]
    agents: Mapping[str, Agent]
    run: AgentRun | None = None
    turn: AgentTurn | None = None
    handover: str = ""
    cut: bool = False
    retention: Micros = 0
