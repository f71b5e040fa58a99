"""Serve `/v1/inbound`: POSTs of Meta's and of other sources as they were received, and the outcome of each item.

An organization sees its own items and its own part of the body, an operator sees all of a POST.
"""

from __future__ import annotations

import base64
from collections import Counter
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Raw, Struct
from msgspec.json import encode

from tellwire.errors import Invalid, NotFound
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.own_part import own_part
from tellwire.model.inbound import Inbound, ItemReport, Outcome, seen_by
from tellwire.model.row_json import instant
from tellwire.stores.queries import inbound_posts
from tellwire.web.api.shapes import Id, NextCursor, When
from tellwire.web.api.source_names import SourceName, source_of
from tellwire.web.parameters import (
    Cursor,
    Limit,
    OutcomeName,
    Since,
    choice,
    instant_of,
    our_id,
    page_request,
    place_after,
    place_cursor,
)
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import joined, page_body, page_response, raw_json_response

_READ = {"scopes": ("read", "deliveries:replay")}
_REAPPLY = {"scopes": ("deliveries:replay",)}
_NOUN = "inbound"
_WAITING = (Outcome.HELD, Outcome.UNROUTED, Outcome.NOT_UNDERSTOOD)
_SHOWN = 20
"""The most items that are shown with a POST; `/items` pages through all of them."""


class ItemRead(Struct, kw_only=True):
    """What became of one item of a POST; `pointer` leads to it in the body, `reason` says why in plain words."""

    pointer: str
    field: str
    kind: str
    wamid: str | None
    phone_number_id: str | None
    outcome: Outcome
    reason: str
    message_id: str | None


class InboundRead(Struct, kw_only=True):
    """A POST from Meta, or the caller's part of it; its outcome is its worst item's. No organization: it is nobody's,
    or several's."""

    id: Id
    organization_id: str | None
    source_id: Annotated[str | None, Meta(description="The source that sent it; null for Meta.")]
    received_at: When
    outcome: Outcome
    item_counts: Annotated[dict[Outcome, int], Meta(description="How many items have each outcome.")]
    items: Annotated[list[ItemRead], Meta(description=f"The first {_SHOWN} items; `/v1/inbound/{{id}}/items` has all.")]


class InboundWithBody(InboundRead, kw_only=True):
    """A POST from Meta with its body: as JSON, or in `body_base64` what only our parser understood."""

    body: Any
    body_base64: str | None


class InboundList(Struct, kw_only=True):
    """A page of POSTs, newest first."""

    data: list[InboundRead]
    next_cursor: NextCursor


class ItemList(Struct, kw_only=True):
    """A page of the items of a POST, in the order in which they were applied."""

    data: list[ItemRead]
    next_cursor: NextCursor


class Reapply(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which items to apply again, by their pointers; those that wait or were not understood unless given."""

    pointers: list[str] | None = None


def _item(item: ItemReport) -> ItemRead:
    return ItemRead(
        pointer=item.pointer,
        field=item.field,
        kind=item.kind,
        wamid=item.wamid or None,
        phone_number_id=item.phone_number_id or None,
        outcome=item.outcome,
        reason=item.reason,
        message_id=item.message_id or None,
    )


def _shown(inbound: Inbound) -> bytes:
    return encode(
        InboundRead(
            id=inbound.id,
            organization_id=inbound.organization_id or None,
            source_id=inbound.source_id or None,
            received_at=instant(inbound.received_at),
            outcome=inbound.outcome,
            item_counts=dict(Counter(item.outcome for item in inbound.items)),
            items=[_item(item) for item in inbound.items[:_SHOWN]],
        )
    )


def _body(body: bytes) -> dict[str, Any]:
    if verbatim.read(body)[1]:
        return {"body": None, "body_base64": base64.b64encode(body).decode()}
    return {"body": Raw(body), "body_base64": None}


@get("/inbound", summary="List received POSTs", opt=_READ)
async def list_inbound(
    context: ContextDependency,
    *,
    limit: Limit = 50,
    cursor: Cursor = "",
    outcome: OutcomeName = "",
    since: Since = "",
    source: SourceName = "",
) -> Response[InboundList]:
    """What Meta and other sources sent for the organization, its own part of each POST; an operator also sees what is
    no single organization's, and all of it."""
    paging, from_ = page_request(_NOUN, limit, cursor), instant_of(since, "since")
    wanted, whole = choice(outcome, "outcome", *Outcome), context.caller.operator
    source_id = source_of(context, source) if source else None
    page = await context.read(
        lambda c: inbound_posts.page(
            c, context.organization_id, paging, whole=whole, outcome=wanted, from_=from_, source_id=source_id
        )
    )
    return page_response(_NOUN, page, lambda each: _shown(_seen(context, each)), InboundList)


@get("/inbound/{inbound_id:str}", summary="Read a received POST", opt=_READ)
async def read_inbound(inbound_id: FromPath[str], context: ContextDependency) -> Response[InboundWithBody]:
    """One POST with its first items and its body; for an organization that is the part about its own numbers, with null
    for the rest."""
    inbound = await _known(context, inbound_id)
    seen = _seen(context, inbound)

    def shown() -> bytes:
        body = inbound.body if context.caller.operator else _own_body(inbound, seen)
        return joined(_shown(seen), _body(body))

    return raw_json_response(await context.aside(shown), InboundWithBody)


@get("/inbound/{inbound_id:str}/items", summary="List the items of a received POST", opt=_READ)
async def list_inbound_items(
    inbound_id: FromPath[str], context: ContextDependency, limit: Limit = 50, cursor: Cursor = ""
) -> Response[ItemList]:
    """What became of each item, in the order in which they were applied."""
    items = _seen(context, await _known(context, inbound_id, body=False)).items
    noun = f"{_NOUN}-items {inbound_id}"
    start = place_after(noun, cursor)
    shown, rest = items[start : start + limit], len(items) > start + limit
    rows = (encode(_item(item)) for item in shown)
    return raw_json_response(page_body(rows, place_cursor(noun, start + limit) if rest else None), ItemList)


@post("/inbound/{inbound_id:str}/reapply", summary="Apply items again", opt=_REAPPLY, status_code=202)
async def reapply_inbound(
    inbound_id: FromPath[str], context: ContextDependency, data: JSONBody[Reapply | None] = None
) -> Response[InboundRead]:
    """Apply items once more: what they waited for is there now, or Tellwire understands more. What was applied
    already is a `duplicate` and changes nothing."""
    inbound = await _known(context, inbound_id)
    known = {item.pointer: item for item in _seen(context, inbound).items}
    if data is not None and data.pointers is not None:
        wanted = frozenset(data.pointers)
        faults = [
            (f"/pointers/{index}", "is no item of this POST")
            for index, pointer in enumerate(data.pointers)
            if pointer not in known
        ]
        if faults:
            raise Invalid("There are no such items.", *faults)
    else:
        wanted = frozenset(pointer for pointer, item in known.items() if item.outcome in _WAITING)
    if wanted:
        await context.services.ingest.reapply(inbound, wanted, whose=context.organization_id)
    after = _seen(context, await _known(context, inbound_id, body=False))
    return raw_json_response(_shown(after), InboundRead, status=202)


async def _known(context: RequestContext, inbound_id: str, *, body: bool = True) -> Inbound:
    name = our_id(inbound_id, "received POST")
    inbound = await context.read(
        lambda c: inbound_posts.get(c, context.organization_id, name, whole=context.caller.operator, body=body)
    )
    if inbound is None:
        raise NotFound("There is no received POST with this id.")
    return inbound


def _seen(context: RequestContext, inbound: Inbound) -> Inbound:
    """Return the POST with the reports that the caller sees."""
    return inbound if context.caller.operator else seen_by(inbound, context.organization_id)


def _own_body(inbound: Inbound, seen: Inbound) -> bytes:
    own = {item.pointer for item in seen.items}
    return own_part(inbound.body, own, [item.pointer for item in inbound.items])


HANDLERS = (list_inbound, read_inbound, list_inbound_items, reapply_inbound)
