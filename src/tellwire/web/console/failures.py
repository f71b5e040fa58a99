"""Serve `/failures`: what is broken, by endpoint and cause, and the one button that sends all of it again."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from tellwire.web.console.api_calls import ApiProblem
from tellwire.web.console.causes import advice, grouped, lasting
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit

_READ = {"scopes": ("read", "deliveries:replay")}
_REPLAY = {"scopes": ("deliveries:replay",)}
_STATES = ("open", "acknowledged", "resolved", "all")
_ORDER = {"open": 0, "acknowledged": 1, "resolved": 2}


@get("/failures", opt=_READ, include_in_schema=False)
async def failures(visit: VisitDependency) -> Response[bytes]:
    """What is broken, the worst first."""
    chosen = visit.query.get("state", "open")
    state = chosen if chosen in _STATES else "open"
    wanted = {"state": "" if state == "all" else state, "cursor": visit.query.get("cursor", "")}
    part = await visit.api.part("/failures", limit=25, endpoint_id=visit.query.get("endpoint_id", ""), **wanted)
    rows = sorted(part.data["data"], key=lambda row: row["last_at"], reverse=True) if part.data else []
    rows.sort(key=lambda row: _ORDER[row["state"]])
    following = part.data["next_cursor"] if part.data else None
    return visit.page(
        "failures.html", part=part, rows=list(map(_told, rows)), state=state, states=_STATES, following=following
    )


@get("/failures/{failure_id:str}", opt=_READ, include_in_schema=False)
async def failure(failure_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """One failure: what a replay of all of it would do, what somebody says of it, and its newest deliveries."""
    return await _page(visit, failure_id)


@post("/failures/{failure_id:str}/replay", opt=_REPLAY, status_code=303, include_in_schema=False)
async def replay(failure_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency) -> Response[Any]:
    """Send all that was given up once more."""
    form = await request.form()
    body = {"new_id": form.get("new_id") == "yes"}
    try:
        await visit.api.send("POST", f"/failures/{failure_id}/replay", body, once=str(form.get("once", "")))
    except ApiProblem as problem:
        if problem.status != 409:
            raise
        return await _page(visit, failure_id, problem=problem.detail, status=409)
    return visit.back(f"/failures/{failure_id}", done="replay_begun")


@post("/failures/{failure_id:str}/acknowledge", opt=_REPLAY, status_code=303, include_in_schema=False)
async def acknowledge(
    failure_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency
) -> Response[Any]:
    """Say that somebody deals with it."""
    note = str((await request.form()).get("note", "")).strip()
    try:
        await visit.api.send("POST", f"/failures/{failure_id}/acknowledge", {"note": note})
    except ApiProblem as problem:
        if problem.status != 422:
            raise
        words = problem.errors[0]["message"] if problem.errors else problem.detail
        return await _page(visit, failure_id, note=note, note_problem=words, status=422)
    return visit.back(f"/failures/{failure_id}", done="saved")


@post("/failures/{failure_id:str}/resolve", opt=_REPLAY, status_code=303, include_in_schema=False)
async def resolve(failure_id: FromPath[str], visit: VisitDependency) -> Response[Any]:
    """Say that it is over."""
    await visit.api.send("POST", f"/failures/{failure_id}/resolve")
    return visit.back(f"/failures/{failure_id}", done="saved")


async def _page(
    visit: Visit, failure_id: str, *, problem: str = "", note: str = "", note_problem: str = "", status: int = 200
) -> Response[bytes]:
    row = await visit.api.get(f"/failures/{failure_id}")
    newest = await visit.api.part("/deliveries", failure_id=failure_id, limit=10)
    return visit.page(
        "failure.html",
        status=status,
        row=_told(row),
        newest=newest,
        problem=problem,
        note=note or row["note"] or "",
        note_problem=note_problem,
    )


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Return a failure with what is said of it in words."""
    pace = row["replays_per_second"]
    running = row["replay"] is not None and row["replay"]["state"] in ("queued", "running")
    return row | {
        "advice": advice(row["failure"]),
        "again": bool(row["accepted_at"] and row["accepted_at"] > row["last_at"]),
        "running": running,
        "pace": grouped(pace) if pace >= 1 else f"{pace:.2g}",
        "takes": lasting(row["failed"] / pace),
    }


HANDLERS = (failures, failure, replay, acknowledge, resolve)
