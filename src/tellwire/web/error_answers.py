"""Answer every error in the shape that the clients of its path know: as a problem (RFC 9457), or as the system does
whose interface is served there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import InternalServerException
from msgspec import Struct
from msgspec.json import encode

from tellwire.errors import BadRequest, Problem
from tellwire.web.graph import errors as graph
from tellwire.web.problems import MEDIA_TYPE, as_problem, problem_body, problem_headers

log = structlog.get_logger("tellwire.web")

JSON = "application/json"
CORS: Mapping[str, str] = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "authorization, content-type, x-client-info, apikey, api-key",
    "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
}
"""The headers of every answer of wakit's interface, which browsers call."""

BUSINESS_RULE = "business-rule"
"""The kind of a problem for which the imitated system has a rule, and we have none."""
_BUSINESS_RULES = (
    *(BUSINESS_RULE, "window-closed", "template-mismatch", "opted-out"),
    *("no-account", "no-contact", "quota-exceeded", "meta-refused"),
)
WAKIT_STATUSES = {**dict.fromkeys(_BUSINESS_RULES, 500), "invalid": 400, "too-many-values": 400}
"""How wakit answers problems, by kind. What it has no answer of its own for keeps our status."""


_ABOUT_OUR_FIELDS = ("window-closed", "opted-out")
"""The kinds of problems whose fields name options that only our own API has."""


class ErrorAnswer(Struct, frozen=True):
    """The answer to a request that failed."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: Mapping[str, str] = {}


def words_of(problem: Problem) -> str:
    """Return a problem as one text: what is wrong, and with which fields, where these are the caller's."""
    if problem.kind in _ABOUT_OUR_FIELDS:
        return problem.detail
    fields = "; ".join(f"{pointer.removeprefix('/').replace('/', '.')}: {words}" for pointer, words in problem.fields)
    return f"{problem.detail} {fields}" if fields else problem.detail


def _wakit(problem: Problem, _request_id: str) -> ErrorAnswer:
    """wakit answers 500 when one of its rules forbids something; that is no defect, and not logged as one."""
    status = WAKIT_STATUSES.get(problem.kind, problem.status)
    return ErrorAnswer(status, encode({"error": words_of(problem)}), headers=CORS)


def _postgrest(problem: Problem, _request_id: str) -> ErrorAnswer:
    body = {"code": problem.kind, "details": None, "hint": None, "message": words_of(problem)}
    return ErrorAnswer(problem.status, encode(body), headers=CORS)


def _graph(problem: Problem, request_id: str) -> ErrorAnswer:
    shown = graph.of_problem(problem)
    return ErrorAnswer(shown.status, shown.body(request_id))


def _wappcloud(problem: Problem, _request_id: str) -> ErrorAnswer:
    return ErrorAnswer(problem.status, encode({"success": False, "code": problem.status, "message": words_of(problem)}))


SHAPES: Mapping[str, Callable[[Problem, str], ErrorAnswer]] = {
    f"{graph.PREFIX}/": _graph,
    "/functions/v1/": _wakit,
    "/rest/v1/": _postgrest,
    "/api/v1/": _wappcloud,
}
"""The shapes of errors other than problems, by how their paths begin."""


SLASHED = ("/v1/", f"{graph.PREFIX}/")
"""How the paths begin at whose end a slash does not matter: in ours and in Meta's interface."""


def error_answer(problem: Problem, path: str, request_id: str) -> ErrorAnswer:
    """Return how a problem is answered at a path."""
    headers = problem_headers(problem)
    for beginning, shape in SHAPES.items():
        if f"{path}/".startswith(beginning):
            shown = shape(problem, request_id)
            return ErrorAnswer(shown.status, shown.body, shown.media_type, {**headers, **shown.headers})
    return ErrorAnswer(problem.status, problem_body(problem, request_id), MEDIA_TYPE, headers)


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer any exception of a handler, as Litestar's exception handler."""
    request_id = request.scope["state"].get("request_id", "")
    if isinstance(error, InternalServerException) and request.scope["state"].get("gone"):
        error = BadRequest("The client left before the body was there.")  # nobody reads it, and it is no defect
    problem, headers = as_problem(error)
    if problem.is_defect:
        tell_defect(request.scope, error)
    shown = error_answer(problem, request.scope["path"], request_id)
    return Response(
        shown.body, status_code=shown.status, media_type=shown.media_type, headers={**headers, **shown.headers}
    )


def tell_defect(scope: Mapping[str, Any], error: Exception) -> None:
    """Count and log a request that failed because of a defect of ours."""
    state = scope["state"]
    if "app_state" in state:
        state["app_state"].services.counters.request_failures += 1
    request_id = state.get("request_id", "")
    log.error("request_failed", request_id=request_id, method=scope["method"], path=scope["path"], exc_info=error)
