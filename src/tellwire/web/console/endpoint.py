"""Serve `/endpoints/{id}`: one consumer, how it is, what it would be sent, and how to check that."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.params import FromPath

from tellwire.model.units import MICROS, Micros
from tellwire.web.console import endpoint_charts, endpoint_form, shown_once, snippets
from tellwire.web.console.api_calls import ApiProblem, Part
from tellwire.web.console.endpoint_form import Refused
from tellwire.web.console.endpoints import (
    MANAGE,
    MANAGES,
    OPERATES,
    READ,
    STATES,
    form_page,
    standing,
)
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit
from tellwire.web.request import StateDependency

MOST = 1_000
"""Where the API stops counting what waits for one endpoint."""
_SPANS = ("hour", "day", "month")
_EVENTS = 15
_SAMPLES = {"meta": "meta.messages"}
_LONGEST = 20_000


def path_of(endpoint_id: str) -> str:
    """Return the path of an endpoint in the API."""
    return f"/webhook-endpoints/{quote(endpoint_id, safe='')}"


@get("/endpoints/{endpoint_id:str}", opt=READ, include_in_schema=False)
async def endpoint_page(
    endpoint_id: FromPath[str], visit: VisitDependency, app_state: StateDependency
) -> Response[bytes]:
    """An endpoint's health, its events, the same event in every format, snippets, secret and recoveries."""
    path, span = path_of(endpoint_id), visit.query.get("span", "day")
    endpoint = await visit.api.get(path)
    now = app_state.services.clock.now()
    return visit.page(
        "endpoint.html",
        endpoint=endpoint,
        state=standing(endpoint),
        looks=STATES,
        charts=endpoint_charts,
        span=span if span in _SPANS else "day",
        spans=_SPANS,
        figures=await visit.api.part(f"{path}/figures", span=span if span in _SPANS else "day"),
        most=MOST,
        preview=await _preview(visit, endpoint, list(app_state.services.formats)),
        old_secrets=[_clock(each, now) for each in endpoint["secrets"] if each["expires_at"]],
        snippets=snippets.of_url(endpoint["url"]),
        recoveries=await visit.api.part(f"{path}/recover", limit=5),
        since=endpoint["health"]["failing_since"] or _text(now - 86_400 * MICROS),
        manages=visit.may(MANAGES),
        operates=visit.may(*OPERATES),
    )


async def _preview(visit: Visit, endpoint: dict[str, Any], formats: list[str]) -> dict[str, Any]:
    """Return an event in the format that is looked at: the one that is chosen, else the newest about a message.

    It is a sample where there is none, or where the format has no place for it.
    """
    form = visit.query.get("format", "")
    form = form if form in formats else endpoint["format"]
    events = await _events(visit)
    chosen = visit.query.get("event", "") or (events[0]["id"] if events else "")
    payload = await _payload(visit, events, chosen, form) if chosen else None
    if payload is None:
        name = _SAMPLES.get(form, "messages.insert")
        sample = await visit.api.part(f"/events/samples/{form}", name=name)
    return {
        "format": form,
        "formats": formats,
        "events": events,
        "chosen": chosen,
        "instead": bool(chosen) and payload is None,
        "payload": _indented(sample if payload is None else payload),
    }


async def _events(visit: Visit) -> list[dict[str, Any]]:
    listed = await visit.api.part("/events", entity="messages", limit=_EVENTS)
    if listed.data is None or not listed.data["data"]:
        listed = await visit.api.part("/events", limit=_EVENTS)
    found: list[dict[str, Any]] = listed.data["data"] if listed.data else []
    return found


async def _payload(visit: Visit, events: list[dict[str, Any]], chosen: str, form: str) -> Part | None:
    """Return an event in a format, None where the format has no place for it."""
    try:
        return Part(await visit.api.get(f"/events/{quote(chosen, safe='')}/payloads/{form}"))
    except ApiProblem as problem:
        if problem.kind != "no-payload":
            return Part(problem=problem.detail)
    return await _as_meta_sent_it(visit, events, chosen) if form == "meta" else None


async def _as_meta_sent_it(visit: Visit, events: list[dict[str, Any]], chosen: str) -> Part | None:
    """Return what Meta sent about the message of an event: it is kept as an event of its own, where one endpoint takes
    such."""
    of = next((each for each in events if each["id"] == chosen), None)
    if of is None or not of["conversation_id"]:
        return None
    sent = await visit.api.part("/events", entity="meta", conversation_id=of["conversation_id"], limit=_EVENTS)
    same = [each["id"] for each in (sent.data["data"] if sent.data else []) if each["message_id"] == of["message_id"]]
    return await visit.api.part(f"/events/{same[-1]}/payloads/meta") if same else None


def _indented(payload: Part) -> Part:
    if payload.data is None:
        return payload
    text = json.dumps(payload.data, indent=2, ensure_ascii=False)
    return Part(text if len(text) <= _LONGEST else text[:_LONGEST] + "\n…")


def _clock(secret: dict[str, Any], now: Micros) -> dict[str, Any]:
    """Return how long a secret that was rotated out still signs, and how much of that time is over (0 to 1)."""
    ends = datetime.fromisoformat(secret["expires_at"]).timestamp()
    began = datetime.fromisoformat(secret["rotated_at"]).timestamp() if secret["rotated_at"] else now / MICROS
    left = max(ends - now / MICROS, 0.0)
    over = 1 - left / max(ends - began, 1.0)
    return {
        "left": endpoint_charts.lasting(left),
        "over": round(min(max(over, 0.0), 1.0), 3),
        "ends": secret["expires_at"],
    }


def _text(at: Micros) -> str:
    return datetime.fromtimestamp(at // MICROS, tz=UTC).isoformat()


@get("/endpoints/{endpoint_id:str}/secret", opt=MANAGE, include_in_schema=False)
async def secret_page(
    endpoint_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[bytes]:
    """A new secret, once; after that, what to do without it."""
    endpoint = await visit.api.get(path_of(endpoint_id))
    shown = shown_once.take(request, app_state.services, visit)
    answer = visit.page(
        "endpoint_secret.html",
        endpoint=endpoint,
        shown=shown,
        rotated=len(endpoint["secrets"]) > 1,
        subscriber=snippets.SUBSCRIBER,
    )
    shown_once.forget(answer, visit)
    return answer


@get("/endpoints/{endpoint_id:str}/edit", opt=MANAGE, include_in_schema=False)
async def edit_page(endpoint_id: FromPath[str], visit: VisitDependency, app_state: StateDependency) -> Response[bytes]:
    """The form of an endpoint as it is."""
    endpoint = await visit.api.get(path_of(endpoint_id))
    accounts = await visit.api.part("/accounts", limit=200)
    known = accounts.data["data"] if accounts.data else []
    return await form_page(visit, app_state, endpoint_form.of_endpoint(endpoint, known), endpoint=endpoint)


@post("/endpoints/{endpoint_id:str}/edit", opt=MANAGE, include_in_schema=False, status_code=200)
async def change_endpoint(
    endpoint_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[Any]:
    """Change an endpoint."""
    path = path_of(endpoint_id)
    endpoint = await visit.api.get(path)
    typed = endpoint_form.typed_of(await request.form()) | {"format": endpoint["format"]}
    try:
        await visit.api.send("PATCH", path, endpoint_form.change(typed))
    except Refused as refused:
        return await form_page(visit, app_state, typed, endpoint=endpoint, errors=refused.errors)
    except ApiProblem as problem:
        errors = endpoint_form.field_errors(problem.errors)
        return await form_page(visit, app_state, typed, endpoint=endpoint, errors=errors, problem=problem)
    return visit.back(f"/endpoints/{endpoint['id']}", done="saved")


@get("/endpoints/{endpoint_id:str}/delete", opt=MANAGE, include_in_schema=False)
async def delete_page(endpoint_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """What will happen when the endpoint is deleted."""
    path = path_of(endpoint_id)
    return visit.page(
        "endpoint_delete.html",
        endpoint=await visit.api.get(path),
        figures=await visit.api.part(f"{path}/figures"),
        charts=endpoint_charts,
        most=MOST,
    )


@post("/endpoints/{endpoint_id:str}/delete", opt=MANAGE, include_in_schema=False, status_code=303)
async def delete_endpoint(endpoint_id: FromPath[str], visit: VisitDependency) -> Response[Any]:
    """Delete an endpoint."""
    await visit.api.send("DELETE", path_of(endpoint_id))
    return visit.back("/endpoints", done="endpoint_deleted")


HANDLERS = (endpoint_page, secret_page, edit_page, change_endpoint, delete_page, delete_endpoint)
