"""Serve `/messages/{id}`: the whole way of one message, and what to do where it stopped."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath

from tellwire.errors import NotFound
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit
from tellwire.web.parameters import our_id

_FORMATS = ("row", "chat")
_GAPS = ((86_400, 5), (3600, 4), (600, 3), (60, 2), (10, 1))
"""Seconds from which on a gap is drawn, each with its size."""
_MOST_RAW = 32_768


@get("/messages/{message_id:str}", opt={"scopes": ("read",)}, include_in_schema=False)
async def message(message_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """The journey, the row, both payloads."""
    return await _page(visit, message_id)


@post(
    "/messages/{message_id:str}/test",
    opt={"scopes": ("webhooks:manage", "webhooks:operate")},
    include_in_schema=False,
    status_code=200,
)
async def test_endpoint(
    message_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency
) -> Response[bytes]:
    """Send a test event to an endpoint, and show what it answers."""
    await _journey(visit, message_id)
    endpoint_id = our_id(str((await request.form()).get("endpoint_id", "")), "webhook endpoint")
    tested = await visit.api.send("POST", f"/webhook-endpoints/{endpoint_id}/test")
    return await _page(visit, message_id, tested)


@post(
    "/messages/{message_id:str}/replay",
    opt={"scopes": ("deliveries:replay",)},
    include_in_schema=False,
    status_code=303,
)
async def replay(message_id: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency) -> Response[Any]:
    """Send a delivery once more, at once."""
    await _journey(visit, message_id)
    form = await request.form()
    delivery_id = our_id(str(form.get("delivery_id", "")), "delivery")
    await visit.api.send("POST", f"/deliveries/{delivery_id}/replay", {}, once=str(form.get("once", "")))
    return visit.back(f"/messages/{message_id}", done="replayed")


async def _journey(visit: Visit, message_id: str) -> tuple[dict[str, Any], str]:
    """Return the journey of a message, and what it says."""
    found = await visit.api.get("/why", q=message_id)
    journey = found["journey"]
    said = next((each["title"] for each in found["matches"] if each["id"] == message_id), "")
    if not said or journey is None or journey["message"] is None:
        raise NotFound("There is no message with this id. It may have been erased.")
    return journey, said


async def _page(visit: Visit, message_id: str, tested: Any = None) -> Response[bytes]:
    journey, said = await _journey(visit, message_id)
    events = journey["events"]
    event_id = visit.query.get("event", "") or (events[0]["id"] if events else "")
    payloads = []
    for name in _FORMATS if event_id else ():
        part = await visit.api.part(f"/events/{event_id}/payloads/{name}")
        payloads.append((name, pretty(part.data) if part.data is not None else "", part.problem))
    return visit.page(
        "message.html",
        journey=journey,
        said=said,
        steps=shown_steps(journey),
        row=pretty(journey["message"]),
        event_id=event_id,
        payloads=payloads,
        tested=tested,
        raw=await _raw(visit, journey, visit.query.get("raw", "")),
    )


async def _raw(visit: Visit, journey: dict[str, Any], wanted: str) -> tuple[str, str] | None:
    """Return what stands behind a step, and why it cannot be had: an item of a POST, what Meta told, a delivery."""
    kind, _, identifier = wanted.partition(":")
    if kind == "statuses":
        part = await visit.api.part(f"/messages/{journey['message']['id']}")
        return (pretty(part.data["statuses"]) if part.data else "", part.problem)
    if kind == "delivery":
        part = await visit.api.part(f"/deliveries/{identifier}")
        last = part.data["attempts"][-1:] if part.data else []
        return (pretty(last[0] if last else part.data) if part.data else "", part.problem)
    if kind == "inbound":
        part = await visit.api.part(f"/inbound/{identifier}")
        pointers = {step["refs"].get("pointer", "") for step in journey["steps"]} - {""}
        item = _at(part.data["body"], pointers.pop()) if part.data and pointers else part.data
        return (pretty(item) if part.data else "", part.problem)
    return None


def _at(body: Any, pointer: str) -> Any:
    """Return what a JSON pointer leads to, the whole body where it leads nowhere."""
    found = body
    for name in pointer.split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901 - RFC 6901
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (KeyError, IndexError, TypeError, ValueError):
            return body
    return found


def pretty(value: Any) -> str:
    """Return JSON for reading, cut where it is very long."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return text if len(text) <= _MOST_RAW else text[:_MOST_RAW] + "\n…"


def shown_steps(journey: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps, each with the gap before it (`gap`: 0 to 5, `gap_seconds`) and what is behind it (`raw`)."""
    shown, before = [], None
    for step in journey["steps"]:
        at = datetime.fromisoformat(step["at"]) if step["at"] else None
        seconds = 0.0
        branch = step["kind"] == "endpoint"
        if at is not None and not branch:
            seconds = (at - before).total_seconds() if before is not None else 0.0
            before = at
        gap = next((size for least, size in _GAPS if seconds >= least), 0)
        shown.append({**step, "branch": branch, "gap": gap, "gap_seconds": int(seconds), "raw": _behind(step)})
    return shown


def _behind(step: dict[str, Any]) -> str:
    refs = step["refs"]
    if "delivery_id" in refs:
        return f"delivery:{refs['delivery_id']}"
    if "inbound_id" in refs:
        return f"inbound:{refs['inbound_id']}"
    return "statuses" if step["kind"] in ("sent", "delivered", "read", "played", "failed") and step["at"] else ""


HANDLERS = (message, test_endpoint, replay)
