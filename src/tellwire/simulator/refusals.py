"""PURE. Refuse as Meta does: the error body of every code, and the recipients that ask for an error.

Source: Meta, "Cloud API error codes"; the shape is the Graph API's.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from msgspec import Struct

from tellwire.meta.codes import CODES

HREF = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"
How = Literal["usual", "answer", "status"]
"""How an error comes: as Meta usually reports it, as the answer to the send, or later as a failed status."""

_HOW: dict[str, How] = {"0": "usual", "1": "answer", "2": "status"}
_DIGITS: dict[How, str] = {how: digit for digit, how in _HOW.items()}
_NUMBER = re.compile(r"999([012])([0-9]{7})")
_USER_ID = re.compile(r"[A-Z]{2}\.ERROR([012])([0-9]{7})")


class Refusal(Exception):  # noqa: N818 - Meta's answer, not a failure of ours
    """An error answer of Meta's.

    Args:
        code: Meta's error code.
        details: an explanation for developers.
        http: the HTTP status, 0 for the code's usual one.
        message: the text that replaces the code's title.
    """

    def __init__(
        self,
        code: int,
        details: str = "",
        *,
        subcode: int = 0,
        http: int = 0,
        message: str = "",
        type: str = "OAuthException",  # noqa: A002
    ) -> None:
        super().__init__(f"{code} {details}")
        self.code = code
        self.details = details
        self.subcode = subcode
        self.http = http or (CODES[code].http if code in CODES else 400)
        self.message = message or f"(#{code}) {title_of(code)}"
        self.type = type

    def body(self, trace: str) -> dict[str, Any]:
        """Return the answer's body, with `trace` as `fbtrace_id`."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, "code": self.code}
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode:
            error["error_subcode"] = self.subcode
        return {"error": {**error, "fbtrace_id": trace}}


class PlannedError(Struct, frozen=True):
    """An error that a send is planned to end with."""

    code: int
    how: How = "usual"

    @property
    def late(self) -> bool:
        """Return whether the send is accepted and fails afterwards."""
        if self.how != "usual":
            return self.how == "status"
        known = CODES.get(self.code)
        return known is not None and known.late and known.kind == "fail"


def error_for(recipient: str) -> PlannedError | None:
    """Return the error that a recipient asks for, None for an ordinary one: `999`, how the error comes (0 usually, 1 as
    the answer, 2 as a failed status) and the code in seven digits; for user ids `XX.ERROR` and the same."""
    found = _NUMBER.fullmatch(recipient) or _USER_ID.fullmatch(recipient)
    if found is None:
        return None
    return PlannedError(int(found[2]), _HOW[found[1]])


def number_for(code: int, how: How = "usual") -> str:
    """Return the recipient, without `+`, whose messages end with this error."""
    return f"999{_DIGITS[how]}{code:07d}"


def not_there(object_id: str, doing: str = "post") -> Refusal:
    """Return Meta's refusal of an id that does not exist or that the token may not use."""
    return Refusal(
        100,
        subcode=33,
        message=f"Unsupported {doing} request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation",
        type="GraphMethodException",
    )


def title_of(code: int) -> str:
    """Return Meta's title of a code."""
    return CODES[code].title if code in CODES else "Unknown error"


def failure(code: int, details: str = "") -> dict[str, Any]:
    """Return an element of `errors` of a failed status."""
    title = title_of(code)
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details or f"{title}."},
        "href": HREF,
    }
