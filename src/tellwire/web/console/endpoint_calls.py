"""Take what is done to an endpoint from its page: rotate, test, pause, resume and recover."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.params import FromPath

from tellwire.web.console import endpoint_charts
from tellwire.web.console.api_calls import ApiProblem
from tellwire.web.console.endpoint import path_of
from tellwire.web.console.endpoint_form import field_errors
from tellwire.web.console.endpoints import MANAGE, OPERATES, with_secret
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit
from tellwire.web.request import AppState, StateDependency

_OPERATE = {"scopes": OPERATES}
_OVERLAP = 24
"""Hours for which the old secret signs as well, unless another number is chosen."""
_MOST_DIGITS = 6


@get("/endpoints/{endpoint_id:str}/rotate", opt=MANAGE, include_in_schema=False)
async def rotate_page(endpoint_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """The form for a new secret."""
    return await _again(visit, endpoint_id, "rotate", {"hours": _OVERLAP})


@post("/endpoints/{endpoint_id:str}/rotate", opt=MANAGE, include_in_schema=False, status_code=200)
async def rotate_secret(
    endpoint_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[Any]:
    """Give an endpoint a new secret, which the next page shows once."""
    form = await request.form()
    text = str(form.get("hours", ""))
    hours = int(text) if text.isascii() and text.isdecimal() and len(text) < _MOST_DIGITS else _OVERLAP
    body: dict[str, Any] = {"overlap_seconds": hours * 3600}
    if secret := str(form.get("secret", "")):
        body["secret"] = secret
    path = path_of(endpoint_id)
    try:
        made = await visit.api.send("POST", f"{path}/rotate-secret", body, once=str(form.get("once", "")))
    except ApiProblem as problem:
        return await _again(visit, endpoint_id, "rotate", {"hours": hours}, problem)
    shown = {"secret": made["secret"], "whsec_secret": made["whsec_secret"]}
    return with_secret(visit, app_state, made["id"], shown)


async def _again(
    visit: Visit, endpoint_id: str, form: str, typed: dict[str, Any], problem: ApiProblem | None = None
) -> Response[bytes]:
    """Show a form by itself, with what was typed into it and what was wrong with that."""
    if problem is not None and problem.status not in (409, 422):
        raise problem
    endpoint = await visit.api.get(path_of(endpoint_id))
    return visit.page(
        "endpoint_again.html",
        status=problem.status if problem else 200,
        endpoint=endpoint,
        form=form,
        typed=typed,
        errors=field_errors(problem.errors) if problem else {},
        detail=problem.detail if problem else "",
    )


@get("/endpoints/{endpoint_id:str}/test", opt=_OPERATE, include_in_schema=False)
async def test_page(endpoint_id: FromPath[str], visit: VisitDependency, app_state: StateDependency) -> Response[bytes]:
    """Which event to test with."""
    return await _test_page(visit, app_state, endpoint_id)


@post("/endpoints/{endpoint_id:str}/test", opt=_OPERATE, include_in_schema=False, status_code=200)
async def send_test(
    endpoint_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[bytes]:
    """Send a test event, and show in words what came back."""
    name = str((await request.form()).get("event", ""))
    try:
        result = await visit.api.send("POST", f"{path_of(endpoint_id)}/test", {"event": name})
    except ApiProblem as problem:
        if problem.status != 422:
            raise
        return await _test_page(visit, app_state, endpoint_id, chosen=name, problem=problem)
    return await _test_page(visit, app_state, endpoint_id, chosen=name, result=result)


async def _test_page(
    visit: Visit,
    app_state: AppState,
    endpoint_id: str,
    *,
    chosen: str = "",
    result: dict[str, Any] | None = None,
    problem: ApiProblem | None = None,
) -> Response[bytes]:
    endpoint = await visit.api.get(path_of(endpoint_id))
    form = app_state.services.formats[endpoint["format"]]
    return visit.page(
        "endpoint_test.html",
        status=problem.status if problem else 200,
        endpoint=endpoint,
        names=[name for name in form.EVENTS if name not in form.UNSENT],
        chosen=chosen,
        result=result,
        problem=problem.errors[0]["message"] if problem and problem.errors else problem.detail if problem else "",
        charts=endpoint_charts,
    )


@post("/endpoints/{endpoint_id:str}/pause", opt=_OPERATE, include_in_schema=False, status_code=303)
async def pause(endpoint_id: FromPath[str], visit: VisitDependency) -> Response[Any]:
    """Stop delivering."""
    await visit.api.send("POST", f"{path_of(endpoint_id)}/pause")
    return _back(visit, endpoint_id, "endpoint_paused")


@post("/endpoints/{endpoint_id:str}/resume", opt=_OPERATE, include_in_schema=False, status_code=303)
async def resume(endpoint_id: FromPath[str], visit: VisitDependency) -> Response[Any]:
    """Deliver again."""
    await visit.api.send("POST", f"{path_of(endpoint_id)}/resume")
    return _back(visit, endpoint_id, "endpoint_resumed")


@get("/endpoints/{endpoint_id:str}/recover", opt=_OPERATE, include_in_schema=False)
async def recover_page(endpoint_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """The form for a recovery."""
    typed = {"since": "", "until": "", "include": "failed", "new_id": ""}
    return await _again(visit, endpoint_id, "recover", typed)


@post("/endpoints/{endpoint_id:str}/recover", opt=_OPERATE, include_in_schema=False, status_code=200)
async def recover(endpoint_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency) -> Response[Any]:
    """Deliver once more what the endpoint missed."""
    form = await request.form()
    typed = {name: str(form.get(name, "")) for name in ("since", "until", "include", "new_id")}
    body: dict[str, Any] = {"since": _instant(typed["since"]), "include": typed["include"]}
    if typed["until"]:
        body["until"] = _instant(typed["until"])
    body["new_id"] = bool(typed["new_id"])
    try:
        await visit.api.send("POST", f"{path_of(endpoint_id)}/recover", body, once=str(form.get("once", "")))
    except ApiProblem as problem:
        return await _again(visit, endpoint_id, "recover", typed, problem)
    return _back(visit, endpoint_id, "recovery_begun")


@post(
    "/endpoints/{endpoint_id:str}/recover/{job_id:str}/cancel", opt=_OPERATE, include_in_schema=False, status_code=303
)
async def cancel_recovery(endpoint_id: FromPath[str], job_id: FromPath[str], visit: VisitDependency) -> Response[Any]:
    """Make nothing more due."""
    await visit.api.send("POST", f"{path_of(endpoint_id)}/recover/{quote(job_id, safe='')}/cancel")
    return _back(visit, endpoint_id, "recovery_cancelled")


def _instant(text: str) -> str:
    """Return what a field of date and time gives, in UTC, as a time of the API, which judges anything else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def _back(visit: Visit, endpoint_id: str, done: str) -> Response[Any]:
    return visit.back(f"/endpoints/{quote(endpoint_id, safe='')}", done=done)


HANDLERS = (
    rotate_page,
    rotate_secret,
    test_page,
    send_test,
    pause,
    resume,
    recover_page,
    recover,
    cancel_recovery,
)
