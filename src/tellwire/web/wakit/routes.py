"""The routes of wakit's interface: the last segment of a path under `/functions/v1/api` says what is called, and
`/rest/v1/webhooks` is the table of webhooks as PostgREST serves it.

Source: docs/reference/wakit.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import HttpMethod, Request, Response, route
from msgspec import Struct
from msgspec.json import encode
from sqlalchemy.exc import OperationalError

from tellwire.errors import Invalid, Problem, Unavailable
from tellwire.model.row_json import instant
from tellwire.stores.queries import status_figures
from tellwire.web.error_answers import CORS
from tellwire.web.imitation import allow, enter
from tellwire.web.problems import problem_of
from tellwire.web.request import AppState, RequestContext, StateDependency
from tellwire.web.responses import JSON
from tellwire.web.wakit import accounts, given, reads, send, webhooks

BASE = "/functions/v1/api"
TABLE = "/rest/v1/webhooks"
_SEGMENTS = "/{segments:path}"
_METHODS = [*HttpMethod]
_MISSING = "Missing Authorization header: send an API key as `Authorization: Bearer tw_…` or `api-key: tw_…`."

Answer = Callable[[RequestContext, Request[Any, Any, Any]], Awaitable[Any]]


class Call(Struct, frozen=True):
    """A call: what answers it (with what becomes JSON, or a response), and the scopes one of which it takes.

    `told`: its parameters, as the list of endpoints tells them.
    """

    answer: Answer
    scopes: tuple[str, ...]
    told: str = ""


async def _registered(context: RequestContext, request: Request[Any, Any, Any]) -> Any:
    return await webhooks.create(context, request, listed=False)


async def _webhooks(context: RequestContext, request: Request[Any, Any, Any]) -> Any:
    chosen = webhooks.filter_of(given.parameters(request))
    return {"webhooks": [webhooks.shown(each) for each in webhooks.found(context, chosen)]}


async def _unregistered(context: RequestContext, request: Request[Any, Any, Any]) -> Any:
    gone = await webhooks.delete(context, webhooks.filter_of(given.parameters(request)))
    if not gone:
        raise given.rule("Webhook not found.")
    return {"status": "deleted"}


_READ = ("read",)
_ACCOUNTS = ("read", "accounts:manage")
_THREAD = "?contact_phone=...|group_id=...&limit=50&account_phone=..."
CALLS: Mapping[tuple[str, str], Call] = {
    ("GET", "accounts"): Call(accounts.list_accounts, _ACCOUNTS),
    ("GET", "conversations"): Call(reads.conversations, _READ, "?limit=10&account_phone=..."),
    ("GET", "conversation"): Call(reads.conversation, _READ, _THREAD),
    ("GET", "messages"): Call(reads.conversation, _READ, _THREAD),
    ("POST", "messages"): Call(
        send.send_message, ("messages:write",), " { contact_phone|group_id, text|template|document, account_phone? }"
    ),
    ("GET", "contacts"): Call(reads.contacts, _READ, "?name=...&number=...&limit=10"),
    ("GET", "templates"): Call(
        reads.list_templates, ("read", "templates:manage"), "?template_id=...&account_phone=..."
    ),
    ("GET", "health"): Call(accounts.health, _ACCOUNTS),
    ("GET", "webhooks"): Call(_webhooks, ("read", "webhooks:manage"), "?id=...&table_name=...&limit=..."),
    ("POST", "webhooks"): Call(_registered, ("webhooks:manage",), " { table_name, operations, url, token? }"),
    ("DELETE", "webhooks"): Call(_unregistered, ("webhooks:manage",), "?id=..."),
}
"""By method and last segment."""
_SEGMENTS_KNOWN = frozenset(segment for _, segment in CALLS)


async def _ping(app_state: AppState) -> Any:
    services = app_state.services
    try:
        await services.store.read(status_figures.revision)
        reached = not services.store.failing
    except (Unavailable, OperationalError):
        reached = False
    return {"status": "ok", "timestamp": instant(services.clock.now()), "db": "connected" if reached else "error"}


async def _config(_: AppState) -> Any:
    return {"plugins": {"stripe": False, "migrate-twilio": False}}


PUBLIC: Mapping[str, Callable[[AppState], Awaitable[Any]]] = {"ping": _ping, "config": _config}
"""What takes no key, by its last segment."""


@route([BASE, BASE + _SEGMENTS], http_method=_METHODS, status_code=200, include_in_schema=False)
async def serve(request: Request[Any, Any, Any], app_state: StateDependency) -> Response[bytes]:
    """Answer a call of wakit's REST interface."""
    if request.method == "OPTIONS":  # browsers ask before they call; any origin may
        return Response(b"", headers=dict(CORS))
    segment = request.url.path.rpartition("/")[2]
    if (public := PUBLIC.get(segment)) is not None:
        return _answer(await public(app_state))
    context = await enter(request, app_state, "authorization", "api-key", missing=_MISSING)
    if segment not in _SEGMENTS_KNOWN:
        return _answer({"endpoints": [f"{m:6} /api/{name}{call.told}" for (m, name), call in CALLS.items()]})
    call = CALLS.get((request.method, segment))
    if call is None:
        raise _not_allowed()
    allow(context, call.scopes)
    return _answer(await call.answer(context, request))


@route(TABLE, http_method=_METHODS, status_code=200, include_in_schema=False)
async def serve_table(request: Request[Any, Any, Any], app_state: StateDependency) -> Response[bytes]:
    """Answer a call to the table of webhooks, as PostgREST does."""
    if request.method == "OPTIONS":
        return Response(b"", headers=dict(CORS))
    context = await enter(request, app_state, "api-key", "authorization", missing=_MISSING)
    query = given.parameters(request)
    unknown = query.keys() - {"id", "organization_id", "table_name", "limit", "select", "order"}
    if unknown:
        raise Invalid(f"This filter is not known: {', '.join(sorted(unknown))}.")
    match request.method:
        case "GET":
            allow(context, ("read", "webhooks:manage"))
            return _answer([webhooks.shown(each) for each in _found(context, query)])
        case "POST":
            allow(context, ("webhooks:manage",))
            made = await webhooks.create(context, request, listed=True)
            if "return=representation" not in request.headers.get("prefer", ""):
                made.content = b""
            return _answer(made)
        case "DELETE":
            allow(context, ("webhooks:manage",))
            if _is_own(context, query):
                await webhooks.delete(context, webhooks.filter_of(query, operator="eq."))
            return Response(b"", status_code=204, headers=dict(CORS))
        case _:
            raise _not_allowed()


def _found(context: RequestContext, query: Mapping[str, str]) -> Any:
    chosen = webhooks.filter_of(query, operator="eq.")
    return webhooks.found(context, chosen) if _is_own(context, query) else []


def _is_own(context: RequestContext, query: Mapping[str, str]) -> bool:
    return query.get("organization_id", "") in ("", f"eq.{context.organization_id}")


def _not_allowed() -> Problem:
    return problem_of(405, "method-not-allowed", "Method not allowed")


def _answer(value: Any) -> Response[bytes]:
    answer = value if isinstance(value, Response) else Response(encode(value), media_type=JSON)
    for name, text in CORS.items():
        answer.headers[name] = text
    return answer


HANDLERS = (serve, serve_table)
