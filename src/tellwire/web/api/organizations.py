"""Serve `/v1/organizations`: the tenants of an installation."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from msgspec.json import encode

from tellwire.errors import NotAllowed, NotFound
from tellwire.model.row_json import instant
from tellwire.model.tenancy import Organization
from tellwire.stores.queries import organizations
from tellwire.web.api.shapes import LINE, Id, NextCursor, When
from tellwire.web.parameters import Cursor, Limit, our_id, page_request
from tellwire.web.request import ContextDependency
from tellwire.web.responses import page_response, raw_json_response

_ADMIN = {"scopes": ("admin",)}
_NOUN = "organizations"


class OrganizationDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """An organization to create."""

    name: Annotated[str, Meta(min_length=1, max_length=256, pattern=LINE)]


class OrganizationRead(Struct, kw_only=True):
    """An organization."""

    id: Id
    name: str
    created_at: When


class OrganizationList(Struct, kw_only=True):
    """A page of organizations, newest first."""

    data: list[OrganizationRead]
    next_cursor: NextCursor


def _shown(organization: Organization) -> bytes:
    return encode(
        OrganizationRead(id=organization.id, name=organization.name, created_at=instant(organization.created_at))
    )


@get("/organizations", summary="List organizations", opt=_ADMIN)
async def list_organizations(
    context: ContextDependency, limit: Limit = 50, cursor: Cursor = ""
) -> Response[OrganizationList]:
    """Every organization for who runs the installation, else the key's own."""
    only = "" if context.caller.operator else context.organization_id
    page = await context.read(lambda c: organizations.page(c, page_request(_NOUN, limit, cursor), only=only))
    return page_response(_NOUN, page, _shown, OrganizationList)


@post("/organizations", summary="Create an organization", opt=_ADMIN)
async def create_organization(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[OrganizationDraft]
) -> Response[OrganizationRead]:
    """Only who runs the installation may: ADMIN_KEY, or an operator's key."""
    if not context.caller.operator:
        raise NotAllowed("Only who runs the installation makes organizations.")
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        audit_change = context.audit_change()
        _, body = await once.write(lambda c: _made(organizations.add(c, audit_change, data.name)))
    return raw_json_response(body, OrganizationRead, status=201)


@get("/organizations/{organization_id:str}", summary="Read an organization", opt=_ADMIN)
async def read_organization(organization_id: FromPath[str], context: ContextDependency) -> Response[OrganizationRead]:
    """One organization."""
    name = our_id(organization_id, "organization")
    seen = context.caller.operator or name == context.organization_id
    organization = await context.read(lambda c: organizations.get(c, name)) if seen else None
    if organization is None:
        raise NotFound("There is no organization with this id.")
    return raw_json_response(_shown(organization), OrganizationRead)


def _made(organization: Organization) -> tuple[Organization, bytes]:
    return organization, _shown(organization)


HANDLERS = (list_organizations, create_organization, read_organization)
