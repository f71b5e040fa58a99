"""Serve `/v1/traffic`: how much goes through, in buckets of time.

Rows are not counted when somebody asks: with millions of messages that is too slow, and an index for it would make
every message slower. Each process counts in memory what it takes, delivers and sends, and loops add that every few
seconds to one row a minute, an hour and a day of each organization (`traffic_counts`). So a span is at most 60 rows by
the primary key. A process that is killed loses the counts of its last seconds; messages themselves are not lost.
"""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, get
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from tellwire.model.row_json import instant
from tellwire.model.time_buckets import BUCKETS
from tellwire.model.units import MICROS
from tellwire.stores.queries import traffic
from tellwire.web.api.shapes import Id, When
from tellwire.web.parameters import choice
from tellwire.web.request import ContextDependency
from tellwire.web.responses import json_response

SpanText = Annotated[
    str,
    QueryParameter(
        schema_extra={"enum": [*BUCKETS]},
        description="60 minutes, 24 hours or 30 days (UTC); the last bucket is the one that is going on.",
    ),
]


class BucketRead(Struct, kw_only=True):
    """What went through in one bucket."""

    start: When
    received: Annotated[int, Meta(description="Messages of customers that Meta delivered.")]
    delivered: Annotated[int, Meta(description="Attempts that a receiver took.")]
    failing: Annotated[int, Meta(description="Attempts that failed.")]
    sent: Annotated[int, Meta(description="Messages that Meta accepted.")]


class TrafficRead(Struct, kw_only=True):
    """What went through the organization, the oldest bucket first."""

    organization_id: Id
    span: Literal["hour", "day", "month"]
    bucket_seconds: int
    buckets: list[BucketRead]


@get("/traffic", summary="How much goes through", opt={"scopes": ("read",)})
async def read_traffic(context: ContextDependency, span: SpanText = "hour") -> Response[TrafficRead]:
    """Messages received, attempts that delivered and that failed, and messages sent, as of some seconds ago."""
    name = choice(span, "span", *BUCKETS) or "hour"
    chosen, now = BUCKETS[name], context.services.clock.now()  # type: ignore[index]
    found = await context.read(lambda c: traffic.of_span(c, context.organization_id, chosen, now))
    buckets = [
        BucketRead(
            start=instant(start),
            received=each.received,
            delivered=each.delivered,
            failing=each.failing,
            sent=each.sent,
        )
        for start, each in found
    ]
    return json_response(
        TrafficRead(
            organization_id=context.organization_id,
            span=name,  # type: ignore[arg-type]
            bucket_seconds=chosen.width // MICROS,
            buckets=buckets,
        )
    )


HANDLERS = (read_traffic,)
