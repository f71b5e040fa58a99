"""Answer every error under `/graph` as the Graph API does: its codes, its HTTP statuses, its body.

Source: Meta, "Cloud API error codes"; docs/reference/graph-api.md, "Errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from tellwire.errors import (
    Busy,
    MetaUnreachable,
    NotAllowed,
    NotFound,
    Problem,
    TooBig,
    TooMany,
    Unauthorized,
)
from tellwire.meta.codes import CODES

PREFIX = "/graph"
JSON = "application/json"
UNKNOWN, SERVICE, TOO_MANY_CALLS, PERMISSION, INVALID, TOKEN, PATH = 1, 2, 4, 10, 100, 190, 2500
MISSING_OBJECT = 33
RATE, PAIR, SOMETHING, UNAVAILABLE, WINDOW, STOPPED, UPLOAD = 130429, 131056, 131000, 131016, 131047, 131050, 131053
_TITLES = {PATH: "Unknown path components", UNKNOWN: "An unknown error occurred", INVALID: "Invalid parameter"}
_BY_KIND = {
    "window-closed": WINDOW,
    "opted-out": STOPPED,
    "no-contact": 131026,
}
"""The code of problems that Meta has a code of its own for, by their kind; any other of the request's is 100."""
_BY_CLASS: dict[type[Problem], int] = {
    Unauthorized: TOKEN,
    TooMany: TOO_MANY_CALLS,
    NotAllowed: PERMISSION,
    Busy: SERVICE,
    MetaUnreachable: SERVICE,
    TooBig: UPLOAD,
}
_MESSAGES = {
    TOKEN: "Invalid OAuth access token - Cannot parse access token",
    PERMISSION: "(#10) Application does not have permission for this action",
}
_PASSING = frozenset((TOO_MANY_CALLS, SERVICE))


class GraphError(Problem):
    """An error as the Graph API words it.

    Args:
        code: Meta's.
        details: what is wrong and what to do, for developers.
        http: the status, 0 for the code's usual one.
        message: replaces the code's title.
        transient: whether the same call may succeed later; None where Meta says nothing of it.
        more: further members of `error_data`.
        body: an answer of Meta's that is passed on as it came.
    """

    def __init__(
        self,
        code: int,
        details: str = "",
        *,
        http: int = 0,
        subcode: int = 0,
        message: str = "",
        type_: str = "OAuthException",
        transient: bool | None = None,
        more: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(details, kind="graph")
        self.code = code
        self.status = http or (CODES[code].http if code in CODES else 400)
        self.subcode = subcode
        self.message = message or f"(#{code}) {title_of(code)}"
        self.type = type_
        self.transient = transient
        self.more = more or {}
        self.passed_on = body

    @property
    def is_defect(self) -> bool:
        """Whether it is a fault of ours, and no answer of Meta's."""
        return self.code == UNKNOWN and not self.passed_on

    def body(self, trace: str) -> bytes:
        """Return the answer's body, with `trace` as `fbtrace_id`."""
        if self.passed_on:
            return self.passed_on
        error: dict[str, Any] = {"message": self.message, "type": self.type, "code": self.code}
        if self.subcode:
            error["error_subcode"] = self.subcode
        if self.transient is not None:
            error["is_transient"] = self.transient
        if self.detail or self.more:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.detail, **self.more}
        return msgspec.json.encode({"error": {**error, "fbtrace_id": trace}})


def title_of(code: int) -> str:
    """Return Meta's title of a code."""
    return _TITLES.get(code) or (CODES[code].title if code in CODES else "Unknown error")


def not_there(name: str, method: str) -> GraphError:
    """Return the error of an object that does not exist, or is another organization's: nobody can tell which."""
    return GraphError(
        INVALID,
        subcode=MISSING_OBJECT,
        message=f"Unsupported {method.lower()} request. Object with ID '{name}' does not exist, cannot be loaded due "
        "to missing permissions, or does not support this operation. Please read the Graph API documentation at "
        "https://developers.facebook.com/docs/graph-api",
        type_="GraphMethodException",
    )


def no_such_path(path: str) -> GraphError:
    """Return the error of a path that is nothing here."""
    return GraphError(PATH, f"Nothing is served at {path[:200]}.", message=f"Unknown path components: {path[:200]}")


def of_problem(problem: Problem) -> GraphError:
    """Return the Graph API's error for a problem of ours, whose words become its details."""
    if isinstance(problem, GraphError):
        return problem
    faults = "; ".join(f"{pointer}: {words}" for pointer, words in problem.fields)
    words = f"{problem.detail} {faults}".strip()
    if problem.kind == "idempotency-in-flight":
        return GraphError(SERVICE, words, http=409, transient=True)
    if isinstance(problem, NotFound) or problem.status == HTTPStatus.GONE:
        return GraphError(INVALID, words, subcode=MISSING_OBJECT, type_="GraphMethodException")
    for kind, code in _BY_CLASS.items():
        if isinstance(problem, kind):
            return GraphError(
                code, words, message=_MESSAGES.get(code, ""), transient=True if code in _PASSING else None
            )
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return GraphError(UNKNOWN, words, http=500)
    return GraphError(_BY_KIND.get(problem.kind, INVALID), words)
