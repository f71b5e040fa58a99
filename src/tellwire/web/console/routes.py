"""Put the pages together: who may come in, what a page works with, and how errors are shown."""

from __future__ import annotations

from types import ModuleType
from typing import Any, cast

from litestar import Request, Response, Router, get
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from tellwire.errors import NotAllowed, NotFound
from tellwire.web.console import (
    agents,
    conversation,
    deliveries,
    endpoint,
    endpoint_calls,
    endpoints,
    failures,
    find,
    home,
    inbox,
    live,
    login,
    message_templates,
    messages,
    numbers,
    oidc,
    phone,
    portal,
    settings_keys,
    settings_me,
    settings_members,
    settings_told,
)
from tellwire.web.console.api_calls import Api, ApiProblem
from tellwire.web.console.pages import STATIC, Visit
from tellwire.web.console.sessions import LoginNeeded, Session, check_csrf, check_origin, session_of
from tellwire.web.console.words import words
from tellwire.web.error_answers import tell_defect
from tellwire.web.problems import as_problem, problem_headers, problem_of
from tellwire.web.request import AppState

PAGES: tuple[ModuleType, ...] = (
    home,
    live,
    phone,
    find,
    messages,
    failures,
    deliveries,
    endpoints,
    endpoint,
    endpoint_calls,
    numbers,
    agents,
    message_templates,
    settings_members,
    settings_keys,
    settings_told,
    settings_me,
    inbox,
    conversation,
)
"""The modules of the pages behind the login; each has `HANDLERS`."""

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_SESSION = "console_session"


async def enter(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let in who has a session that may see the page (`opt["scopes"]`), and refuse forms of other sites.

    A handler with `opt["streams"]` reads a form with a file as it comes, and checks its token itself.
    """
    app_state: AppState = connection.scope["state"]["app_state"]
    session = await session_of(connection, app_state)
    if session is None:
        raise LoginNeeded(_wanted(connection))
    connection.scope["auth"] = session.caller
    connection.scope["state"][_SESSION] = session
    app_state.places.take(connection.scope, session.caller.organization_id)  # type: ignore[arg-type]
    if connection.scope.get("method") == "POST":
        check_origin(connection, app_state)
    if connection.scope.get("method") == "POST" and not (handler.opt.get("streams") and _is_multipart(connection)):
        form = await cast("Request[Any, Any, Any]", connection).form()
        check_csrf(session, str(form.get("csrf", "")))
    wanted: tuple[str, ...] = handler.opt.get("scopes", ())  # none for OPTIONS, which Litestar answers itself
    of_one_endpoint = bool(session.access.endpoint_id) and connection.scope["path"] == "/"
    if of_one_endpoint or (wanted and not session.caller.may(wanted)):
        raise NotAllowed(words("errors.not_yours"), kind="insufficient-scope")


def _is_multipart(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    return connection.headers.get("content-type", "").lower().startswith("multipart/form-data")


def _wanted(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return where somebody wanted to go, with the filters of the page."""
    query = connection.scope["query_string"].decode("ascii", "replace")
    return connection.scope["path"] + (f"?{query}" if query else "")


def visit_of(request: Request[Any, Any, Any]) -> Visit:
    """Return who looks at a page."""
    state = request.scope["state"]
    session: Session | None = state.get(_SESSION)
    api = None
    if session is not None:
        kept = {name: state[name] for name in ("app_state", "request_id")}
        api = Api(request.app, kept, session.caller)
    app_state: AppState = state["app_state"]
    has_phone = app_state.services.phone is not None
    return Visit(request.scope["path"], dict(request.query_params), session, api, has_phone=has_phone)


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Show an error as a page, and lead those to the login who are not logged in."""
    if isinstance(error, LoginNeeded):
        path = error.path if request.method == "GET" and error.path != "/" else ""
        return Visit("", {}, None, None).back("/login", next=path)
    if _is_not_theirs(error) and (request.method, request.scope["path"]) == ("GET", "/"):
        visit = visit_of(request)
        if visit.places:  # everybody's first page is one that they may see
            return visit.back(visit.places[0][0])
    if isinstance(error, ApiProblem):
        problem = problem_of(
            error.status, error.kind, error.detail, *((e["pointer"], e["message"]) for e in error.errors)
        )
        headers: dict[str, str] = {}
    else:
        problem, _ = as_problem(error)
        headers = problem_headers(problem)
        if problem.is_defect:
            tell_defect(request.scope, error)
    page = visit_of(request).page("error.html", status=problem.status, problem=problem)
    page.headers.update(headers)
    return page


def _is_not_theirs(error: Exception) -> bool:
    return isinstance(error, NotAllowed) and error.kind == "insufficient-scope"


@get("/static/{name:str}", opt={"scopes": ()}, include_in_schema=False)
async def static_file(name: FromPath[str]) -> Response[bytes]:
    """A style sheet, a script or a picture; its address changes with its bytes, so it may be kept."""
    if name not in {path.name for path in STATIC.iterdir()}:
        raise NotFound("There is nothing at this path.")
    path = STATIC / name
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(path.read_bytes(), media_type=_TYPES[path.suffix], headers=headers)


_DEPENDENCIES = {"visit": Provide(visit_of, sync_to_thread=False)}

HANDLERS = (
    Router(
        "/",
        route_handlers=[*login.HANDLERS, *oidc.HANDLERS, *portal.HANDLERS, static_file],
        exception_handlers={Exception: answer},
        dependencies=_DEPENDENCIES,
    ),
    Router(
        "/",
        route_handlers=[*login.INSIDE, *(handler for page in PAGES for handler in page.HANDLERS)],
        guards=[enter],
        exception_handlers={Exception: answer},
        dependencies=_DEPENDENCIES,
    ),
)
