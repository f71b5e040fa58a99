"""Serve `/settings/keys` and `/settings/portal-links`: what lets in programs, and guests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tellwire.model.members import Named
from tellwire.security.api_keys import SCOPES
from tellwire.web.console.api_calls import ApiProblem
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit
from tellwire.web.request import StateDependency

_ADMIN: dict[str, Any] = {"scopes": ("admin",)}
_KEYS, _LINKS = "/settings/keys", "/settings/portal-links"


@get(_KEYS, opt=_ADMIN, include_in_schema=False)
async def keys(visit: VisitDependency) -> Response[bytes]:
    """Every key, and the form for one more."""
    return await _keys(visit)


@post(_KEYS, opt=_ADMIN, include_in_schema=False, status_code=200)
async def create_key(request: Request[Any, Any, Any], visit: VisitDependency) -> Response[bytes]:
    """Make a key, and show it this once."""
    form = await request.form()
    body = {"name": str(form.get("name", "")), "scopes": [str(each) for each in form.getall("scope", [])]}
    try:
        made = await visit.api.send("POST", "/api-keys", body, once=str(form.get("once", "")))
    except ApiProblem as problem:
        return await _keys(visit, problem=problem, typed=body)
    return await _keys(visit, made=made)


@post(_KEYS + "/{key_id:str}/revoke", opt=_ADMIN, include_in_schema=False, status_code=303)
async def revoke_key(key_id: FromPath[str], visit: VisitDependency) -> Redirect:
    """Revoke a key."""
    await visit.api.send("DELETE", f"/api-keys/{key_id}")
    return visit.back(_KEYS, done="key_revoked")


async def _keys(
    visit: Visit,
    *,
    made: dict[str, Any] | None = None,
    problem: ApiProblem | None = None,
    typed: dict[str, Any] | None = None,
) -> Response[bytes]:
    return visit.page(
        "settings_keys.html",
        status=200 if problem is None else problem.status,
        keys=await visit.api.part("/api-keys", limit=100, cursor=visit.query.get("cursor", "")),
        scopes=SCOPES,
        made=made,
        problem=problem,
        typed=typed or {"name": "", "scopes": ["read"]},
    )


@get(_LINKS, opt=_ADMIN, include_in_schema=False)
async def portal_links(visit: VisitDependency) -> Response[bytes]:
    """Every portal link, and the form for one more."""
    return await _links(visit)


@post(_LINKS, opt=_ADMIN, include_in_schema=False, status_code=200)
async def create_portal_link(
    request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[bytes]:
    """Make a portal link, and show its URL this once."""
    form = await request.form()
    typed = {name: str(form.get(name, "")) for name in ("name", "endpoint_id", "days", "origins")}
    days = min(int(typed["days"]), 10_000) if typed["days"].isascii() and typed["days"].isdigit() else 0
    until = datetime.fromtimestamp(app_state.services.clock.now() / 1_000_000, UTC) + timedelta(days=days)
    body: dict[str, Any] = {
        "name": typed["name"],
        "may": [str(each) for each in form.getall("may", [])],
        "origins": typed["origins"].split(),
        "expires_at": until.isoformat(timespec="seconds"),
    }
    body |= {"endpoint_id": typed["endpoint_id"]} if typed["endpoint_id"] else {}
    try:
        made = await visit.api.send("POST", "/portal-links", body, once=str(form.get("once", "")))
    except ApiProblem as problem:
        return await _links(visit, problem=problem, typed=typed | {"may": body["may"]})
    return await _links(visit, made=made)


@post(_LINKS + "/{portal_link_id:str}/revoke", opt=_ADMIN, include_in_schema=False, status_code=303)
async def revoke_portal_link(portal_link_id: FromPath[str], visit: VisitDependency) -> Redirect:
    """Revoke a portal link."""
    await visit.api.send("DELETE", f"/portal-links/{portal_link_id}")
    return visit.back(_LINKS, done="portal_link_revoked")


async def _links(
    visit: Visit,
    *,
    made: dict[str, Any] | None = None,
    problem: ApiProblem | None = None,
    typed: dict[str, Any] | None = None,
) -> Response[bytes]:
    return visit.page(
        "settings_portal_links.html",
        status=200 if problem is None else problem.status,
        links=await visit.api.part("/portal-links", limit=100, cursor=visit.query.get("cursor", "")),
        endpoints=await visit.api.part("/webhook-endpoints", limit=100),
        named=get_args(Named),
        made=made,
        problem=problem,
        typed=typed or {"name": "", "endpoint_id": "", "days": "7", "origins": "", "may": []},
    )


HANDLERS = (keys, create_key, revoke_key, portal_links, create_portal_link, revoke_portal_link)
