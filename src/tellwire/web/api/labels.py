"""Serve `/v1/labels`: the labels that people put on conversations."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import encode
from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.errors import NotFound
from tellwire.model.marks import Colour, Label
from tellwire.model.row_json import instant
from tellwire.stores.queries import labels
from tellwire.web.api.shapes import LINE, Id, NextCursor, When
from tellwire.web.parameters import Cursor, Limit, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import page_response, raw_json_response

_READ = {"scopes": ("read", "inbox")}
_WRITE = {"scopes": ("messages:write",)}
_NOUN = "labels"

LabelName = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=LINE, description="Unique among the organization's labels.")
]


class LabelDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """A label to create."""

    name: LabelName
    colour: Colour = "grey"


class LabelPatch(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a label."""

    name: LabelName | UnsetType = UNSET
    colour: Colour | UnsetType = UNSET


class LabelRead(Struct, kw_only=True):
    """A label."""

    id: Id
    organization_id: Id
    name: str
    colour: Colour
    created_at: When
    updated_at: When


class LabelList(Struct, kw_only=True):
    """A page of labels, newest first."""

    data: list[LabelRead]
    next_cursor: NextCursor


def _shown(label: Label) -> bytes:
    return encode(
        LabelRead(
            id=label.id,
            organization_id=label.organization_id,
            name=label.name,
            colour=label.colour,
            created_at=instant(label.created_at),
            updated_at=instant(label.updated_at),
        )
    )


@get("/labels", summary="List labels", opt=_READ)
async def list_labels(context: ContextDependency, limit: Limit = 50, cursor: Cursor = "") -> Response[LabelList]:
    """The labels of the organization."""
    paging = page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: labels.page(c, context.organization_id, paging))
    return page_response(_NOUN, page, _shown, LabelList)


@post("/labels", summary="Create a label", opt=_WRITE)
async def create_label(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[LabelDraft]
) -> Response[LabelRead]:
    """At most 200 an organization; 409 for a name that another label has."""
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        audit_change = context.audit_change()
        draft = Label(id="", organization_id=context.organization_id, name=data.name, colour=data.colour)

        def work(connection: Connection) -> tuple[Label, bytes]:
            made = labels.add(connection, audit_change, draft)
            return made, _shown(made)

        _, body = await once.write(work)
    return raw_json_response(body, LabelRead, status=201)


@get("/labels/{label_id:str}", summary="Read a label", opt=_READ)
async def read_label(label_id: FromPath[str], context: ContextDependency) -> Response[LabelRead]:
    """One label."""
    name = our_id(label_id, "label")
    return raw_json_response(_shown(await context.read(lambda c: known_label(c, context, name))), LabelRead)


@patch("/labels/{label_id:str}", summary="Change a label", opt=_WRITE)
async def change_label(
    label_id: FromPath[str], context: ContextDependency, data: JSONBody[LabelPatch]
) -> Response[LabelRead]:
    """Give it another name or colour; conversations keep it."""
    name, audit_change = our_id(label_id, "label"), context.audit_change()

    def work(connection: Connection) -> Label:
        label = known_label(connection, context, name)
        wanted = {each: value for each in ("name", "colour") if (value := getattr(data, each)) is not UNSET}
        changed = replace(label, **wanted)
        return label if changed == label else labels.change(connection, audit_change, changed)

    return raw_json_response(_shown(await context.write(work)), LabelRead)


@delete("/labels/{label_id:str}", summary="Delete a label", opt=_WRITE, status_code=204)
async def delete_label(label_id: FromPath[str], context: ContextDependency) -> None:
    """Take it off every conversation and delete it."""
    name, audit_change = our_id(label_id, "label"), context.audit_change()
    await context.write(lambda c: labels.remove(c, audit_change, known_label(c, context, name)))


def known_label(connection: Connection, context: RequestContext, label_id: str) -> Label:
    """Return a label of the caller's organization.

    Raises:
        NotFound: there is none with this id.
    """
    label = labels.get(connection, context.organization_id, label_id)
    if label is None:
        raise NotFound("There is no label with this id.")
    return label


HANDLERS = (list_labels, create_label, read_label, change_label, delete_label)
