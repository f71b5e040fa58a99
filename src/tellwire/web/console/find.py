"""Serve `/find`: whatever somebody knows of something leads to what became of it."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from tellwire.web.console.login import VisitDependency
from tellwire.web.console.messages import shown_steps

_MOST = 512
_KINDS = (
    "message", "contact", "conversation", "delivery", "event", "inbound", "media", "endpoint", "account", "agent",
    "agent_run", "template", "source",
)  # fmt: skip


@get("/find", opt={"scopes": ("read",)}, include_in_schema=False)
async def find(visit: VisitDependency) -> Response[Any]:
    """Lead to what is meant, list what may be meant, or say what was looked for."""
    text = visit.query.get("q", "").replace("\0", "").strip()[:_MOST]
    if not text:
        return visit.page("find.html", text="", found=None, groups=[], steps=[])
    found = await visit.api.get("/why", q=text)
    if path := _only_place(found):
        return visit.back(path)
    groups = [(kind, some) for kind in _KINDS if (some := [each for each in found["matches"] if each["kind"] == kind])]
    groups = [(kind, [(each, place_of(each)) for each in some]) for kind, some in groups]
    steps = shown_steps(found["journey"]) if found["journey"] else []
    return visit.page("find.html", text=text, found=found, groups=groups, steps=steps)


def _only_place(found: dict[str, Any]) -> str:
    """Return the page of what was found, "" unless it is one thing with a page of its own."""
    if found["journey"] and found["journey"]["message"]:
        return f"/messages/{found['journey']['message']['id']}"
    if len(found["matches"]) != 1 or found["matches"][0]["kind"] in ("contact", "inbound"):
        return ""
    return place_of(found["matches"][0])


def place_of(match: dict[str, Any]) -> str:
    """Return the page that shows what was found, "" for none."""
    if match["message_id"]:
        return f"/messages/{match['message_id']}"
    identifier = match["id"]
    places = {
        "conversation": f"/inbox/{identifier}",
        "contact": f"/inbox?contact={identifier}",
        "delivery": f"/deliveries/{identifier}",
        "endpoint": f"/endpoints/{identifier}",
        "account": "/numbers",
        "agent": "/agents",
        "template": "/templates",
    }
    if match["kind"] in places:
        return places[match["kind"]]
    return f"/inbox/{match['conversation_id']}" if match["conversation_id"] else ""


HANDLERS = (find,)
