"""Export everything that is kept of a person as one JSON object, read and sent in portions."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import Raw
from sqlalchemy import Connection

from tellwire.meta.raw_json import verbatim
from tellwire.model.agents import AgentRun
from tellwire.model.deliveries import Event
from tellwire.model.marks import Note
from tellwire.model.messaging import Contact, Conversation, Media, Message, Send
from tellwire.model.row_json import conversation_row, instant, message_row
from tellwire.model.units import MICROS
from tellwire.stores.queries import (
    conversation_marks,
    exports,
    labels,
    media,
    notes,
    person_in_meta_events,
    person_in_payloads,
    person_rows,
)
from tellwire.stores.queries import sends as send_queries
from tellwire.stores.queries.exports import ActiveHandover, DeliveryWithAttempts, Portion
from tellwire.stores.queries.person_in_meta_events import SharedEvent
from tellwire.stores.queries.person_in_payloads import PersonSearch
from tellwire.stores.queries.person_rows import PersonRows
from tellwire.web.api.marketing_preferences import preferences_of
from tellwire.web.api.media.rows import media_read
from tellwire.web.api.messages.rows import payments_shown
from tellwire.web.api.shapes import when
from tellwire.web.request import RequestContext
from tellwire.web.responses import joined

T = TypeVar("T")

_AT_ONCE = 200
_encode = msgspec.json.Encoder().encode


async def export(context: RequestContext, person: PersonRows) -> AsyncIterator[bytes]:
    """Give the JSON object in pieces."""
    organization_id = context.organization_id
    conversations = await context.read(lambda c: person_rows.conversations_of(c, organization_id, person.ids))
    yield b'{"organization_id":%b,"exported_at":%b' % (
        _encode(organization_id),
        _encode(instant(context.audit_change().at)),
    )
    yield b',"contacts":[' + b",".join(map(_contact, person.contacts)) + b"]"
    yield b',"aliases":' + _encode([each for each in person.aliases if each not in person.left])
    left = [{"alias": alias, "until": instant(until * MICROS)} for alias, until in sorted(person.left.items())]
    yield b',"former_aliases":' + _encode(left)
    yield b',"conversations":[' + b",".join(map(conversation_row, conversations)) + b"]"
    lists = {
        "messages": _messages(context, person, conversations),
        "media": _media(context, person, conversations),
        "handovers": _handovers(context, conversations),
        "notes": _notes(context, conversations),
        "marks": _marks(context, conversations),
        "agent_runs": _runs(context, conversations),
        "events": _events(context, person, conversations),
        "shared_events": _shared_events(context, person),
        "deliveries": _deliveries(context, person, conversations),
        "received": _received(context, person),
    }
    for name, portions in lists.items():
        async for portion in _list(name, portions):
            yield portion
    yield b"}"


async def _list(name: str, portions: AsyncIterator[Iterable[bytes]]) -> AsyncIterator[bytes]:
    yield b',"%b":[' % name.encode()
    joint = b""
    async for portion in portions:
        if rows := b",".join(portion):
            yield joint + rows
            joint = b","
    yield b"]"


async def _messages(
    context: RequestContext, person: PersonRows, conversations: Sequence[Conversation]
) -> AsyncIterator[Iterable[bytes]]:
    async for page in _message_pages(context, person, conversations):
        sends = await context.read(
            partial(send_queries.of_messages, organization_id=context.organization_id, messages=page)
        )
        yield [_message(each, sends.get(each.id)) for each in page]


async def _message_pages(
    context: RequestContext, person: PersonRows, conversations: Sequence[Conversation]
) -> AsyncIterator[Sequence[Message]]:
    async for page in _paged(context, exports.messages_of, [each.id for each in conversations]):
        yield page
    async for group in _groups(context):
        async for page in _paged(context, exports.messages_of, [group]):
            yield [each for each in page if each.contact_id in person.ids]


async def _media(
    context: RequestContext, person: PersonRows, conversations: Sequence[Conversation]
) -> AsyncIterator[Iterable[bytes]]:
    async for messages in _message_pages(context, person, conversations):
        found = await context.read(_files(context.organization_id, [each for each in messages if each.media]))
        yield [_encode(media_read(context.services, each)) for each in found if each.state != "erased"]


def _files(organization_id: str, messages: Sequence[Message]) -> Callable[[Connection], list[Media]]:
    """Give the rows of the files that came or went with the person's messages."""
    shown = {each["id"] for message in messages for each in msgspec.json.decode(message.media)}

    def find(connection: Connection) -> list[Media]:
        came = media.of_messages(connection, [each.id for each in messages])
        went = media.get_many(connection, organization_id, shown - {each.id for each in came})
        return [*came, *went]

    return find


async def _handovers(context: RequestContext, conversations: Sequence[Conversation]) -> AsyncIterator[Iterable[bytes]]:
    for some in _portions(conversations):
        yield map(_handed_over, await context.read(_handed(context.organization_id, some)))


def _handed(organization_id: str, conversation_ids: Sequence[str]) -> Callable[[Connection], list[ActiveHandover]]:
    return lambda connection: exports.handovers_of(connection, organization_id, conversation_ids)


async def _notes(context: RequestContext, conversations: Sequence[Conversation]) -> AsyncIterator[Iterable[bytes]]:
    for some in _portions(conversations):
        yield map(_note, await context.read(partial(_notes_of, context.organization_id, some)))


def _notes_of(organization_id: str, conversation_ids: Sequence[str], connection: Connection) -> Sequence[Note]:
    return notes.of_conversations(connection, organization_id, conversation_ids)


async def _marks(context: RequestContext, conversations: Sequence[Conversation]) -> AsyncIterator[Iterable[bytes]]:
    for some in _portions(conversations):
        yield await context.read(partial(_marks_of, context.organization_id, some))


def _marks_of(organization_id: str, conversation_ids: Sequence[str], connection: Connection) -> list[bytes]:
    """Return the labels of conversations by name, and whom each is assigned to."""
    found = conversation_marks.of_conversations(connection, organization_id, conversation_ids)
    known = labels.get_many(connection, organization_id, {each for marks in found.values() for each in marks.labels})
    return [
        _encode(
            {
                "conversation_id": each,
                "labels": sorted(known[label].name for label in found[each].labels if label in known),
                "assignee": found[each].assignee or None,
            }
        )
        for each in sorted(found)
    ]


def _portions(conversations: Sequence[Conversation]) -> Iterable[list[str]]:
    for start in range(0, len(conversations), _AT_ONCE):
        yield [each.id for each in conversations[start : start + _AT_ONCE]]


async def _runs(context: RequestContext, conversations: Sequence[Conversation]) -> AsyncIterator[Iterable[bytes]]:
    async for page in _paged(context, exports.runs_of, [each.id for each in conversations]):
        yield map(_run, page)


async def _events(
    context: RequestContext, person: PersonRows, conversations: Sequence[Conversation]
) -> AsyncIterator[Iterable[bytes]]:
    async for page in _event_pages(context, person, conversations):
        yield map(_event, page)


async def _shared_events(context: RequestContext, person: PersonRows) -> AsyncIterator[Iterable[bytes]]:
    """Give what is about the person in events that are about others too."""
    wanted, after = PersonSearch(context.organization_id, person.addresses, spans=person.spans), ""
    while True:
        found, after = await context.read(partial(person_in_meta_events.page, wanted=wanted, after=after))
        yield [_shared(each) for each in found]
        if not after:
            return


async def _deliveries(
    context: RequestContext, person: PersonRows, conversations: Sequence[Conversation]
) -> AsyncIterator[Iterable[bytes]]:
    async for page in _event_pages(context, person, conversations):
        found = await context.read(partial(exports.deliveries_of, page=page))
        yield map(_carried, found)


async def _event_pages(
    context: RequestContext, person: PersonRows, conversations: Sequence[Conversation]
) -> AsyncIterator[Sequence[Event]]:
    async for page in _paged(context, exports.events_about, person.ids):
        yield page
    async for page in _paged(context, exports.events_of, [each.id for each in conversations]):
        yield page
    async for group in _groups(context):
        async for page in _paged(context, exports.events_of, [group]):
            yield await context.read(
                partial(exports.only_about, page=page, contact_ids=person.ids, addresses=person.addresses)
            )


async def _received(context: RequestContext, person: PersonRows) -> AsyncIterator[Iterable[bytes]]:
    registry = context.services.store.registry()
    wanted = PersonSearch(context.organization_id, person.addresses, nobodys=context.sees_nobodys, spans=person.spans)
    after, until = "", "~"
    while True:

        def look(connection: Connection, after: str = after) -> tuple[list[bytes], str]:
            found = person_in_payloads.search(connection, registry, wanted, after=after, until=until)
            shown = person_in_payloads.shown(connection, registry, wanted, found.ids)
            return [_post(each.inbound.id, each.inbound.received_at, each.pieces) for each in shown], found.after

        rows, after = await context.read(look)
        yield rows
        if not after:
            return


async def _groups(context: RequestContext) -> AsyncIterator[str]:
    after = ""
    while after := await context.read(
        partial(person_rows.next_group, organization_id=context.organization_id, after=after)
    ):
        yield after


async def _paged(
    context: RequestContext,
    query: Callable[[Connection, Sequence[str], str, int], Portion[T]],
    conversation_ids: Sequence[str],
) -> AsyncIterator[list[T]]:
    for start in range(0, len(conversation_ids), _AT_ONCE):
        some, after, more = conversation_ids[start : start + _AT_ONCE], "", True
        while more:
            page = await context.read(_portion(query, some, after))
            yield page.rows
            after, more = page.after, bool(page.after)


def _portion(
    query: Callable[[Connection, Sequence[str], str, int], Portion[T]], conversation_ids: Sequence[str], after: str
) -> Callable[[Connection], Portion[T]]:
    return lambda connection: query(connection, conversation_ids, after, _AT_ONCE)


# --- rows -------------------------------------------------------------------------------------------------------------


def _contact(contact: Contact) -> bytes:
    fields = msgspec.structs.asdict(contact) | {"marketing": preferences_of(contact)}
    return _encode({**fields, "created_at": instant(contact.created_at), "updated_at": instant(contact.updated_at)})


def _message(message: Message, send: Send | None = None) -> bytes:
    more: dict[str, Any] = {"contact_id": message.contact_id, "account_id": message.account_id}
    if message.payments:
        more["payments"] = payments_shown(message)
    if message.callback_data:
        more["callback_data"] = message.callback_data
    row = joined(message_row(message, None), more)
    return row if send is None else joined(row, {"send": _sent(send)})


def _sent(send: Send) -> dict[str, Any]:
    return {
        "state": send.state,
        "recipient": send.recipient,
        "scheduled_at": when(send.scheduled_at),
        "attempts": send.attempts,
        "cause": send.cause,
        "resent_as": send.resent_as or None,
    }


def _note(note: Note) -> bytes:
    return _encode(
        {
            "conversation_id": note.conversation_id,
            "text": note.text,
            "written_by": note.written_by,
            "created_at": instant(note.created_at),
        }
    )


def _handed_over(found: ActiveHandover) -> bytes:
    return _encode({**msgspec.structs.asdict(found), "since": instant(found.since)})


def _run(run: AgentRun) -> bytes:
    times = {"started_at": instant(run.started_at), "finished_at": instant(run.finished_at)}
    return _encode({**msgspec.structs.asdict(run), **times, "message_id": run.message_id or None})


def _event(event: Event) -> bytes:
    shown = {"id": event.id, "name": event.name, "created_at": instant(event.created_at)}
    return _encode({**shown, "conversation_id": event.conversation_id, "row": event.snapshot.row})


def _shared(shared: SharedEvent) -> bytes:
    shown = {"id": shared.event.id, "name": shared.event.name, "created_at": instant(shared.event.created_at)}
    return _encode({**shown, "items": [_verbatim(each) for each in shared.items]})


def _carried(carried: DeliveryWithAttempts) -> bytes:
    delivery = carried.delivery
    tries = [
        {
            "number": each.number,
            "started_at": instant(each.started_at),
            "outcome": each.outcome,
            "cause": each.cause,
            "url": each.url,
            "response_status": each.response_status,
            "response_body": each.response_body.decode(errors="replace"),
        }
        for each in carried.attempts
    ]
    shown = {"id": delivery.id, "event_id": delivery.event_id, "endpoint_id": delivery.endpoint_id}
    return _encode({**shown, "state": delivery.state, "attempts": tries})


def _post(inbound_id: str, received_at: int, pieces: Sequence[bytes]) -> bytes:
    return _encode(
        {"id": inbound_id, "received_at": instant(received_at), "items": [_verbatim(each) for each in pieces]}
    )


def _verbatim(piece: bytes) -> Any:
    """Return JSON as it is; if a strict reader refuses it, a string of its bytes."""
    if verbatim.read(piece)[1]:
        return {"base64": base64.b64encode(piece).decode()}
    return Raw(piece)
