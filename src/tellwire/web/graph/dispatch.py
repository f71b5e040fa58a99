"""Find what a path names, and who serves it: the table of routes.

An id is a number's, a business account's, a template's or a file's, and only what is the caller's is found; everything
else is answered as Meta answers for what does not exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from litestar import HttpMethod, Request, Response, route
from msgspec import Struct

from tellwire.errors import NotAllowed
from tellwire.security.api_keys import Scope
from tellwire.stores.queries import media as media_queries
from tellwire.stores.queries import templates as template_queries
from tellwire.web.graph import errors, media, messages, numbers, templates, tokens
from tellwire.web.graph.calls import Call, Path, authenticate, query_of, read_body, read_path
from tellwire.web.graph.errors import no_such_path, not_there
from tellwire.web.graph.media_ids import of_shown
from tellwire.web.request import RequestContext, StateDependency

Kind = Literal["number", "business", "template", "file", "token"]
Serve = Callable[[Call, Any], Awaitable[Response[Any]]]
_READ: tuple[Scope, ...] = ("read", "messages:write", "templates:manage")
_SEND: tuple[Scope, ...] = ("messages:write",)
_MANAGE: tuple[Scope, ...] = ("templates:manage",)
_LONGEST_ID = 128


class Route(Struct, frozen=True):
    """Who serves a path, and the scopes of which its caller needs one."""

    scopes: tuple[Scope, ...]
    serve: Serve


async def _debug_token(call: Call, _: None) -> Response[bytes]:
    return await tokens.debug(call)


async def _me(call: Call, _: None) -> Response[bytes]:
    return await tokens.me(call)


ROUTES: dict[tuple[str, Kind, str], Route] = {
    ("POST", "number", "messages"): Route(_SEND, messages.post),
    ("POST", "number", "media"): Route(_SEND, media.upload),
    ("POST", "number", "thread_control"): Route(_SEND, numbers.passed_through),
    ("GET", "number", ""): Route(_READ, numbers.read_number),
    ("GET", "business", ""): Route(_READ, numbers.read_business),
    ("GET", "business", "phone_numbers"): Route(_READ, numbers.list_numbers),
    ("GET", "business", "message_templates"): Route(("read", "templates:manage"), templates.list_templates),
    ("POST", "business", "message_templates"): Route(_MANAGE, templates.create),
    ("DELETE", "business", "message_templates"): Route(_MANAGE, templates.delete),
    ("GET", "template", ""): Route(("read", "templates:manage"), templates.read),
    ("GET", "file", ""): Route(("read", "messages:write"), media.read),
    ("GET", "file", "content"): Route(("read", "messages:write"), media.content),
    ("DELETE", "file", ""): Route(_SEND, media.delete),
    ("GET", "token", "me"): Route(_READ, _me),
    ("GET", "token", "debug_token"): Route(_READ, _debug_token),
}
"""By method, what the path names, and the edge behind it."""
_EDGES = {edge for _, kind, edge in ROUTES if kind != "token"}


@route(
    [errors.PREFIX, f"{errors.PREFIX}/{{rest:path}}"],
    http_method=[*HttpMethod],
    status_code=200,
    include_in_schema=False,
    request_max_body_size=None,
)
async def graph(request: Request[Any, Any, Any], app_state: StateDependency) -> Response[Any]:
    """Serve a call of a Graph client."""
    path, query = read_path(request), query_of(request)
    early = "authorization" in request.headers or query.get("access_token")
    context = await authenticate(request, app_state, query, {}) if early else None
    body, raw = await read_body(request)
    context = context or await authenticate(request, app_state, query, body)
    call = Call(request=request, context=context, path=path, query=query, body=body, raw=raw)
    kind, found = await _named(context, path, call.method)
    chosen = (
        ROUTES.get((call.method, kind, path.edge)) if kind != "token" else ROUTES.get((call.method, kind, path.node))
    )
    if chosen is None:
        raise no_such_path(f"/{path.edge}") if path.edge not in _EDGES else not_there(path.node, call.method)
    if not context.caller.may(chosen.scopes):
        raise NotAllowed(f"This key lacks the scope {' or '.join(chosen.scopes)}.", kind="insufficient-scope")
    return await chosen.serve(call, found)


async def _named(context: RequestContext, path: Path, method: str) -> tuple[Kind, Any]:
    """Return what the first part of a path names, and that thing itself.

    Raises:
        GraphError: nothing of the caller's.
    """
    node, owner = path.node, context.organization_id
    if any(kind == "token" and name == node for _, kind, name in ROUTES) and not path.edge:
        return "token", None
    accounts = context.accounts
    account = next((each for each in accounts if each.phone_number_id == node), None)
    if account is not None:
        return "number", account
    if any(each.waba_id == node for each in accounts):
        return "business", node
    if len(node) <= _LONGEST_ID:
        template = await context.read(lambda c: template_queries.get(c, owner, node))
        if template is not None:
            return "template", template
        ours = of_shown(node) or node
        file = await context.read(
            lambda c: media_queries.get(c, owner, ours) or media_queries.of_meta_id(c, owner, node)
        )
        if file is not None and file.state != "erased":
            return "file", file
    raise not_there(node, method)


HANDLERS = (graph,)
