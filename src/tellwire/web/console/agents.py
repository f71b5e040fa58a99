"""Serve `/agents`: the people and models that write for the business, and a try-out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tellwire.web.console.api_calls import ApiProblem
from tellwire.web.console.fields import Typed, faults_of, json_of, lines, number, typed
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit

_READ = {"scopes": ("read", "agents:manage")}
_MANAGE = {"scopes": ("agents:manage",)}
_TEXTS = ("instructions", "model", "base_url", "on_failure")
_NUMBERS = ("history_messages", "debounce_seconds", "temperature", "max_tokens")
_BUDGET = ("replies_per_conversation", "replies_per_day", "tokens_per_day")
_NEW = {"kind": "ai", "state": "active", "typing": "on", "on_failure": "nothing"}

AnyRequest = Request[Any, Any, Any]


@get("/agents", opt=_READ, include_in_schema=False)
async def list_agents(visit: VisitDependency) -> Response[bytes]:
    """Every agent, and whether it is active."""
    agents = await visit.api.part("/agents", limit=50, cursor=visit.query.get("cursor", ""))
    return visit.page("agents.html", agents=agents)


@get("/agents/new", opt=_MANAGE, include_in_schema=False)
async def new_agent(visit: VisitDependency) -> Response[bytes]:
    """The form for an agent: of a model, or with `?kind=human` of a person."""
    kind = "human" if visit.query.get("kind") == "human" else "ai"
    return visit.page("agent_new.html", kind=kind, given=_NEW, faults={})


@post("/agents/new", opt=_MANAGE, include_in_schema=False, status_code=303)
async def create_agent(request: AnyRequest, visit: VisitDependency) -> Response[bytes] | Redirect:
    """Create an agent; what is wrong stands beside its field."""
    form = await request.form()
    given = typed(form)
    kind = "human" if given.get("kind") == "human" else "ai"
    draft = {name: value for name, value in _settings(kind, given).items() if value not in (None, "")}
    try:
        made = await visit.api.send("POST", "/agents", draft | {"kind": kind}, once=str(form.get("once", "")))
    except ApiProblem as problem:
        faults = faults_of(problem)
        return visit.page("agent_new.html", status=problem.status, kind=kind, given=given, faults=faults)
    return visit.back(f"/agents/{made['id']}", done="agent_created")


@get("/agents/{agent_id:str}", opt=_READ, include_in_schema=False)
async def one_agent(agent_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """One agent: a try-out, its settings, and what became of its turns."""
    return await _agent(visit, agent_id)


@post("/agents/{agent_id:str}", opt=_MANAGE, include_in_schema=False, status_code=303)
async def change_agent(
    agent_id: FromPath[str], request: AnyRequest, visit: VisitDependency
) -> Response[bytes] | Redirect:
    """Change an agent; a key that is left empty stays as it is."""
    given = typed(await request.form())
    agent = await visit.api.get(f"/agents/{agent_id}")
    try:
        await visit.api.send("PATCH", f"/agents/{agent_id}", _settings(agent["kind"], given))
    except ApiProblem as problem:
        return await _agent(visit, agent_id, given=given, faults=faults_of(problem), status=problem.status)
    return visit.back(f"/agents/{agent_id}", done="saved")


@post("/agents/{agent_id:str}/try", opt=_MANAGE, include_in_schema=False, status_code=200)
async def try_agent(agent_id: FromPath[str], request: AnyRequest, visit: VisitDependency) -> Response[bytes]:
    """Ask the agent as a customer's first message would, and show what it says."""
    said = typed(await request.form()).get("text", "").replace("\n", " ")
    try:
        tried = await visit.api.send("POST", f"/agents/{agent_id}/try", {"text": said})
    except ApiProblem as problem:
        if problem.status == 404:
            raise
        tried = {"ok": False, "cause": " ".join([problem.detail, *(each["message"] for each in problem.errors)])}
    return await _agent(visit, agent_id, said=said, tried=tried)


@post("/agents/{agent_id:str}/delete", opt=_MANAGE, include_in_schema=False, status_code=303)
async def delete_agent(agent_id: FromPath[str], visit: VisitDependency) -> Redirect:
    """Forget an agent."""
    await visit.api.send("DELETE", f"/agents/{agent_id}")
    return visit.back("/agents", done="agent_deleted")


def _settings(kind: str, given: Typed) -> dict[str, Any]:
    """Return what a form sets; a number that is left empty takes its default."""
    found: dict[str, Any] = {name: given[name] for name in ("name", "state") if name in given}
    if kind == "human":
        return found
    found |= {name: given[name] for name in _TEXTS if name in given}
    found |= {name: number(given[name]) for name in _NUMBERS if name in given}
    if given.get("api_key"):
        found["api_key"] = given["api_key"]
    if "tools" in given:  # the last field: then the whole form was sent, and a box that is not ticked is left out
        budget = {name: number(given.get(name, "")) for name in _BUDGET}
        found |= {
            "typing": "typing" in given,
            "tools": json_of(given["tools"]),
            "allowed_tool_origins": lines(given.get("allowed_tool_origins", "")),
            "budget": {name: value for name, value in budget.items() if value is not None},
        }
    return found


def _as_typed(agent: Mapping[str, Any]) -> dict[str, str]:
    """Return an agent's settings as the fields of its form hold them."""
    names = ("name", "state", *_TEXTS, *_NUMBERS)
    plain = {name: "" if agent[name] is None else f"{agent[name]}" for name in names}
    budget = {name: f"{agent['budget'].get(name) or ''}" for name in _BUDGET}
    tools = json.dumps(agent["tools"], indent=2, ensure_ascii=False) if agent["tools"] else ""
    ticked = {"typing": "on"} if agent["typing"] else {}
    return plain | budget | ticked | {"tools": tools, "allowed_tool_origins": "\n".join(agent["allowed_tool_origins"])}


async def _agent(
    visit: Visit,
    agent_id: str,
    *,
    given: Typed | None = None,
    faults: Mapping[str, str] | None = None,
    said: str = "",
    tried: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Response[bytes]:
    agent = await visit.api.get(f"/agents/{agent_id}")
    runs = await visit.api.part(f"/agents/{agent_id}/runs", limit=20, cursor=visit.query.get("cursor", ""))
    return visit.page(
        "agent.html",
        status=status,
        agent=agent,
        runs=runs,
        given=given if given is not None else _as_typed(agent),
        faults=faults or {},
        said=said,
        tried=tried,
    )


HANDLERS = (list_agents, new_agent, create_agent, one_agent, change_agent, try_agent, delete_agent)
