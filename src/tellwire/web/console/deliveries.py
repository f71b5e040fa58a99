"""Serve `/deliveries`: what was sent to whom, every attempt, and sending it again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath

from tellwire.model.deliveries import DeliveryState
from tellwire.model.row_json import instant
from tellwire.model.units import DAY, HOUR
from tellwire.web.console.api_calls import ApiProblem, Part
from tellwire.web.console.attempt_view import curl, drawn_width, indented, phases
from tellwire.web.console.causes import advice
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit
from tellwire.web.console.words import words
from tellwire.web.request import StateDependency

_READ = {"scopes": ("read", "deliveries:replay")}
_REPLAY = {"scopes": ("deliveries:replay",)}
_SPANS = {"hour": HOUR, "day": DAY, "week": 7 * DAY}
_FILTERS = ("endpoint_id", "state", "contact", "conversation_id", "message_id", "webhook_id", "failure_id")
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")
_MOST_CHOSEN = 200


@get("/deliveries", opt=_READ, include_in_schema=False)
async def deliveries(visit: VisitDependency, app_state: StateDependency) -> Response[bytes]:
    """What was sent to whom, newest first; the filters stand in the address."""
    query = visit.query
    chosen = {name: query.get(name, "").strip() for name in _FILTERS}
    span = query.get("last", "")
    since, until = _time(query.get("since", "")), _time(query.get("until", ""))
    if span in _SPANS:
        since = instant(app_state.services.clock.now() - _SPANS[span])
    part = await _listed(visit, since=since, until=until, cursor=query.get("cursor", ""), **chosen)
    endpoints = await visit.api.part("/webhook-endpoints", limit=200)
    filtered = any(chosen.values()) or bool(since or until)
    return visit.page(
        "deliveries.html",
        part=part,
        endpoints=endpoints.data["data"] if endpoints.data else [],
        chosen=chosen,
        since=query.get("since", ""),
        until=query.get("until", ""),
        span=span if span in _SPANS else "",
        spans=("", *_SPANS),
        filtered=filtered,
        detailed=bool(since and not span) or bool(until) or any(chosen[name] for name in _FILTERS[2:]),
        states=[*DeliveryState],
        live_page=not query.get("cursor"),
    )


@post("/deliveries/selected", opt=_REPLAY, status_code=200, include_in_schema=False)
async def selected(request: Request[Any, Any, Any], visit: VisitDependency) -> Response[bytes]:
    """Ask before those that are chosen are replayed, with what will happen in numbers."""
    return await _confirmation(visit, _ids(await request.form()))


@post("/deliveries/replay", opt=_REPLAY, status_code=303, include_in_schema=False)
async def replay_selected(request: Request[Any, Any, Any], visit: VisitDependency) -> Response[Any]:
    """Replay those that are chosen, oldest first."""
    form = await request.form()
    ids = _ids(form)
    body = {"ids": sorted(ids), "new_id": form.get("new_id") == "yes"}
    try:
        await visit.api.send("POST", "/deliveries/replay", body, once=str(form.get("once", "")))
    except ApiProblem as problem:
        if problem.status not in (409, 422):
            raise
        return await _confirmation(visit, ids, problem=_said(problem), status=problem.status)
    return visit.back("/deliveries", done="replayed")


@get("/deliveries/{delivery_id:str}", opt=_READ, include_in_schema=False)
async def delivery(delivery_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """One delivery: its attempts, and one of them in full."""
    return await _page(visit, delivery_id)


@post("/deliveries/{delivery_id:str}/replay", opt=_REPLAY, status_code=303, include_in_schema=False)
async def replay(delivery_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency) -> Response[Any]:
    """Send it once more as it is."""
    form = await request.form()
    wanted = {"new_id": form.get("new_id") == "yes"}
    return await _replayed(visit, delivery_id, wanted, once=str(form.get("once", "")))


@post("/deliveries/{delivery_id:str}/edited-replay", opt=_REPLAY, status_code=303, include_in_schema=False)
async def edited_replay(
    delivery_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency
) -> Response[Any]:
    """Send it once more to another URL or with another body; what was not changed stays as it is."""
    form = await request.form()
    given = {name: str(form.get(name, "")) for name in ("url", "body")}
    usual = {name: str(form.get(f"usual_{name}", "")) for name in given}
    wanted: dict[str, Any] = {}
    if given["url"].strip() and given["url"].strip() != usual["url"]:
        wanted["url"] = given["url"].strip()
    if given["body"].strip() and _lines(given["body"]) != _lines(usual["body"]):
        try:
            wanted["body"] = msgspec.json.decode(given["body"], type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError) as error:
            said = words("delivery.bad_body", error=str(error))
            return await _page(visit, delivery_id, typed=given, faults={"body": said}, status=422)
    if not wanted:
        said = words("delivery.nothing_changed")
        return await _page(visit, delivery_id, typed=given, faults={"body": said}, status=422)
    return await _replayed(visit, delivery_id, wanted, once=str(form.get("once", "")), typed=given)


async def _replayed(
    visit: Visit, delivery_id: str, wanted: dict[str, Any], *, once: str, typed: dict[str, str] | None = None
) -> Response[Any]:
    try:
        await visit.api.send("POST", f"/deliveries/{delivery_id}/replay", wanted, once=once)
    except ApiProblem as problem:
        if problem.status not in (409, 422):
            raise
        faults = {error["pointer"].strip("/").partition("/")[0]: error["message"] for error in problem.errors}
        return await _page(
            visit, delivery_id, problem=problem.detail, typed=typed, faults=faults, status=problem.status
        )
    return visit.back(f"/deliveries/{delivery_id}", done="replayed")


async def _page(
    visit: Visit,
    delivery_id: str,
    *,
    problem: str = "",
    typed: dict[str, str] | None = None,
    faults: dict[str, str] | None = None,
    status: int = 200,
) -> Response[bytes]:
    row = await visit.api.get(f"/deliveries/{delivery_id}")
    attempts = list(reversed(row["attempts"]))
    number = visit.query.get("attempt", "")
    shown = next((each for each in attempts if str(each["number"]) == number), attempts[0] if attempts else None)
    sent = await visit.api.part(f"/deliveries/{delivery_id}/sent", attempt=shown["number"] if shown else "")
    event = await visit.api.part(f"/events/{row['event_id']}") if visit.may("read") else Part()
    body = sent.data["body"] if sent.data else None
    split = phases(shown["durations"]) if shown else []
    usual = {"url": shown["url"] if shown else "", "body": indented(body) or ""}
    return visit.page(
        "delivery.html",
        status=status,
        row=row,
        attempts=attempts,
        shown=shown,
        sent=sent,
        message_id=event.data["message_id"] if event.data else None,
        split=split,
        drawn=drawn_width(split),
        curl=curl(shown, body) if shown else "",
        advice=advice(row["failure"]),
        usual=usual,
        typed=typed or usual,
        faults=faults or {},
        problem=problem,
        editing=typed is not None,
    )


async def _confirmation(visit: Visit, ids: list[str], *, problem: str = "", status: int = 200) -> Response[bytes]:
    found = (await visit.api.get("/deliveries", ids=",".join(ids), limit=_MOST_CHOSEN))["data"] if ids else []
    rows = sorted(found, key=lambda row: row["id"])
    names = Counter(row["endpoint_name"] or "" for row in rows)
    return visit.page(
        "replay.html",
        status=status,
        rows=rows,
        names=names.most_common(),
        delivered=sum(row["state"] == "delivered" for row in rows),
        missing=len(ids) - len(rows),
        problem=problem,
    )


async def _listed(visit: Visit, **query: str) -> Part:
    """Return a page of deliveries, or in words what is wrong with the filters."""
    try:
        return Part(await visit.api.get("/deliveries", limit=50, **query))
    except ApiProblem as problem:
        return Part(problem=_said(problem))


def _said(problem: ApiProblem) -> str:
    fields = [f"{error['pointer'].strip('/')} {error['message']}" for error in problem.errors]
    return " ".join([problem.detail, *(f"{field}." for field in fields)])


def _ids(form: Any) -> list[str]:
    """Return the ids that were chosen, each once."""
    given: Iterable[object] = form.getall("id", [])
    return list(dict.fromkeys(str(each)[:64] for each in given))[:_MOST_CHOSEN]


def _time(text: str) -> str:
    """Return a time of a filter as the API takes it; what a browser's field gives has no zone and counts as UTC."""
    given = text.strip()
    return f"{given if given.count(':') > 1 else given + ':00'}Z" if _LOCAL_TIME.fullmatch(given) else given


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


HANDLERS = (deliveries, selected, replay_selected, delivery, replay, edited_replay)
