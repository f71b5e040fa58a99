"""Serve `/v1/login-links`: links that let somebody into the console once, without a password."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.params import JSONBody
from msgspec import Meta, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.errors import Invalid, NotAllowed
from tellwire.model.members import LoginLink
from tellwire.model.row_json import instant
from tellwire.model.units import MINUTE
from tellwire.stores.queries import console_sessions, members
from tellwire.stores.queries.audit import note
from tellwire.web.api.shapes import When
from tellwire.web.console.sessions import digest, secret_of
from tellwire.web.request import ContextDependency
from tellwire.web.responses import raw_json_response

LASTS = 15 * MINUTE


class LoginLinkDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whom the link lets in: a member by email address; without one an operator, who only operators may let in."""

    email: Annotated[str, Meta(max_length=320)] = ""


class LoginLinkMade(Struct, kw_only=True):
    """A link. It works once, until `expires_at`, and is not shown again."""

    url: str
    expires_at: When


@post("/login-links", summary="Make a login link", opt={"scopes": ("admin",)})
async def make_login_link(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[LoginLinkDraft]
) -> Response[LoginLinkMade]:
    """Make a link that lets somebody into the console once, within 15 minutes."""
    if not data.email and not context.caller.operator:
        raise NotAllowed("Only who runs the installation makes links without a member; name one in `email`.")
    secret, audit_change = secret_of(secrets.token_bytes(32)), context.audit_change()
    until = audit_change.at + LASTS

    def work(connection: Connection) -> tuple[None, bytes]:
        member_id = ""
        if data.email:
            member = members.of_email(connection, data.email.strip().lower())
            if member is None or member.organization_id != context.organization_id:
                raise Invalid("There is no such member in this organization.", ("/email", "is no member's"))
            if member.operator and not context.caller.operator:
                raise NotAllowed("Only who runs the installation makes links for members who run it.")
            member_id = member.id
        link = LoginLink(
            hash=digest(secret), organization_id=context.organization_id, member_id=member_id, expires_at=until
        )
        console_sessions.add_link(connection, link)
        note(connection, audit_change, "login_link.created", member_id or "operator")
        url = f"{context.services.settings.base_url}/login/link/{secret}"
        return None, encode(LoginLinkMade(url=url, expires_at=instant(until)))

    async with context.once(request) as once:
        if once.kept:
            return once.kept
        _, body = await once.write(work)
    return raw_json_response(body, LoginLinkMade, status=201)


HANDLERS = (make_login_link,)
