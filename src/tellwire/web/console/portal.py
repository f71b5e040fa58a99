"""Let in who has a portal link: to one organization or one endpoint, for what the link names (`/v1/portal-links`)."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath
from sqlalchemy import Connection

from tellwire.model.members import ConsoleSession
from tellwire.security import portal_tokens, roles
from tellwire.security.portal_tokens import PortalToken
from tellwire.stores.queries import console_sessions, portal_links
from tellwire.web.console.login import VisitDependency, entering, new_cookie
from tellwire.web.console.pages import Visit
from tellwire.web.console.sessions import LASTS_WITHOUT_MEMBER, begun, check_origin, digest_of, session_of
from tellwire.web.request import AppState, StateDependency

_OPEN: dict[str, Any] = {"scopes": ()}


@get("/portal/{token:str}", opt=_OPEN, include_in_schema=False)
async def portal(
    token: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[Any]:
    """Let a guest in. Who is logged in as somebody else is asked first: a link on another site replaces no session."""
    session = await session_of(request, app_state)
    signed = portal_tokens.read(app_state.services.store.registry().media_key, token)
    if session is not None and signed is not None and session.stored.portal_link_id != signed.link_id:
        return visit.page("portal.html", token=token, who=session.access.name)
    return await _enter(token, request, visit, app_state)


@post("/portal/{token:str}", opt=_OPEN, include_in_schema=False, status_code=200)
async def portal_after_asking(
    token: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[Any]:
    """Let a guest in who was asked whether to leave another session."""
    check_origin(request, app_state)
    return await _enter(token, request, visit, app_state)


async def _enter(token: str, request: Request[Any, Any, Any], visit: Visit, app_state: AppState) -> Response[Any]:
    store, now = app_state.services.store, app_state.services.clock.now()
    cookie, instead = new_cookie(), digest_of(request, app_state)
    signed = portal_tokens.read(store.registry().media_key, token)

    frames: tuple[str, ...] = ()

    def begin(connection: Connection) -> ConsoleSession | None:
        nonlocal frames
        link = portal_links.get(connection, signed.organization_id, signed.link_id) if signed else None
        frames = link.origins if link else ()  # a site's frame shows also that a link expired
        if link is None or link.expires_at <= now:
            return None
        until = min(now + LASTS_WITHOUT_MEMBER, link.expires_at)
        access = roles.access_of_portal(link)
        session = begun(link.organization_id, access, cookie, now, until, portal_link_id=link.id)
        console_sessions.begin(connection, session, instead=instead)
        return session

    session = None
    if signed is not None and await store.read(lambda c: _is_known(c, signed)):
        session = await store.write(begin)
    if session is None:
        return visit.page("portal.html", token="", who="", status=410, frames=frames)
    endpoint = session.access.endpoint_id
    return entering(visit, app_state, session, cookie, f"/endpoints/{endpoint}" if endpoint else "/")


def _is_known(connection: Connection, signed: PortalToken) -> bool:
    return portal_links.get(connection, signed.organization_id, signed.link_id) is not None


HANDLERS = (portal, portal_after_asking)
