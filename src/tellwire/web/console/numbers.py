"""Serve `/numbers`: the WhatsApp numbers, what Meta says of them, and whether their tokens work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tellwire.web.console.api_calls import ApiProblem, Part
from tellwire.web.console.fields import Typed, faults_of, filled, number, typed
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit
from tellwire.web.console.words import has_words, words

_READ = {"scopes": ("read", "accounts:manage")}
_MANAGE = {"scopes": ("accounts:manage",)}
_TEXTS = ("name", "display_phone_number", "waba_id")
_SECRETS = ("access_token", "app_secret")
_CHOICES = ("unknown_statuses", "on_revoke")

AnyRequest = Request[Any, Any, Any]


@get("/numbers", opt=_READ, include_in_schema=False)
async def list_numbers(visit: VisitDependency) -> Response[bytes]:
    """Every number with its state, quality, limits and token."""
    accounts = await visit.api.part("/accounts", limit=50, cursor=visit.query.get("cursor", ""))
    return visit.page("numbers.html", accounts=accounts, fact=_fact, standing=standing)


@get("/numbers/new", opt=_MANAGE, include_in_schema=False)
async def new_number(visit: VisitDependency) -> Response[bytes]:
    """The form that connects a number."""
    return visit.page("number_new.html", given=visit.query, faults={})


@post("/numbers/new", opt=_MANAGE, include_in_schema=False, status_code=303)
async def connect(request: AnyRequest, visit: VisitDependency) -> Response[bytes] | Redirect:
    """Create the account; what is wrong stands beside its field."""
    form = await request.form()
    given = typed(form)
    draft = filled(given, "phone_number_id", *_TEXTS, *_SECRETS)
    try:
        made = await visit.api.send("POST", "/accounts", draft, once=str(form.get("once", "")))
    except ApiProblem as problem:
        return visit.page("number_new.html", status=problem.status, given=given, faults=faults_of(problem))
    return visit.back(f"/numbers/{made['id']}", done="connected")


@get("/numbers/{account_id:str}", opt=_READ, include_in_schema=False)
async def one_number(account_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """One number: what Meta says of it, and its settings."""
    return await _number(visit, account_id)


@post("/numbers/{account_id:str}", opt=_MANAGE, include_in_schema=False, status_code=303)
async def change_number(
    account_id: FromPath[str], request: AnyRequest, visit: VisitDependency
) -> Response[bytes] | Redirect:
    """Change an account; secrets that are left empty stay as they are."""
    given = typed(await request.form())
    change: dict[str, Any] = {name: given[name] for name in (*_TEXTS, *_CHOICES, "agent_id") if name in given}
    change |= filled(given, *_SECRETS) | ({"send_rate": number(given["send_rate"])} if "send_rate" in given else {})
    try:
        await visit.api.send("PATCH", f"/accounts/{account_id}", change)
    except ApiProblem as problem:
        return await _number(visit, account_id, given=given, faults=faults_of(problem), status=problem.status)
    return visit.back(f"/numbers/{account_id}", done="saved")


@post("/numbers/{account_id:str}/check", opt=_MANAGE, include_in_schema=False, status_code=200)
async def check_number(account_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """Ask Meta whether the token works, and show what it answers."""
    try:
        checked = await visit.api.send("POST", f"/accounts/{account_id}/check")
    except ApiProblem as problem:
        if problem.status == 404:
            raise
        checked = {"ok": False, "cause": problem.detail}
    return await _number(visit, account_id, checked=checked)


@post("/numbers/{account_id:str}/resume-sending", opt=_MANAGE, include_in_schema=False, status_code=303)
async def resume_number(account_id: FromPath[str], visit: VisitDependency) -> Redirect:
    """Send again."""
    await visit.api.send("POST", f"/accounts/{account_id}/resume-sending")
    return visit.back(f"/numbers/{account_id}", done="sends_again")


@post("/numbers/{account_id:str}/delete", opt=_MANAGE, include_in_schema=False, status_code=303)
async def delete_number(account_id: FromPath[str], visit: VisitDependency) -> Redirect:
    """Forget the account."""
    await visit.api.send("DELETE", f"/accounts/{account_id}")
    return visit.back("/numbers", done="number_deleted")


async def _number(
    visit: Visit,
    account_id: str,
    *,
    given: Typed | None = None,
    faults: Mapping[str, str] | None = None,
    checked: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Response[bytes]:
    account = await visit.api.get(f"/accounts/{account_id}")
    agents = await visit.api.part("/agents", limit=200)
    return visit.page(
        "number.html",
        status=status,
        account=account,
        given={name: account[name] or "" for name in (*_TEXTS, *_CHOICES, "agent_id", "send_rate")} | dict(given or {}),
        faults=faults or {},
        checked=checked,
        agent_options=[("", words("numbers.nobody")), *_models(agents, account["agent_id"] or "")],
        facts=[(_label(name), _text(fact["value"]), fact["at"]) for name, fact in sorted(account["about"].items())],
        standing=standing,
    )


def _models(agents: Part, chosen: str) -> list[tuple[str, str]]:
    """Return the agents that can answer for a number, and always the one that does."""
    rows = (agents.data or {"data": []})["data"]
    found = {each["id"]: each["name"] for each in rows if each["kind"] == "ai"}
    return list((found if not chosen or chosen in found else {chosen: chosen} | found).items())


def standing(account: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind of a number's state, as `state` of the macros takes it, and the name of its text."""
    if account["problems"]:
        return "bad", "trouble"
    return ("good", "works") if account["has_access_token"] else ("none", "receives")


def _fact(account: Mapping[str, Any], name: str) -> str:
    return _text(account["about"][name]["value"]) if name in account["about"] else ""


def _label(name: str) -> str:
    return words(f"numbers.fact.{name}") if has_words(f"numbers.fact.{name}") else name.replace("_", " ")


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


HANDLERS = (
    list_numbers,
    new_number,
    connect,
    one_number,
    change_number,
    check_number,
    resume_number,
    delete_number,
)
