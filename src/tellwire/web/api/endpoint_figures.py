"""Serve the figures of `/v1/webhook-endpoints`: how attempts went over time, and what waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated

from litestar import Response, get
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.endpoints.traffic import Traffic
from tellwire.model.deliveries import Endpoint
from tellwire.model.row_json import instant
from tellwire.model.time_buckets import BUCKETS, Buckets, Span
from tellwire.model.units import MICROS, Micros
from tellwire.stores.queries import endpoint_traffic
from tellwire.stores.queries import endpoints as endpoint_queries
from tellwire.stores.queries.endpoint_traffic import Waiting
from tellwire.web.api.endpoint_calls import known_endpoint
from tellwire.web.api.shapes import Id, NextCursor, When, when
from tellwire.web.parameters import Cursor, Limit, choice, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response, page_response

_READ = {"scopes": ("read", "webhooks:manage", "webhooks:operate")}
_NOUN = "webhook-endpoints"
MOST = 1_000
MOST_OF_MANY = 200
_MILLI = 1_000

SpanName = Annotated[
    str,
    QueryParameter(description="How far back: 60 minutes, 24 hours or 30 days.", schema_extra={"enum": list(BUCKETS)}),
]
Milliseconds = Annotated[float | None, Meta(description="Of attempts that were delivered; null when there are none.")]


class AttemptBucketRead(Struct, kw_only=True):
    """The attempts that ended in a part of the span, which begins at `since`."""

    since: When
    delivered: int
    failed: int
    mean_milliseconds: Milliseconds
    slowest_milliseconds: Milliseconds


class FiguresRead(Struct, kw_only=True):
    """How the attempts of a webhook endpoint went over a span, and what waits for it now. An attempt is shown some
    seconds after it ended."""

    id: Id
    organization_id: Id
    span: Span
    bucket_seconds: int
    delivered: Annotated[int, Meta(description="Attempts that were delivered, in the whole span.")]
    failed: Annotated[int, Meta(description="Attempts that failed, in the whole span.")]
    mean_milliseconds: Milliseconds
    slowest_milliseconds: Milliseconds
    waiting: Annotated[
        int, Meta(description="Deliveries that are still to be made. Counting stops at 1000, in a list at 200.")
    ]
    waiting_since: When | None
    parked: Annotated[int, Meta(description="Deliveries that wait until the endpoint is resumed. Bounded likewise.")]
    parked_since: When | None
    buckets: Annotated[list[AttemptBucketRead], Meta(description="Oldest first; the last one is not over yet.")]


class FiguresList(Struct, kw_only=True):
    """The figures of a page of webhook endpoints, newest endpoint first."""

    data: list[FiguresRead]
    next_cursor: NextCursor


class _Found(Struct, frozen=True):
    traffic: Mapping[str, Mapping[Micros, Traffic]]
    waiting: Mapping[str, Waiting]


@get("/webhook-endpoints/figures", summary="List figures", opt=_READ)
async def list_figures(
    context: ContextDependency, span: SpanName = "day", limit: Limit = 50, cursor: Cursor = ""
) -> Response[FiguresList]:
    """The figures of the webhook endpoints of the organization, page by page as the endpoints are listed."""
    wanted, now = _span(span), context.services.clock.now()
    vault, paging = context.services.store.vault, page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: endpoint_queries.page(c, vault, context.organization_id, paging))
    found = await _found(context, page.items, wanted, now, most=MOST_OF_MANY)
    return page_response(
        _NOUN, page, lambda endpoint: encode(_shown(endpoint, wanted, BUCKETS[wanted], found, now)), FiguresList
    )


@get("/webhook-endpoints/{endpoint_id:str}/figures", summary="Read the figures", opt=_READ)
async def read_figures(
    endpoint_id: FromPath[str], context: ContextDependency, span: SpanName = "day"
) -> Response[FiguresRead]:
    """The figures of one webhook endpoint."""
    wanted, now = _span(span), context.services.clock.now()
    endpoint = await known_endpoint(context, endpoint_id)
    found = await _found(context, [endpoint], wanted, now, most=MOST)
    return json_response(_shown(endpoint, wanted, BUCKETS[wanted], found, now))


def _span(given: str) -> Span:
    choice(given, "span", *BUCKETS)
    return next((span for span in BUCKETS if span == given), "day")


async def _found(context: RequestContext, some: Sequence[Endpoint], span: Span, now: Micros, *, most: int) -> _Found:
    cut, owner, ids = BUCKETS[span], context.organization_id, [endpoint.id for endpoint in some]
    begins = cut.begins(now)[0]

    def work(connection: Connection) -> _Found:
        traffic: dict[str, dict[Micros, Traffic]] = defaultdict(dict)
        for each in endpoint_traffic.of_endpoints(connection, owner, ids, since=begins, width=cut.width):
            traffic[each.endpoint_id][each.since] = each
        return _Found(traffic, endpoint_traffic.waiting_for(connection, owner, ids, most=most))

    return await context.read(work)


def _shown(endpoint: Endpoint, span: Span, cut: Buckets, found: _Found, now: Micros) -> FiguresRead:
    traffic = found.traffic.get(endpoint.id, {})
    waiting = found.waiting.get(endpoint.id, Waiting())
    every = Traffic(organization_id="", endpoint_id="", width=0, since=0)
    buckets = []
    for since in cut.begins(now):
        counted = traffic.get(since) or Traffic(organization_id="", endpoint_id="", width=0, since=since)
        every.add(counted)
        mean, slowest = _milliseconds(counted)
        buckets.append(
            AttemptBucketRead(
                since=instant(since),
                delivered=counted.delivered,
                failed=counted.failed,
                mean_milliseconds=mean,
                slowest_milliseconds=slowest,
            )
        )
    mean, slowest = _milliseconds(every)
    return FiguresRead(
        id=endpoint.id,
        organization_id=endpoint.organization_id,
        span=span,
        bucket_seconds=cut.width // MICROS,
        delivered=every.delivered,
        failed=every.failed,
        mean_milliseconds=mean,
        slowest_milliseconds=slowest,
        waiting=waiting.waiting,
        waiting_since=when(waiting.waiting_since),
        parked=waiting.parked,
        parked_since=when(waiting.parked_since),
        buckets=buckets,
    )


def _milliseconds(counted: Traffic) -> tuple[float | None, float | None]:
    if not counted.delivered:
        return None, None
    return round(counted.took / counted.delivered / _MILLI, 1), round(counted.slowest / _MILLI, 1)


HANDLERS = (list_figures, read_figures)
