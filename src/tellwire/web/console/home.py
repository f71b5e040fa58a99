"""Serve `/`: is it working? What is broken comes first, with a button that mends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response, get, post
from litestar.response import Redirect

from tellwire.model.time_buckets import BUCKETS
from tellwire.web.console.api_calls import Part
from tellwire.web.console.bar_chart import HEIGHT, WIDTH, bars
from tellwire.web.console.chat import snippet
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit

_ASKED = 200
_MOST = 25
_NEWEST = 5
"""So many rows of a kind are shown here, and things to mend: the page stays light."""
_READ = {"scopes": ("read",)}


@get("/", opt=_READ, include_in_schema=False)
async def home(visit: VisitDependency) -> Response[bytes]:
    """The verdict, what goes through, and endpoints, numbers and agents; each part fails alone."""
    return await _home(visit)


@post("/", opt=_READ, include_in_schema=False, status_code=303)
async def mend(request: Request[Any, Any, Any], visit: VisitDependency) -> Response[bytes] | Redirect:
    """Make the call that mends a line of the verdict; which calls there are, the verdict says."""
    form = await request.form()
    wanted = str(form.get("line", ""))
    lines = (await visit.api.get("/verdict"))["lines"]
    line = next((each for each in lines if each["id"] == wanted and each["action"]), None)
    if line is None:
        return visit.back("/", done="mended_already")
    action = line["action"]
    answer = await visit.api.send(action["method"], action["path"].removeprefix("/v1"))
    if isinstance(answer, dict) and "ok" in answer:
        return await _home(visit, tried={"label": action["label"], **answer})
    return visit.back("/", done="mended")


async def _home(visit: Visit, tried: Mapping[str, Any] | None = None) -> Response[bytes]:
    span = visit.query.get("span", "")
    span = span if span in BUCKETS else "hour"
    verdict = await visit.api.part("/verdict")
    traffic = await visit.api.part("/traffic", span=span)
    endpoints = await visit.api.part("/webhook-endpoints", limit=_ASKED)
    waiting = {each["endpoint_id"]: each["oldest_at"] for each in verdict.data["waiting"]} if verdict.data else {}
    return visit.page(
        "home.html",
        tried=tried,
        most=_MOST,
        verdict=verdict,
        span=span,
        spans=list(BUCKETS),
        traffic=traffic,
        charts=_charts(traffic),
        width=WIDTH,
        height=HEIGHT,
        messages=await visit.api.part("/messages", limit=_NEWEST),
        snippet=snippet,
        endpoints=_sorted(endpoints, lambda each: _ENDPOINTS[endpoint_state(each)[1]]),
        endpoint_state=endpoint_state,
        named=lambda line: _named(line, endpoints),
        waiting=waiting,
        accounts=_sorted(await visit.api.part("/accounts", limit=_ASKED), lambda each: not each["problems"]),
        agents=await visit.api.part("/agents", limit=_MOST),
    )


def _charts(traffic: Part) -> Sequence[tuple[str, Any]]:
    if traffic.data is None:
        return ()
    buckets = traffic.data["buckets"]
    of = {name: [each[name] for each in buckets] for name in ("received", "delivered", "failing", "sent")}
    return (
        ("received", bars(of["received"])),
        ("delivered", bars(of["delivered"], of["failing"])),
        ("sent", bars(of["sent"])),
    )


def _named(line: Mapping[str, Any], endpoints: Part) -> str:
    """Return the cause of a line with the endpoint's name instead of its id, where it has one."""
    rows = endpoints.data["data"] if endpoints.data else ()
    name = next((each["description"] for each in rows if each["id"] == line["endpoint_id"]), "")
    cause: str = line["cause"]
    return cause.replace(line["endpoint_id"], name) if name else cause


_ENDPOINTS = {"failing": 0, "disabled": 1, "paused": 2, "pulled": 3, "unknown": 4, "healthy": 5}


def endpoint_state(endpoint: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind of an endpoint's state, as `state` of the macros takes it, and the name of its text."""
    if endpoint["state"] != "active":
        return ("bad" if endpoint["state"] == "disabled" else "none"), endpoint["state"]
    health = endpoint["health"]["state"]
    return {"failing": "bad", "healthy": "good", "unknown": "none"}[health], health


def _sorted(part: Part, key: Any) -> Part:
    if part.data is None:
        return part
    return Part({**part.data, "data": sorted(part.data["data"], key=key)})


HANDLERS = (home, mend)
