"""Serve `/settings/me`: the reader's own password and sessions."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post

from tellwire.web.console.api_calls import ApiProblem
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit

_ANYBODY: dict[str, Any] = {"scopes": ()}


@get("/settings/me", opt=_ANYBODY, include_in_schema=False)
async def me(visit: VisitDependency) -> Response[bytes]:
    """Who is logged in, and how."""
    return await _page(visit)


@post("/settings/me/password", opt=_ANYBODY, include_in_schema=False, status_code=303)
async def change_password(request: Request[Any, Any, Any], visit: VisitDependency) -> Response[Any]:
    """Change the reader's own password."""
    form = await request.form()
    names = ("old_password", "new_password")
    try:
        await visit.api.send("POST", "/members/me/password", {name: str(form.get(name, "")) for name in names})
    except ApiProblem as problem:
        return await _page(visit, problem)
    return visit.back("/settings/me", done="password")


@post("/settings/me/end-sessions", opt=_ANYBODY, include_in_schema=False, status_code=303)
async def end_sessions(visit: VisitDependency) -> Response[Any]:
    """End the reader's other sessions."""
    await visit.api.send("POST", "/members/me/end-sessions")
    return visit.back("/settings/me", done="logged_out_elsewhere")


async def _page(visit: Visit, problem: ApiProblem | None = None) -> Response[bytes]:
    own = await visit.api.part("/members/me")
    faults = {} if problem is None else {each["pointer"]: each["message"] for each in problem.errors}
    status = 200 if problem is None else problem.status
    return visit.page("settings_me.html", status=status, own=own.data, problem=problem, faults=faults)


HANDLERS = (me, change_password, end_sessions)
