"""Serve `/settings/members`: who may use the console."""

from __future__ import annotations

from typing import Any, get_args

from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tellwire.model.members import Role
from tellwire.web.console.api_calls import ApiProblem
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit

_ADMIN: dict[str, Any] = {"scopes": ("admin",)}
_PATH = "/settings/members"
_FIELDS = ("email", "name", "role", "password")
_ROLES: tuple[Role, ...] = get_args(Role)


@get("/settings", opt={"scopes": ()}, include_in_schema=False)
async def settings(visit: VisitDependency) -> Redirect:
    """Lead to the first of the settings that the reader has."""
    return visit.back(_PATH if visit.may("admin") else "/settings/me")


@get(_PATH, opt=_ADMIN, include_in_schema=False)
async def members(visit: VisitDependency) -> Response[bytes]:
    """Everybody, and the form for one more."""
    return await _list(visit)


@post(_PATH, opt=_ADMIN, include_in_schema=False, status_code=303)
async def add_member(request: Request[Any, Any, Any], visit: VisitDependency) -> Response[Any]:
    """Make a member."""
    form = await request.form()
    typed = {name: str(form.get(name, "")) for name in _FIELDS}
    body = {name: value for name, value in typed.items() if value}
    try:
        await visit.api.send("POST", "/members", body, once=str(form.get("once", "")))
    except ApiProblem as problem:
        return await _list(visit, problem, typed | {"password": ""})
    return visit.back(_PATH, done="member_added")


@get(_PATH + "/{member_id:str}", opt=_ADMIN, include_in_schema=False)
async def member(member_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """One member, and what can be done about it."""
    return await _one(visit, member_id)


@post(_PATH + "/{member_id:str}", opt=_ADMIN, include_in_schema=False, status_code=303)
async def change_member(
    member_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency
) -> Response[Any]:
    """Change a member's name, role or password."""
    form = await request.form()
    body: dict[str, Any] = {name: str(form.get(name, "")) for name in ("name", "role")}
    body["bodies"] = "bodies" in form
    if form.get("password"):
        body["password"] = str(form["password"])
    try:
        await visit.api.send("PATCH", f"/members/{member_id}", body)
    except ApiProblem as problem:
        return await _one(visit, member_id, problem)
    return visit.back(f"{_PATH}/{member_id}", done="member_changed")


@post(_PATH + "/{member_id:str}/unlock", opt=_ADMIN, include_in_schema=False, status_code=303)
async def unlock_member(member_id: FromPath[str], visit: VisitDependency) -> Redirect:
    """Let a member try passwords again."""
    await visit.api.send("PATCH", f"/members/{member_id}", {"unlock": True})
    return visit.back(f"{_PATH}/{member_id}", done="member_unlocked")


@post(_PATH + "/{member_id:str}/end-sessions", opt=_ADMIN, include_in_schema=False, status_code=303)
async def end_sessions(member_id: FromPath[str], visit: VisitDependency) -> Redirect:
    """Log a member out everywhere."""
    await visit.api.send("POST", f"/members/{member_id}/end-sessions")
    return visit.back(f"{_PATH}/{member_id}", done="member_logged_out")


@post(_PATH + "/{member_id:str}/login-link", opt=_ADMIN, include_in_schema=False, status_code=200)
async def make_login_link(member_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """Show a link that lets the member in once."""
    known = await visit.api.get(f"/members/{member_id}")
    link = await visit.api.send("POST", "/login-links", {"email": known["email"]})
    return await _one(visit, member_id, link=link)


@post(_PATH + "/{member_id:str}/delete", opt=_ADMIN, include_in_schema=False, status_code=303)
async def delete_member(member_id: FromPath[str], visit: VisitDependency) -> Response[Any]:
    """Delete a member."""
    try:
        await visit.api.send("DELETE", f"/members/{member_id}")
    except ApiProblem as problem:
        if problem.kind != "last-owner":
            raise
        return await _one(visit, member_id, problem)
    return visit.back(_PATH, done="member_deleted")


async def _list(
    visit: Visit, problem: ApiProblem | None = None, typed: dict[str, str] | None = None
) -> Response[bytes]:
    page = await visit.api.part("/members", limit=100, cursor=visit.query.get("cursor", ""))
    return visit.page(
        "settings_members.html",
        status=200 if problem is None else problem.status,
        members=page,
        problem=problem,
        typed=typed or dict.fromkeys(_FIELDS, ""),
        roles=_ROLES,
    )


async def _one(
    visit: Visit, member_id: str, problem: ApiProblem | None = None, link: dict[str, str] | None = None
) -> Response[bytes]:
    return visit.page(
        "settings_member.html",
        status=200 if problem is None else problem.status,
        member=await visit.api.get(f"/members/{member_id}"),
        problem=problem,
        link=link,
        roles=_ROLES,
    )


HANDLERS = (
    settings,
    members,
    add_member,
    member,
    change_member,
    unlock_member,
    end_sessions,
    make_login_link,
    delete_member,
)
