"""Serve `/v1/login-links`: links that let somebody into the console once, without a password."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.errors import Invalid, NotAllowed, NotFound
from tellwire.model.members import LoginLink, email_of
from tellwire.model.row_json import instant
from tellwire.model.units import MINUTE
from tellwire.security.console_secrets import digest, secret_of
from tellwire.stores.queries import console_sessions, members
from tellwire.web.api.shapes import LINE, Id, NextCursor, When
from tellwire.web.parameters import Cursor, Limit, our_id, page_request
from tellwire.web.request import ContextDependency
from tellwire.web.responses import joined, page_response, raw_json_response

LASTS = 15 * MINUTE
_ADMIN = {"scopes": ("admin",)}
_NOUN = "login-links"


class LoginLinkDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whom the link lets in: a member by email address; without one an operator, who only operators may let in."""

    email: Annotated[str, Meta(max_length=254, pattern=LINE)] = ""


class LoginLinkRead(Struct, kw_only=True):
    """A link that nobody used yet; `member_id` is null where it lets in who runs the installation."""

    id: Id
    organization_id: Id
    member_id: Id | None
    created_at: When
    expires_at: When


class LoginLinkMade(LoginLinkRead, kw_only=True):
    """A new link: `url` works once, until `expires_at`, and is shown this once."""

    url: str


class LoginLinkList(Struct, kw_only=True):
    """A page of login links, newest first."""

    data: list[LoginLinkRead]
    next_cursor: NextCursor


def _shown(link: LoginLink) -> bytes:
    return encode(
        LoginLinkRead(
            id=link.id,
            organization_id=link.organization_id,
            member_id=link.member_id or None,
            created_at=instant(link.created_at),
            expires_at=instant(link.expires_at),
        )
    )


@get("/login-links", summary="List login links", opt=_ADMIN)
async def list_login_links(
    context: ContextDependency, limit: Limit = 50, cursor: Cursor = ""
) -> Response[LoginLinkList]:
    """The links that still let somebody in; those of no member only for an operator."""
    paging, operators, now = page_request(_NOUN, limit, cursor), context.caller.operator, context.services.clock.now()
    page = await context.read(
        lambda c: console_sessions.links_page(c, context.organization_id, now, paging, operators=operators)
    )
    return page_response(_NOUN, page, _shown, LoginLinkList)


@post("/login-links", summary="Make a login link", opt=_ADMIN)
async def make_login_link(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[LoginLinkDraft]
) -> Response[LoginLinkMade]:
    """Make a link that lets somebody into the console once, within 15 minutes, also a member who is locked out."""
    if not data.email and not context.caller.operator:
        raise NotAllowed("Only who runs the installation makes links without a member; name one in `email`.")
    secret, audit_change = secret_of(secrets.token_bytes(32)), context.audit_change()

    def work(connection: Connection) -> tuple[None, bytes]:
        member_id = ""
        if data.email:
            member = members.of_email(connection, email_of(data.email))
            hidden = member is not None and member.operator and not context.caller.operator
            if member is None or member.organization_id != context.organization_id or hidden:
                raise Invalid("There is no such member in this organization.", ("/email", "is no member's"))
            member_id = member.id
        link = LoginLink(
            id="",
            organization_id=context.organization_id,
            hash=digest(secret),
            member_id=member_id,
            created_at=audit_change.at,
            expires_at=audit_change.at + LASTS,
        )
        url = f"{context.services.settings.base_url}/login/link/{secret}"
        return None, joined(_shown(console_sessions.add_link(connection, audit_change, link)), {"url": url})

    async with context.once(request) as once:
        if once.kept:
            return once.kept
        _, body = await once.write(work)
    return raw_json_response(body, LoginLinkMade, status=201)


@get("/login-links/{login_link_id:str}", summary="Read a login link", opt=_ADMIN)
async def read_login_link(login_link_id: FromPath[str], context: ContextDependency) -> Response[LoginLinkRead]:
    """A link that nobody used yet, without its URL."""
    name, operators, now = our_id(login_link_id, "login link"), context.caller.operator, context.services.clock.now()
    link = await context.read(
        lambda c: console_sessions.get_link(c, context.organization_id, name, now, operators=operators)
    )
    if link is None:
        raise NotFound("There is no login link with this id.")
    return raw_json_response(_shown(link), LoginLinkRead)


@delete("/login-links/{login_link_id:str}", summary="Revoke a login link", opt=_ADMIN, status_code=204)
async def revoke_login_link(login_link_id: FromPath[str], context: ContextDependency) -> None:
    """Revoke a link that nobody used yet."""
    name, audit_change, operators = our_id(login_link_id, "login link"), context.audit_change(), context.caller.operator
    if not await context.write(lambda c: console_sessions.revoke_link(c, audit_change, name, operators=operators)):
        raise NotFound("There is no login link with this id.")


HANDLERS = (list_login_links, make_login_link, read_login_link, revoke_login_link)
