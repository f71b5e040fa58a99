"""Make a problem (RFC 9457) of every error: our own, msgspec's, Litestar's, and bugs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct
from sqlalchemy.exc import OperationalError

from tellwire.errors import (
    BadRequest,
    Busy,
    Invalid,
    NotFound,
    Problem,
    TooBig,
    TooMany,
    Unauthorized,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
_BAD_PATTERN = re.compile(r"Expected `str` matching regex .*")
_AT = re.compile(r"(.*?)(?: - at `(?:key` in `)?\$(.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)


class FieldProblem(Struct, frozen=True):
    """What is wrong with one field; `pointer` leads to it in the body, or names a query parameter as `/name`."""

    pointer: str
    message: str


class ProblemDetails(Struct, frozen=True, kw_only=True):
    """An RFC 9457 problem. `type` is stable and `urn:tellwire:problem:<kind>`."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldProblem] = []


def problem_body(problem: Problem, request_id: str) -> bytes:
    """Return a problem as JSON (RFC 9457)."""
    return msgspec.json.encode(
        ProblemDetails(
            type=f"urn:tellwire:problem:{problem.kind}",
            title=problem.title,
            status=problem.status,
            detail=problem.detail,
            request_id=request_id,
            errors=[FieldProblem(pointer, message) for pointer, message in problem.fields],
        )
    )


def problem_headers(problem: Problem) -> dict[str, str]:
    """Return the headers of an answer with this problem."""
    match problem:
        case Busy():
            return {"retry-after": "1"}
        case TooMany():
            return {"retry-after": str(problem.retry_after)}
        case Unauthorized():
            wrong = ', error="invalid_token"' if problem.kind == "invalid-key" else ""
            return {"www-authenticate": f'Bearer realm="tellwire"{wrong}'}
        case _:
            return {}


def as_problem(error: Exception) -> tuple[Problem, Mapping[str, str]]:
    """Return the problem of an exception, and the headers that the exception has."""
    match error:
        case Problem():
            return error, {}
        case Unavailable() | OperationalError():
            return Busy("The database cannot make this durable just now; nothing was changed. Try again."), {}
        case ValidationException():
            return _invalid_parameters(error), {}
        case HTTPException(status_code=status) if status < 500:
            return _of_status(status), error.headers or {}
        case _:
            return Problem("Something went wrong on our side; the server's log has it under this request_id."), {}


def problem_of(status: int, kind: str, detail: str, *fields: tuple[str, str]) -> Problem:
    """Return a problem with a status that has no exception class of its own."""
    problem = Problem(detail, *fields, kind=kind)
    problem.status, problem.title = status, HTTPStatus(status).phrase.capitalize()
    return problem


def _of_status(status: int) -> Problem:
    match status:
        case 404:
            return NotFound("There is nothing at this path.")
        case 405:
            return problem_of(405, "method-not-allowed", "This path does not take this method; see the Allow header.")
        case 413:
            return TooBig("The body is larger than 1 MiB.")
        case _:
            return problem_of(status, "bad-request", "The request could not be read.")


def _invalid_parameters(error: ValidationException) -> Problem:
    fields = [
        (f"/{each.get('key', '')}", str(each.get("message", "")))
        for each in (error.extra if isinstance(error.extra, list) else ())
        if isinstance(each, dict)
    ]
    return Invalid("A parameter is not valid.", *fields)


def invalid_body(error: msgspec.MsgspecError | ValueError) -> Problem:
    """Return the problem of a body that msgspec did not accept."""
    if not isinstance(error, msgspec.ValidationError):
        return BadRequest(f"The body is not JSON: {error}.", kind="not-json")
    text = str(error)
    found = _AT.fullmatch(text)
    message, path = (found[1], found[2] or "") if found else (text, "")
    pointer = json_pointer(path)
    for pattern, words in ((_UNKNOWN, "is not a field here"), (_MISSING, "is required")):
        if named := pattern.fullmatch(message):
            return Invalid("The body is not valid.", (f"{pointer}/{_escaped(named[1])}", words))
    message = _BAD_PATTERN.sub("has characters that are not allowed here", message)
    return Invalid("The body is not valid.", (pointer, message.replace("`", "")))


def json_pointer(path: str) -> str:
    """Return the JSON pointer of a path as msgspec shows it after `$`: `.a[0].b` is `/a/0/b`; the pointer ends before
    keys without a name."""
    pointer = ""
    for name, index in re.findall(r"\.([^.\[\]]+)|\[([^\]]*)\]", path):
        if index == "...":
            return pointer
        pointer += "/" + _escaped(name or index)
    return pointer


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
