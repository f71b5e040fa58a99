"""PURE. Meta's error objects, which come in several shapes, in the one that we show."""

from __future__ import annotations

import re
from typing import Any

from tellwire.meta.raw_json import verbatim
from tellwire.model.messaging import StatusError

_INT64 = 1 << 63
_NUMBER = re.compile(r"-?[0-9]{1,20}")
_MOST_ERRORS = 100
"""How many errors of one item are shown; Meta sends one, and every event of the row carries them."""


def status_errors(errors: bytes) -> tuple[StatusError, ...]:
    """Read Meta's errors (docs/reference/formats.md, "Errors").

    Args:
        errors: JSON as Meta sent it: an array, one object or a text; each error plain or wrapped in `{"error": {…}}`,
            of a webhook (`code, title, message, error_data`) or of the Graph API (`code, type, message, …`).

    Returns:
        Code, title, message and details of each, of at most 100; what is missing is copied from its neighbour, else "".
        A code is a 64-bit integer; one that is none is 0, and stands for a missing title.
        () for what is no JSON.
    """
    found, refused = verbatim.read(errors)
    if refused or found is None:
        return ()
    return tuple(_error(each) for each in (found[:_MOST_ERRORS] if isinstance(found, list) else [found]))


def _error(given: Any) -> StatusError:
    if isinstance(given, dict) and isinstance(given.get("error"), dict | str):
        given = given["error"]
    if isinstance(given, str):
        return StatusError(0, given, given, "")
    if not isinstance(given, dict):
        given = {"code": given}
    code = _code(given.get("code"))
    title, message = _text(given.get("title")), _text(given.get("message"))
    title = title or message or ("" if code else _words(given.get("code")))
    data = given.get("error_data")
    details = _text(data.get("details")) if isinstance(data, dict) else _text(data)
    return StatusError(code, title, message or title, details or _text(given.get("details")))


def _code(given: object) -> int:
    """Return a code as an integer, as both formats have it; 0 for what is none."""
    match given:
        case bool():
            return 0
        case str() if _NUMBER.fullmatch(given):
            return _code(int(given))
        case float() if given.is_integer() and abs(given) < _INT64:
            return int(given)
        case int() if -_INT64 <= given < _INT64:
            return given
        case _:
            return 0


def _words(code: object) -> str:
    """Return a code that is no integer as words, "" for none."""
    return str(code) if isinstance(code, str | int | float) and not isinstance(code, bool) and code else ""


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""
