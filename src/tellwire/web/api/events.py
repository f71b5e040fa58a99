"""Serve `/v1/events`: the events that subscribers get, as a list and as a stream."""

from __future__ import annotations

from typing import Any, Literal

from litestar import Request, Response, get
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Raw, Struct
from msgspec.json import encode

from tellwire.endpoints import samples
from tellwire.errors import NotFound
from tellwire.ids import IdMaker
from tellwire.model.deliveries import Action, Endpoint, Entity, Event, SentAs
from tellwire.model.row_json import instant
from tellwire.model.time_buckets import start_of
from tellwire.model.units import DAY
from tellwire.ports.formats import Format
from tellwire.stores.queries import events
from tellwire.stores.queries.events import EventFilter
from tellwire.web.api.shapes import Id, NextCursor, When
from tellwire.web.parameters import (
    ACTIONS,
    ENTITIES,
    AccountName,
    ActionName,
    Cursor,
    EntityName,
    Limit,
    Name,
    Since,
    choice,
    instant_of,
    our_id,
    page_request,
)
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import page_response, raw_json_response

_READ = {"scopes": ("read",)}
_NOUN = "events"


class EventRead(Struct, kw_only=True):
    """An event: `data` is the row as it then was, `changed` the columns that an update changed."""

    id: Id
    organization_id: Id
    account_id: Id
    name: str
    entity: Entity
    action: Action
    conversation_id: str | None
    message_id: str | None
    direction: Literal["incoming", "outgoing"] | None
    history: bool
    external: bool
    changed: tuple[str, ...]
    created_at: When
    data: dict[str, Any]


class EventList(Struct, kw_only=True):
    """A page of events, newest first."""

    data: list[EventRead]
    next_cursor: NextCursor


class _Shown(EventRead, kw_only=True):
    data: Raw  # type: ignore[assignment]


def _shown(event: Event) -> bytes:
    return encode(
        _Shown(
            id=event.id,
            organization_id=event.organization_id,
            account_id=event.account_id,
            name=event.name,
            entity=event.entity,
            action=event.action,
            conversation_id=event.conversation_id or None,
            message_id=event.message_id or None,
            direction=event.direction or None,
            history=event.history,
            external=event.external,
            changed=event.snapshot.changed,
            created_at=instant(event.created_at),
            data=event.snapshot.row,
        )
    )


@get("/events", summary="List events", opt=_READ)
async def list_events(
    context: ContextDependency,
    *,
    limit: Limit = 50,
    cursor: Cursor = "",
    entity: EntityName = "",
    action: ActionName = "",
    conversation_id: Name = "",
    account: AccountName = "",
    since: Since = "",
) -> Response[EventList]:
    """What happened in the organization."""
    chosen = EventFilter(
        entity=choice(entity, "entity", *ENTITIES),
        action=choice(action, "action", *ACTIONS),
        conversation_id=await context.conversation_filter(conversation_id),
        account_id=context.account_id(account) if account else "",
        since=instant_of(since, "since"),
    )
    paging = page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: events.page(c, context.organization_id, chosen, paging))
    return page_response(_NOUN, page, _shown, EventList)


@get("/events/stream", summary="Stream events", opt={**_READ, "media_type": "text/event-stream"})
async def stream_events(
    request: Request[Any, Any, Any], context: ContextDependency, last_event_id: Name = ""
) -> Stream:
    """Server-Sent Events: `id` is the event's id, `event` its name, `data` its payload in the `row` format. Sent on
    from the header `Last-Event-ID` (or `last_event_id`), else from now."""
    given = request.headers.get("last-event-id", "") or last_event_id
    after = our_id(given, "event") if given else ""
    frames = await context.app_state.streams.open(context.organization_id, after, context.still_allowed)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return Stream(frames, media_type="text/event-stream", headers=headers)


@get("/events/{event_id:str}", summary="Read an event", opt=_READ)
async def read_event(event_id: FromPath[str], context: ContextDependency) -> Response[EventRead]:
    """One event."""
    return raw_json_response(_shown(await _known(context, event_id)), EventRead)


@get("/events/{event_id:str}/payloads/{format_name:str}", summary="Render an event's payload", opt=_READ)
async def read_payload(
    event_id: FromPath[str], format_name: FromPath[str], context: ContextDependency
) -> Response[dict[str, Any]]:
    """The exact bytes that an endpoint of this format with default options is sent; 404 when the format has no place
    for the event."""
    event, format_ = await _known(context, event_id), _format(context, format_name)
    body = format_.encode(event, plain_endpoint(event, format_name), SentAs(event.id))
    if body is None:
        raise _no_payload()
    return raw_json_response(body, dict[str, Any])


@get("/events/samples/{format_name:str}", summary="Render a sample event", opt=_READ)
async def read_sample(
    format_name: FromPath[str], context: ContextDependency, name: Name = "messages.insert"
) -> Response[dict[str, Any]]:
    """What an endpoint of this format with default options would be sent for an event that never happened, as a test
    sends it; 404 when the format has no such event."""
    format_, today = _format(context, format_name), start_of(context.services.clock.now(), DAY)
    ids = IdMaker(random=lambda _: 0)  # the same bytes all day
    event = samples.sample(format_, name, context.organization_id, today, lambda: ids.make(today))
    known = name in format_.EVENTS and format_.names(event)
    body = format_.encode(event, plain_endpoint(event, format_name), SentAs(event.id)) if known else None
    if body is None:
        raise _no_payload()
    return raw_json_response(body, dict[str, Any])


def _format(context: RequestContext, name: str) -> Format:
    format_ = context.services.formats.get(name)
    if format_ is None:
        raise NotFound(f"There is no such format; there are {', '.join(context.services.formats)}.")
    return format_


def _no_payload() -> NotFound:
    return NotFound("This format has no place for this event.", kind="no-payload")


async def _known(context: RequestContext, event_id: str) -> Event:
    name = our_id(event_id, "event")
    event = await context.read(lambda c: events.get(c, context.organization_id, name))
    if event is None:
        raise NotFound("There is no event with this id.")
    return event


def plain_endpoint(event: Event, format_name: str) -> Endpoint:
    """Return an endpoint that takes everything, with default options else, for rendering events."""
    return Endpoint(id="", organization_id=event.organization_id, url="", format=format_name, history=True)


HANDLERS = (list_events, stream_events, read_event, read_payload, read_sample)
