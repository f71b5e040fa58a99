"""What callers may call to whom only something is named: sessions of portal links, and viewers without bodies.

Everything that does not stand in `CALLS` is refused, so that a new call is closed to them until somebody opens it here.
Source: docs/reference/console.md, "Portal links".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from tellwire.errors import NotAllowed, NotFound
from tellwire.model.id_form import looks_like_id
from tellwire.model.members import Named
from tellwire.stores.opening import Store
from tellwire.stores.queries import deliveries


class Call(Struct, frozen=True):
    """A call. `named`: what must be named for it, "" for nothing. `endpoint`: where it says which endpoint it is about:
    in its path, in its query, or by a delivery in its path; "" if it is about more than one."""

    named: Named | Literal[""] = ""
    endpoint: Literal["path", "query", "delivery", ""] = ""


_INBOX, _WRITE = Call("inbox:read"), Call("inbox:write")
_ENDPOINT, _DELIVERY = "/v1/webhook-endpoints/{endpoint_id}", "/v1/deliveries/{delivery_id}"
_CONVERSATION, _MESSAGE = "/v1/conversations/{conversation_id}", "/v1/messages/{message_id}"

CALLS: dict[str, Call] = {
    "GET /v1/webhook-endpoints": Call(),
    f"GET {_ENDPOINT}": Call(endpoint="path"),
    f"POST {_ENDPOINT}/pause": Call("pause", "path"),
    f"POST {_ENDPOINT}/resume": Call("pause", "path"),
    f"POST {_ENDPOINT}/test": Call("test", "path"),
    "GET /v1/webhook-endpoints/figures": Call(),
    f"GET {_ENDPOINT}/figures": Call(endpoint="path"),
    f"GET {_ENDPOINT}/recover": Call(endpoint="path"),
    f"GET {_ENDPOINT}/recover/{{job_id}}": Call(endpoint="path"),
    "GET /v1/verdict": Call(),
    "GET /v1/traffic": Call(),
    "GET /v1/accounts": Call(),
    "GET /v1/accounts/{account_id}": Call(),
    "GET /v1/deliveries": Call(endpoint="query"),
    f"GET {_DELIVERY}": Call(endpoint="delivery"),
    f"GET {_DELIVERY}/attempts": Call(endpoint="delivery"),
    f"GET {_DELIVERY}/sent": Call("bodies", "delivery"),
    f"POST {_DELIVERY}/replay": Call("replay", "delivery"),
    "GET /v1/failures": Call(endpoint="query"),
    "GET /v1/failures/{failure_id}": Call(),
    "POST /v1/failures/{failure_id}/replay": Call("replay"),
    "GET /v1/why": Call("bodies"),
    "GET /v1/events": Call("bodies"),
    "GET /v1/events/{event_id}": Call("bodies"),
    "GET /v1/events/{event_id}/payloads/{format_name}": Call("bodies"),
    "GET /v1/events/samples/{format_name}": Call(),
    "GET /v1/conversations": _INBOX,
    f"GET {_CONVERSATION}": _INBOX,
    f"GET {_CONVERSATION}/messages": _INBOX,
    f"GET {_CONVERSATION}/agent": _INBOX,
    f"GET {_CONVERSATION}/notes": _INBOX,
    "GET /v1/conversations/assignees": _INBOX,
    "GET /v1/labels": _INBOX,
    "GET /v1/labels/{label_id}": _INBOX,
    "GET /v1/messages": _INBOX,
    f"GET {_MESSAGE}": _INBOX,
    "GET /v1/contacts": _INBOX,
    "GET /v1/contacts/{contact_id}": _INBOX,
    "GET /v1/media/{media_id}": _INBOX,
    "GET /v1/media/{media_id}/content": _INBOX,
    "GET /v1/templates": _INBOX,
    "GET /v1/templates/{template_id}": _INBOX,
    "POST /v1/messages": _WRITE,
    f"POST {_MESSAGE}/read": _WRITE,
    f"POST {_MESSAGE}/resend": _WRITE,
    f"POST {_MESSAGE}/cancel": _WRITE,
    "POST /v1/media": _WRITE,
    f"POST {_CONVERSATION}/read": _WRITE,
    f"POST {_CONVERSATION}/notes": _WRITE,
    f"POST {_CONVERSATION}/assign": _WRITE,
    f"POST {_CONVERSATION}/labels/{{label_id}}": _WRITE,
    f"DELETE {_CONVERSATION}/labels/{{label_id}}": _WRITE,
    f"POST {_CONVERSATION}/close": _WRITE,
    f"POST {_CONVERSATION}/reopen": _WRITE,
    f"POST {_CONVERSATION}/agent/pause": _WRITE,
    f"POST {_CONVERSATION}/agent/resume": _WRITE,
}
"""By method and path, as the routes have it."""


class Limits(Struct, frozen=True):
    """What a caller is limited to: what is named, and one endpoint unless `endpoint_id` is ""."""

    named: frozenset[str]
    endpoint_id: str = ""


async def check(limits: Limits, organization_id: str, scope: Mapping[str, Any], query: Any, store: Store) -> None:
    """Check that a caller with limits may make a call; `query` are its parameters.

    Raises:
        NotAllowed: the call is not one of `CALLS`, is not named, or is about other endpoints too.
        NotFound: it is about another endpoint.
    """
    call = CALLS.get(f"{scope['method']} {scope['path_template']}")
    if call is None or (call.named and call.named not in limits.named):
        raise NotAllowed("What you may see and do here does not include this.", kind="not-named")
    if "contact" in query and "bodies" not in limits.named:
        raise NotAllowed("Whom deliveries are about is not shown here.", kind="not-named")
    if not limits.endpoint_id:
        return
    path: Mapping[str, Any] = scope["path_params"]
    match call.endpoint:
        case "path":
            same = path["endpoint_id"] == limits.endpoint_id
        case "query":
            same = query.getall("endpoint_id", []) == [limits.endpoint_id]
        case "delivery":
            name = path["delivery_id"]
            owner = ""
            if looks_like_id(name):
                owner = await store.read(lambda c: deliveries.endpoint_of(c, organization_id, name))
            same = owner == limits.endpoint_id
        case _:
            raise NotAllowed("This link shows one endpoint only.", kind="not-named")
    if not same:
        raise NotFound("There is nothing with this id for you.")
