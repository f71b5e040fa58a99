"""Read what a request gives as wakit does: a value that is empty is not there, and numbers may be texts."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request

from tellwire.errors import Invalid, Problem
from tellwire.web.error_answers import BUSINESS_RULE

MOST = 200
_LONGEST = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def rule(words: str) -> Problem:
    """Return the problem of a request that a rule of wakit's forbids."""
    return Invalid(words, kind=BUSINESS_RULE)


def parameters(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return the query; of a parameter that is given twice, the last.

    Raises:
        Invalid: a value holds characters that no value has.
    """
    given = dict(request.query_params.multi_items())
    return {name: text(value, name) for name, value in given.items()}


def text(value: object, name: str) -> str:
    """Return a text that is not empty, "" for none.

    Raises:
        Invalid: it is neither a text nor a number, or holds characters that no value has.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not value:
        return ""
    if not isinstance(value, str) or _CONTROL.search(value) or len(value) > _LONGEST:
        raise Invalid(f"{name} must be a text of one line, of at most {_LONGEST} characters.")
    return value


def limit(query: dict[str, str], default: int) -> int:
    """Return how many rows are asked for; more than `MOST` count as `MOST`.

    Raises:
        Invalid: it is no whole number.
    """
    given = query.get("limit", "")
    if given and not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise Invalid(f"limit must be a whole number; more than {MOST} count as {MOST}.")
    return min(int(given or 0) or default, MOST)
