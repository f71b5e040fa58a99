"""Follow each event for the live lines: its delivery attempts, joined with what the catcher received."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from msgspec import Raw, Struct, field

from tellwire.cli.dev.catcher import Catch
from tellwire.cli.dev.words import name_of, text_of
from tellwire.formats import FORMATS
from tellwire.formats import row as row_format
from tellwire.model.deliveries import Attempt, Delivery, Entity, Event, Snapshot, StatusItem
from tellwire_sdk import ChatMessage, ChatStatus, ConversationRow, MessageRow, RowEvent

_WAIT_SECONDS = 1.0
_MOST = 1000


class Stop(Struct, frozen=True, kw_only=True):
    """A delivery attempt at the catcher; `error` says why the delivery did not verify. `ms`: from when the event was
    stored to the answer, in milliseconds."""

    status: int
    verified: bool
    error: str = ""
    ms: float = 0.0


class Journey(Struct, kw_only=True):
    """What is known of one event. `title`: the type of the message, or what changed; `row` names the row by its id."""

    event: str = ""
    title: str = ""
    wamid: str = ""
    row: str = ""
    message_id: str = ""
    kind: str = ""
    """the type of the message, in Meta's words, once a row told it"""
    author: str = ""
    """who sent it through us: you, an agent, the API; "" for a message that came in or went out elsewhere"""
    incoming: bool = False
    person: str = ""
    """how the customer is called"""
    reached: tuple[str, ...] = ()
    """all statuses of the message's row, whoever sent it"""
    way: tuple[str, ...] = ()
    """the statuses that the row of an outgoing message has"""
    cause: str = ""
    """why the message failed, in Meta's words"""
    wrote: str = ""
    """the text of a new message, if you or the demo agent wrote it, or the simulated phone got it"""
    stops: dict[str, Stop] = field(default_factory=dict)
    awaits: frozenset[str] = frozenset()
    """the formats under which the event is delivered, once that is known"""


class Journeys:
    """Joins delivery attempts and catches by event.

    Args:
        arrived: called with a journey that is complete, or has waited for a second.
        elsewhere: called with each attempt at an endpoint that is not the catcher's.
        moved: called with a journey after each of its attempts, those that come late included.
    """

    def __init__(
        self,
        *,
        arrived: Callable[[Journey], None],
        elsewhere: Callable[[Attempt, Delivery], None],
        moved: Callable[[Journey], None] | None = None,
    ) -> None:
        self._moved = moved
        self._texts = False
        self._formats: dict[str, str] = {}
        self._authors: dict[str, str] = {}
        self._arrived = arrived
        self._elsewhere = elsewhere
        self._catches: OrderedDict[tuple[str, str], Catch] = OrderedDict()
        self._under_way: dict[str, tuple[Journey, asyncio.TimerHandle]] = {}

    def know(
        self,
        *,
        formats: Mapping[str, str] | None = None,
        authors: Mapping[str, str] | None = None,
        simulated: bool = False,
    ) -> None:
        """Learn which endpoints are the catcher's (id → format), the names of our own agents (id → name), and whether
        messages go to the simulator: then the text of each is shown."""
        self._texts = self._texts or simulated
        self._formats.update(formats or {})
        self._authors.update(authors or {})

    def caught(self, catch: Catch) -> None:
        """Remember a catch until the attempt that brought it is reported."""
        self._catches[catch.format, catch.webhook_id] = catch
        if len(self._catches) > _MOST:
            self._catches.popitem(last=False)

    def attempted(self, attempt: Attempt, delivery: Delivery) -> None:
        """Add an attempt whose result is recorded."""
        name = self._formats.get(delivery.endpoint_id)
        if name is None:
            self._elsewhere(attempt, delivery)
            return
        catch = self._catches.pop((name, delivery.webhook_id), None)
        journey = self._journey(delivery.event_id)
        journey.stops[name] = Stop(
            status=attempt.response_status,
            verified=catch is not None and catch.verified,
            error=catch.error if catch is not None else attempt.cause,
            ms=took(attempt, delivery),
        )
        if catch is not None:
            _describe(journey, catch, self._authors, self._formats.values(), texts=self._texts)
        if self._moved is not None:
            self._moved(journey)
        if journey.awaits and journey.stops.keys() >= journey.awaits:
            self._finish(delivery.event_id)

    def close(self) -> None:
        """Report the journeys that are not complete, and forget them."""
        for event_id in list(self._under_way):
            self._finish(event_id)

    def _journey(self, event_id: str) -> Journey:
        if event_id not in self._under_way:
            timer = asyncio.get_running_loop().call_later(_WAIT_SECONDS, self._finish, event_id)
            self._under_way[event_id] = Journey(), timer
        return self._under_way[event_id][0]

    def _finish(self, event_id: str) -> None:
        journey, timer = self._under_way.pop(event_id)
        timer.cancel()
        journey.title = journey.title or journey.event
        self._arrived(journey)


def took(attempt: Attempt, delivery: Delivery) -> float:
    """Return how long it was from when an event was stored to the answer of this attempt, in milliseconds."""
    waited = (attempt.started_at - delivery.created_at) / 1000 if delivery.created_at else 0.0
    return max(0.0, waited) + attempt.durations.get("total", 0.0)


def places(
    formats: Iterable[str],
    entity: Entity,
    action: str,
    direction: Literal["incoming", "outgoing", ""] = "",
    *,
    status: str = "",
) -> frozenset[str]:
    """Return which of the formats deliver such an event; `status` is the one that caused it, "" for none."""
    event = Event(
        id="",
        organization_id="",
        account_id="",
        entity=entity,
        action="insert" if action == "insert" else "update",
        name=f"{entity}.{action}",
        order_key="",
        snapshot=Snapshot(row=Raw(b"{}"), status=StatusItem(status, 0) if status else None),
        direction=direction,
    )
    return frozenset(name for name in formats if FORMATS[name].names(event))


def places_of_new(row: MessageRow, formats: Iterable[str]) -> frozenset[str]:
    """Return which of the formats deliver a new message that came in, or of which only statuses tell."""
    if row.direction != "outgoing":
        return places(formats, "messages", "insert", "incoming")
    last = [name for name in row.status or {} if name != "errors"][-1:]
    return places(formats, "messages", "insert", "outgoing", status=last[0] if last else "?")


def _describe(
    journey: Journey, catch: Catch, authors: Mapping[str, str], formats: Iterable[str], *, texts: bool
) -> None:
    """Fill in what a payload says. The update of a row does not say which status caused it, if any did, and so not
    which other formats deliver the event."""
    journey.event = catch.event
    if catch.message_id:
        journey.row, journey.message_id = f"message {catch.message_id}", catch.message_id
    match catch.format, catch.payload:
        case row_format.NAME, RowEvent(data=ConversationRow() as row, action=action):
            journey.title = "conversation opened" if action == "insert" else f"conversation {row.status or 'changed'}"
            journey.row = f"conversation {row.id}"
            journey.person = name_of(row.contact_address or "")
            journey.awaits = places(formats, "conversations", action)
        case row_format.NAME, RowEvent(data=MessageRow() as row, action=action):
            journey.wamid = row.wa_id or ""
            reached = tuple(name for name in row.status or {} if name != "errors")
            journey.reached, journey.incoming = reached, row.direction == "incoming"
            journey.kind = row.type or ""
            journey.person = name_of((row.from_ if journey.incoming else row.to) or "", row.contact)
            if row.direction == "outgoing" and "pending" in reached:
                _describe_ours(journey, row, reached, authors, texts=texts, new=action == "insert")
                if action == "insert" or reached == ("pending",):
                    journey.awaits = places(formats, "messages", action, "outgoing")
                return
            told = action == "insert" and row.type != "external"
            journey.title = journey.title or (row.type or "" if told else f"status {(reached or ('?',))[-1]}")
            if action == "insert":
                journey.awaits = places_of_new(row, formats)
        case _, ChatMessage(message=message):
            journey.title = message.type
            journey.awaits = places(formats, "messages", "insert", "incoming")
        case _, ChatStatus(statuses=statuses):
            status = statuses[0].status if statuses else ""
            journey.title = f"status {status}" if status else "status"
            journey.awaits = places(formats, "messages", "update", "outgoing", status=status or "?")


def _describe_ours(
    journey: Journey,
    row: MessageRow,
    reached: tuple[str, ...],
    authors: Mapping[str, str],
    *,
    texts: bool,
    new: bool,
) -> None:
    """Describe a message that was sent through us."""
    journey.way = reached
    journey.cause = "; ".join(f"{error.code} {error.title}" for error in row.errors)
    journey.author = authors.get(row.agent_id, "agent") if row.agent_id else "API"
    if new:
        journey.title = f"{row.type} by {journey.author}"
        if texts or row.agent_id in authors:
            journey.wrote = text_of(row.type or "", (row.content or {}).get(row.type or ""))
    elif reached == ("pending",):
        journey.title = "accepted by Meta"
    else:
        journey.title = journey.title or f"status {reached[-1]}"
