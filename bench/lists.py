"""Measure how long the list calls and the pages of the console take on a full database."""

from __future__ import annotations

import time
from urllib.parse import quote

from bench.product import Served
from bench.report import Metric, percentile

REPEATS = 20
_PAGE = "page "
"""How the names of pages begin, beside those of calls."""

METRICS = [
    Metric("list_p95_ms", "slowest list call, p95", "ms", "Slowest of the list calls, p95 in ms"),
    Metric("page_p95_ms", "slowest page of the console, p95", "ms", "Slowest page of the console, p95 in ms"),
]


def calls(served: Served, endpoint_id: str) -> dict[str, str]:
    """Return the paths of the calls by name; the ids in them are those of the newest rows."""
    newest = served.get("/v1/deliveries?limit=1")["data"][0]
    second = served.get("/v1/deliveries?limit=200")["next_cursor"]
    old = f"since={newest['created_at'].replace('+', '%2B')}"
    conversation = newest["conversation_id"]
    return {
        "deliveries": "/v1/deliveries?limit=50",
        "deliveries, next page": f"/v1/deliveries?limit=200&cursor={second or ''}",
        "deliveries, delivered": "/v1/deliveries?state=delivered",
        "deliveries, retrying": "/v1/deliveries?state=retrying",
        "deliveries, parked": "/v1/deliveries?state=parked",
        "deliveries, failed": "/v1/deliveries?state=failed",
        "deliveries of an endpoint": f"/v1/deliveries?endpoint_id={endpoint_id}",
        "parked deliveries of an endpoint": f"/v1/deliveries?endpoint_id={endpoint_id}&state=parked",
        "deliveries of a conversation": f"/v1/deliveries?conversation_id={conversation}",
        "deliveries since": f"/v1/deliveries?{old}",
        "one delivery": f"/v1/deliveries/{newest['id']}",
        "events": "/v1/events?limit=50",
        "events of a conversation": f"/v1/events?conversation_id={conversation}",
        "messages": "/v1/messages?limit=50",
        "messages of a conversation": f"/v1/conversations/{conversation}/messages",
        "conversations": "/v1/conversations?limit=50",
        "contacts": "/v1/contacts?limit=50",
        "inbound": "/v1/inbound?limit=50",
        "inbound, not understood": "/v1/inbound?outcome=not_understood",
        "endpoints": "/v1/webhook-endpoints?limit=50",
        "metrics": "/metrics",
    }


def pages(served: Served, endpoint_id: str) -> list[str]:
    """Return the paths of the console's pages, about the newest rows."""
    newest = served.get("/v1/deliveries?limit=1")["data"][0]
    message = served.get("/v1/messages?limit=1")["data"][0]["id"]
    contact = served.get("/v1/contacts?limit=1")["data"][0]
    return [
        "/",
        "/?span=month",
        "/inbox",
        f"/inbox/{newest['conversation_id']}",
        "/deliveries",
        "/deliveries?state=failed",
        f"/deliveries/{newest['id']}",
        "/failures",
        "/endpoints",
        f"/endpoints/{endpoint_id}",
        "/numbers",
        "/agents",
        "/templates",
        "/settings/members",
        f"/messages/{message}",
        f"/find?q={quote(contact['name'] or 'nobody')}",
        "/find?q=nothing-has-this-text",
    ]


def timed(served: Served, endpoint_id: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return the figures of `METRICS`, and the p95 of each call in ms."""
    each = {
        name: percentile([_milliseconds(served, path) for _ in range(REPEATS)], 0.95)
        for name, path in calls(served, endpoint_id).items()
    }
    slowest_call = max(each.values())
    cookie = served.log_in()
    shown = {
        _PAGE + path: percentile([_milliseconds(served, path, cookie) for _ in range(REPEATS)], 0.95)
        for path in pages(served, endpoint_id)
    }
    return {"list_p95_ms": slowest_call, "page_p95_ms": max(shown.values())}, each | shown


def _milliseconds(served: Served, path: str, cookie: str = "") -> float:
    begin = time.perf_counter()
    served.ask("GET", path, cookie=cookie)
    return round((time.perf_counter() - begin) * 1000, 2)
