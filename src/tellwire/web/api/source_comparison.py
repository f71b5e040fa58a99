"""Serve `/v1/sources/compare`: what one source brought and another did not."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, get
from litestar.params import QueryParameter
from msgspec import Meta, Struct
from msgspec.json import encode

from tellwire.errors import Invalid
from tellwire.model.row_json import instant
from tellwire.model.sources import ENVELOPES, META, WITHOUT_WAMIDS, ItemKind, Source
from tellwire.model.units import DAY, MICROS
from tellwire.stores.queries import source_items
from tellwire.stores.queries.source_items import Comparison, Difference
from tellwire.web.api.shapes import Id, NextCursor, When
from tellwire.web.api.source_names import SourceName, known_source, of_organization
from tellwire.web.parameters import Cursor, Limit, Since, Until, instant_of, place_after, place_cursor
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import raw_json_response

_READ = {"scopes": ("read", "accounts:manage")}
_NOUN = "sources-compare"
_INCOMPARABLE = "The two cannot be compared."

Grace = Annotated[
    int,
    QueryParameter(ge=0, le=86_400, description="Items younger than this are not judged: the other may be on its way."),
]


class DifferenceRead(Struct, kw_only=True):
    """An item that `source` had and `missing_from` had not."""

    source: Annotated[str, Meta(description="The id of the source that had it, or `meta`.")]
    source_name: str
    missing_from: Annotated[str, Meta(description="The id of the one that had not, or `meta`.")]
    missing_from_name: str
    kind: Literal["message", "echo", "status"]
    what: Annotated[str, Meta(description="The message's type, or the name of the status.")]
    account_id: Id
    phone_number_id: str | None
    wamid: Annotated[str | None, Meta(description="Meta's id; null where the POST is gone or its person was erased.")]
    message_id: str | None
    inbound_id: Annotated[Id, Meta(description="The POST that brought it.")]
    received_at: When


class SourceCounts(Struct, kw_only=True):
    """How many items a source brought, and how many of these the other did not."""

    source: str
    source_name: str
    items: int
    only: int


class ComparisonRead(Struct, kw_only=True):
    """A page of the differences, the oldest first. `since` and `until` are the times that were judged: both sources
    were there, and the grace time was over."""

    data: list[DifferenceRead]
    counts: list[SourceCounts]
    since: When
    until: When
    next_cursor: NextCursor


@get("/sources/compare", summary="Compare two sources", opt=_READ)
async def compare_sources(
    context: ContextDependency,
    *,
    a: SourceName = META,
    b: SourceName = "",
    since: Since = "",
    until: Until = "",
    grace_seconds: Grace = 300,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Response[ComparisonRead]:
    """Messages and statuses that one of the two had and the other had not: of the last 24 hours unless `since` says
    otherwise. `b` may be left out where there is one source beside `a`."""
    now = context.services.clock.now()
    first = known_source(context, a, "a")
    second = known_source(context, b, "b") if b else _only_other(context, first)
    if first is second:
        raise Invalid(_INCOMPARABLE, ("/b", "is the same source as a"))
    asked_until, asked_since = instant_of(until, "until"), instant_of(since, "since")
    last = min(now if asked_until is None else asked_until, now - grace_seconds * MICROS)
    begun = max(last - DAY if asked_since is None else asked_since, *(_begun(each) for each in (first, second)))
    names = {_id(each): each.name if each else META for each in (first, second)}
    wanted = Comparison(
        organization_id=context.organization_id,
        a=_id(first),
        b=_id(second),
        since=begun,
        until=last,
        by_content=any(each is not None and each.kind in WITHOUT_WAMIDS for each in (first, second)),
        kinds=_kinds(first, second),
        accounts=_accounts(first, second),
    )
    start = place_after(_NOUN, cursor)
    (found, more), counted = await context.read(
        lambda c: (
            source_items.differences(c, wanted, after=start, limit=limit),
            source_items.counts(c, wanted),
        )
    )
    body = ComparisonRead(
        data=[_shown(each, names) for each in found],
        counts=[
            SourceCounts(source=name, source_name=names[name], items=each.items, only=each.only)
            for name, each in counted.items()
        ],
        since=instant(begun),
        until=instant(max(last, begun)),
        next_cursor=place_cursor(_NOUN, start + limit) if more else None,
    )
    return raw_json_response(encode(body), ComparisonRead)


def _shown(each: Difference, names: dict[str, str]) -> DifferenceRead:
    other = next(name for name in names if name != each.source)
    report = each.report
    return DifferenceRead(
        source=each.source,
        source_name=names[each.source],
        missing_from=other,
        missing_from_name=names[other],
        kind=each.kind,
        what=report.kind if report else "",
        account_id=each.account_id,
        phone_number_id=report.phone_number_id or None if report else None,
        wamid=report.wamid or None if report else None,
        message_id=report.message_id or None if report else None,
        inbound_id=each.inbound_id,
        received_at=instant(each.at),
    )


def _only_other(context: RequestContext, first: Source | None) -> Source | None:
    """Return what is compared with where nothing is named: Meta with a source, or the only source with Meta."""
    if first is not None:
        return None
    sources = of_organization(context)
    if len(sources) != 1:
        raise Invalid(_INCOMPARABLE, ("/b", "is to be named: there is not exactly one source beside Meta"))
    return sources[0]


def _id(source: Source | None) -> str:
    return source.id if source else META


def _begun(source: Source | None) -> int:
    return source.created_at if source else 0


def _kinds(*pair: Source | None) -> tuple[ItemKind, ...]:
    """Return what both tell: those that do not send Meta's envelope tell of what went out otherwise than Meta does."""
    if all(each is None or each.kind in ENVELOPES for each in pair):
        return "message", "echo", "status"
    return "message", "status"


def _accounts(*pair: Source | None) -> frozenset[str] | None:
    """Return the accounts of which both tell; None for all."""
    bound = [frozenset((each.account_id,)) for each in pair if each is not None and each.account_id]
    return frozenset.intersection(*bound) if bound else None
