"""Serve `/v1/deliveries`: one event on its way to one endpoint, with every attempt."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.endpoints.fields import Url
from tellwire.errors import Forbidden, Invalid, NotAllowed, NotFound
from tellwire.model.deliveries import Attempt, DeliveryState, Lane, ReplayEdit
from tellwire.model.id_form import looks_like_id
from tellwire.model.row_json import instant
from tellwire.stores.queries import deliveries, failures, replays
from tellwire.stores.queries.audit import note
from tellwire.stores.queries.conversations import party_of
from tellwire.stores.queries.deliveries import DeliveryEntry, DeliveryFilter
from tellwire.web.api import sent_bodies
from tellwire.web.api.shapes import Id, NextCursor, When, when
from tellwire.web.parameters import (
    Cursor,
    Limit,
    Name,
    Since,
    StateName,
    Until,
    WebhookId,
    choice,
    instant_of,
    our_id,
    page_request,
)
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import joined, page_response, raw_json_response

_READ = {"scopes": ("read", "deliveries:replay")}
_REPLAY = {"scopes": ("deliveries:replay",)}
_FORGERY = "webhooks:manage"
_NOUN = "deliveries"
FailureName = Annotated[
    str, QueryParameter(description="Only those that a failure counts: whose last attempt failed so.", max_length=256)
]
DeliveryIds = Annotated[
    str, QueryParameter(description="Only these, separated by commas; 200 at the most.", max_length=200 * 37)
]
_WAITING = (DeliveryState.PENDING, DeliveryState.RETRYING)


class DeliveryRead(Struct, kw_only=True):
    """A delivery. `cause` says in plain words why its last attempt failed; `sequence` is null where none was given."""

    id: Id
    organization_id: Id
    event_id: Id
    event_name: Annotated[str | None, Meta(description="Null for an event that is no longer kept.")]
    endpoint_id: Id
    endpoint_name: Annotated[
        str | None, Meta(description="The endpoint's description, else its URL; null for one that was deleted.")
    ]
    conversation_id: str | None
    state: DeliveryState
    cause: str
    failure: Annotated[
        str | None,
        Meta(description="Why its last attempt failed: a status, or `timeout`, `dns` …; null if it did not."),
    ]
    last_status: Annotated[int | None, Meta(description="What its last attempt was answered with.")]
    attempt_count: int
    out_of_order: bool
    lane: Lane
    replay: int
    replay_url: Annotated[str | None, Meta(description="Where its last replay goes, if not to the endpoint's URL.")]
    replay_edited: Annotated[bool, Meta(description="Whether its last replay has another body than the event's.")]
    webhook_id: str
    together: Annotated[
        str | None, Meta(description="The `webhook-id` of the POST that it shares with others of a buffer, if it does.")
    ]
    sequence: int | None
    next_attempt_at: When | None
    first_attempt_at: When | None
    delivered_at: When | None
    created_at: When
    updated_at: When


class AttemptRead(Struct, kw_only=True):
    """One try. Durations in milliseconds; secrets in headers are masked. A body that is no UTF-8 is in
    `response_body_base64`."""

    number: int
    started_at: When
    outcome: Literal["delivered", "failed"]
    cause: str
    url: str
    request_headers: list[tuple[str, str]]
    response_status: int | None
    response_headers: list[tuple[str, str]]
    response_body: str | None
    response_body_base64: str | None
    durations: dict[str, float]
    edited: Annotated[
        list[Literal["url", "body"]], Meta(description="What was other than usual: the replay was asked for so.")
    ]


class DeliveryWithAttempts(DeliveryRead, kw_only=True):
    """A delivery with its attempts, oldest first."""

    attempts: list[AttemptRead]


class DeliveryList(Struct, kw_only=True):
    """A page of deliveries, newest first."""

    data: list[DeliveryRead]
    next_cursor: NextCursor


class AttemptList(Struct, kw_only=True):
    """Every attempt of a delivery, oldest first."""

    data: list[AttemptRead]
    next_cursor: NextCursor


class Replay(Struct, kw_only=True, forbid_unknown_fields=True):
    """How to replay: with `new_id` under a fresh `webhook-id`, so that consumers that deduplicate take it anew."""

    new_id: bool = False
    url: Annotated[Url, Meta(description="Where to POST this once; checked as an endpoint's URL is.")] | None = None
    body: Annotated[dict[str, Any], Meta(description="What to send this once.")] | None = None


class Selection(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries to replay, in this order; all of them or, when one cannot be, none."""

    ids: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(min_length=1, max_length=200)]
    new_id: bool = False


class Replayed(Struct, kw_only=True):
    """The deliveries that were asked for again."""

    data: list[DeliveryRead]


def _shown(entry: DeliveryEntry) -> bytes:
    delivery = entry.delivery
    return encode(
        DeliveryRead(
            id=delivery.id,
            organization_id=delivery.organization_id,
            event_id=delivery.event_id,
            event_name=entry.event_name or None,
            endpoint_id=delivery.endpoint_id,
            endpoint_name=entry.endpoint_name or None,
            conversation_id=entry.conversation_id or None,
            state=delivery.state,
            cause=entry.cause,
            failure=delivery.failure or None,
            last_status=entry.status or None,
            attempt_count=delivery.attempts,
            out_of_order=delivery.out_of_order,
            lane=delivery.lane,
            replay=delivery.replay,
            replay_url=entry.replay_url or None,
            replay_edited=entry.replay_edited,
            webhook_id=delivery.webhook_id,
            together=delivery.together or None,
            sequence=delivery.sequence or None,
            next_attempt_at=when(delivery.due_at) if delivery.state in _WAITING else None,
            first_attempt_at=when(delivery.first_attempt_at),
            delivered_at=when(delivery.delivered_at),
            created_at=instant(delivery.created_at),
            updated_at=instant(delivery.updated_at),
        )
    )


def _attempt(attempt: Attempt, *, bodies: bool) -> AttemptRead:
    text: str | None
    raw: str | None
    try:
        text, raw = attempt.response_body.decode(), None
    except UnicodeDecodeError:
        text, raw = None, base64.b64encode(attempt.response_body).decode()
    return AttemptRead(
        number=attempt.number,
        started_at=instant(attempt.started_at),
        outcome=attempt.outcome,
        cause=attempt.cause,
        url=attempt.url,
        request_headers=list(attempt.request_headers),
        response_status=attempt.response_status or None,
        response_headers=list(attempt.response_headers),
        response_body=text if bodies else None,
        response_body_base64=raw if bodies else None,
        durations=attempt.durations,
        edited=[part for part in ("url", "body") if part in attempt.edited],
    )


@get("/deliveries", summary="List deliveries", opt=_READ)
async def list_deliveries(
    context: ContextDependency,
    *,
    limit: Limit = 50,
    cursor: Cursor = "",
    endpoint_id: Name = "",
    in_state: StateName = "",
    event_id: Name = "",
    conversation_id: Name = "",
    webhook_id: WebhookId = "",
    contact: Name = "",
    message_id: Name = "",
    failure_id: FailureName = "",
    ids: DeliveryIds = "",
    since: Since = "",
    until: Until = "",
) -> Response[DeliveryList]:
    """The deliveries of the organization, those of deleted endpoints too; `contact` takes a contact's id, phone number
    or user id, or a group's id."""
    party = await context.read(lambda c: party_of(c, context.organization_id, contact)) if contact else ""
    chosen = DeliveryFilter(
        endpoint_id=endpoint_id,
        state=choice(in_state, "state", *DeliveryState),
        event_id=event_id,
        conversation_id=await context.conversation_filter(conversation_id),
        webhook_id=webhook_id,
        party=party,
        message_id=message_id,
        ids=_named(ids),
        failure=await _kind_of(context, failure_id) if failure_id else None,
        since=instant_of(since, "since"),
        until=instant_of(until, "until"),
    )
    paging = page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: deliveries.page(c, context.organization_id, chosen, paging))
    return page_response(_NOUN, page, _shown, DeliveryList)


@get("/deliveries/{delivery_id:str}", summary="Read a delivery", opt=_READ)
async def read_delivery(delivery_id: FromPath[str], context: ContextDependency) -> Response[DeliveryWithAttempts]:
    """One delivery with its attempts."""
    entry, attempts = await _known(context, delivery_id)
    return raw_json_response(joined(_shown(entry), {"attempts": attempts}), DeliveryWithAttempts)


@get("/deliveries/{delivery_id:str}/attempts", summary="List a delivery's attempts", opt=_READ)
async def list_attempts(delivery_id: FromPath[str], context: ContextDependency) -> Response[AttemptList]:
    """Every attempt that is still kept, in one page."""
    _, attempts = await _known(context, delivery_id)
    return raw_json_response(encode(AttemptList(data=attempts, next_cursor=None)), AttemptList)


@post("/deliveries/{delivery_id:str}/replay", summary="Replay a delivery", opt=_REPLAY, status_code=202)
async def replay_delivery(
    delivery_id: FromPath[str],
    request: Request[Any, Any, Any],
    context: ContextDependency,
    data: JSONBody[Replay | None] = None,
) -> Response[DeliveryRead]:
    """Send it once more, whatever its state; waits parked while its endpoint is paused or disabled. It may go to
    another `url` or with another `body`, which takes the scope `webhooks:manage` too; then it carries the header
    `tellwire-replay-edited`, and another server gets neither the endpoint's token nor its headers."""
    name, audit_change, wanted = our_id(delivery_id, "delivery"), context.audit_change(), data or Replay()
    edit = await _edit(context, wanted)

    def work(connection: Connection) -> tuple[DeliveryEntry, bytes]:
        entry = replays.replay(connection, audit_change, name, new_id=wanted.new_id, edit=edit)
        if entry is None:
            raise NotFound("There is no delivery with this id.")
        (entry,) = deliveries.named(connection, context.organization_id, [entry])
        return entry, _shown(entry)

    async with context.once(request) as once:
        if once.kept:
            return once.kept
        _, body = await once.write(work, status=202)
    context.services.wake()
    return raw_json_response(body, DeliveryRead, status=202)


@post("/deliveries/replay", summary="Replay several deliveries", opt=_REPLAY, status_code=202)
async def replay_selection(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[Selection]
) -> Response[Replayed]:
    """Send up to 200 once more, in the order given. For more, `recover` of the endpoint, or `replay` of a failure."""
    ids, audit_change = _ids(data), context.audit_change()

    def work(connection: Connection) -> tuple[None, bytes]:
        entries = replays.replay_many(connection, audit_change, ids, new_id=data.new_id)
        missing = [(f"/ids/{index}", "is no delivery") for index, entry in enumerate(entries) if entry is None]
        if missing:
            raise Invalid("Some deliveries are not there; none was replayed.", *missing)
        made = deliveries.named(connection, context.organization_id, [each for each in entries if each is not None])
        for endpoint_id in dict.fromkeys(each.delivery.endpoint_id for each in made):
            note(connection, audit_change, "endpoint.deliveries_replayed", endpoint_id)
        return None, b'{"data":[' + b",".join(map(_shown, made)) + b"]}"

    async with context.once(request) as once:
        if once.kept:
            return once.kept
        _, body = await once.write(work, status=202)
    context.services.wake()
    return raw_json_response(body, Replayed, status=202)


def _ids(data: Selection) -> tuple[str, ...]:
    faults = [
        (f"/ids/{index}", "is no delivery" if not looks_like_id(each) else "is there twice")
        for index, each in enumerate(data.ids)
        if not looks_like_id(each) or each in data.ids[:index]
    ]
    if faults:
        raise Invalid("The selection is not valid; none was replayed.", *faults)
    return data.ids


def _named(ids: str) -> tuple[str, ...]:
    """Return the ids of a filter; a text that can be none matches nothing."""
    return tuple(dict.fromkeys(each if looks_like_id(each) else "" for each in ids.split(","))) if ids else ()


async def _kind_of(context: RequestContext, failure_id: str) -> tuple[str, str]:
    """Return the endpoint and the reason of a failure; for one that is not there what matches nothing."""
    known = await context.read(lambda c: failures.get(c, context.organization_id, failure_id))
    return ("", "") if known is None else (known.endpoint_id, known.failure)


async def _edit(context: RequestContext, wanted: Replay) -> ReplayEdit:
    if wanted.url is None and wanted.body is None:
        return ReplayEdit()
    if not context.caller.may((_FORGERY,)):
        raise NotAllowed(f"Another url or body takes the scope {_FORGERY} too.", kind="insufficient-scope")
    if wanted.url is not None:
        try:
            await context.services.check_url(wanted.url)
        except Forbidden as error:
            raise Invalid("Deliveries may not go to this URL.", ("/url", str(error))) from None
    return ReplayEdit(url=wanted.url or "", body=None if wanted.body is None else encode(wanted.body))


async def _known(context: RequestContext, delivery_id: str) -> tuple[DeliveryEntry, list[AttemptRead]]:
    name = our_id(delivery_id, "delivery")
    entry = await context.read(lambda c: deliveries.get(c, context.organization_id, name))
    if entry is None:
        raise NotFound("There is no delivery with this id.")
    found = [entry]
    (entry,) = await context.read(lambda c: deliveries.named(c, context.organization_id, found))
    attempts = await context.read(lambda c: deliveries.attempts_of(c, name))
    return entry, [_attempt(each, bodies=context.caller.sees_bodies) for each in attempts]


HANDLERS = (
    list_deliveries,
    read_delivery,
    list_attempts,
    replay_delivery,
    replay_selection,
    *sent_bodies.HANDLERS,
)
