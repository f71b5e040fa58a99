"""PURE. What Meta's answer to a send means, and what follows from it.

Meta's code decides, and nothing else does: no title and, where there is a code, no HTTP status. Meta knows no
idempotency key, so what may have arrived is never sent again by itself.
"""

from __future__ import annotations

import math
import re
from typing import Any

from msgspec import Struct

from tellwire.errors import NotJson
from tellwire.meta import scalars
from tellwire.meta.codes import CODES, CodeKind, kind_of_code
from tellwire.meta.errors import status_errors
from tellwire.meta.raw_json import verbatim
from tellwire.model.messaging import StatusError

LONGEST_PAUSE = 300.0
_JITTER = 0.2
_LARGEST = 10**18


class Accepted(Struct, frozen=True):
    """Meta has accepted the message; statuses will tell whether it arrives. A field that the answer lacks is ""."""

    wamid: str
    message_status: str = ""
    wa_id: str = ""
    user_id: str = ""


class Refused(Struct, frozen=True):
    """Meta has refused the message.

    `code`: None when the answer has no code of Meta's. `tries`: attempts in all, 0: as long as the message may be
    tried. `retry_after`: seconds that the answer asks us to wait at least.
    """

    kind: CodeKind
    code: int | None
    errors: tuple[StatusError, ...]
    tries: int = 0
    retry_after: float = 0.0


class NotSent(Struct, frozen=True):
    """No byte of the request was written: it is safe to try again."""

    cause: str


class Unknown(Struct, frozen=True):
    """Meta may have accepted the message: only a status can tell."""

    cause: str


SendAnswer = Accepted | Refused | NotSent | Unknown


def read_answer(
    status: int, body: bytes, *, written: bool = True, cause: str = "", retry_after: float = 0.0
) -> SendAnswer:
    """Return what an answer of Meta's to a send means.

    Args:
        status: HTTP's; 0 when none came.
        body: as it came, whatever it holds.
        written: whether a byte of the request may have gone out.
        cause: why no answer came, in plain words.
        retry_after: seconds, of the header `Retry-After`; 0 without one.
    """
    if not status:
        return Unknown(cause or "no answer came") if written else NotSent(cause or "no connection came about")
    answer = _read(body)
    ok = 200 <= status < 300
    if ok and (accepted := _accepted(answer)):
        return accepted
    code = _code(answer.get("error"))
    if code is not None:
        errors = status_errors((verbatim.members(body) or {}).get("error", b""))
        known = CODES.get(code)
        return Refused(kind_of_code(code), code, errors, known.tries if known else 0, retry_after)
    if ok:
        return Unknown(f"Meta answered {status} without a message id")
    if status >= 500:
        return Unknown(f"Meta answered {status} without an error code")
    words = f"HTTP {status} without an error code of Meta's"
    kind: CodeKind = "throttled" if status == 429 else "fail"
    return Refused(kind, None, (StatusError(status, words, words, ""),), 0, retry_after)


def pause_after(attempt: int, jitter: float, kind: CodeKind = "retry") -> float:
    """Return seconds to wait after an attempt: 1, 4, 16, 64, 256, then 300, a fifth shorter or longer, never above 300.

    Args:
        attempt: how many there have been, 1 after the first.
        jitter: 0 to 1.
        kind: of the refusal; after `fail` and `pause` nothing is tried again by itself, so infinite.
    """
    if kind in ("fail", "pause"):
        return math.inf
    gap = min(4.0 ** min(max(attempt, 1) - 1, 5), LONGEST_PAUSE)
    return min(gap * (1 + _JITTER * (2 * jitter - 1)), LONGEST_PAUSE)


def next_after(refusal: Refused | NotSent, attempt: int, jitter: float, left: float) -> float | None:
    """Return seconds until the next attempt, or None when the message is given up.

    Args:
        refusal: what the attempt came to; `NotSent` is tried again like `retry`.
        attempt: how many there have been, this one included.
        jitter: 0 to 1.
        left: seconds until the message may no longer be tried; no attempt is made later.
    """
    kind: CodeKind = "retry"
    at_least = 0.0
    if isinstance(refusal, Refused):
        if refusal.tries and attempt >= refusal.tries:
            return None
        kind, at_least = refusal.kind, refusal.retry_after
    pause = max(pause_after(attempt, jitter, kind), at_least)
    return pause if pause <= left and pause < math.inf else None


def _read(body: bytes) -> dict[str, Any]:
    """Return what can be read of an answer; {} for what is no JSON, such as a proxy's page."""
    try:
        verbatim.check(body)
    except NotJson:
        return {}
    return verbatim.readable_members(body)


def _accepted(answer: dict[str, Any]) -> Accepted | None:
    message, contact = _first(answer.get("messages")), _first(answer.get("contacts"))
    wamid = scalars.ident(message.get("id"), scalars.WAMID_LIMIT)
    if not wamid:
        return None
    return Accepted(
        wamid,
        scalars.keyword(message.get("message_status")),
        scalars.ident(contact.get("wa_id")) or "",
        scalars.ident(contact.get("user_id")) or "",
    )


def _first(value: object) -> dict[str, Any]:
    first = value[0] if isinstance(value, list) and value else None
    return first if isinstance(first, dict) else {}


def _code(error: object) -> int | None:
    """Return the code of Meta's error object; None when there is none that names one."""
    given = error.get("code") if isinstance(error, dict) else None
    if isinstance(given, str) and re.fullmatch(r"[0-9]{1,18}", given):
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) and abs(given) < _LARGEST else None
