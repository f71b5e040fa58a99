"""PURE. Meta's error objects, which come in several shapes, in the one that we show."""

from __future__ import annotations

from typing import Any

from tellwire.meta.raw_json import verbatim
from tellwire.model.messaging import StatusError

_INT64 = 1 << 63
_MOST_ERRORS = 100
"""How many errors of one item are shown; Meta sends one, and every event of the row carries them."""


def status_errors(errors: bytes) -> tuple[StatusError, ...]:
    """Read Meta's errors (docs/reference/formats.md, "Errors").

    Args:
        errors: JSON as Meta sent it: an array, one object or a text; each error plain or wrapped in `{"error": {…}}`,
            of a webhook (`code, title, message, error_data`) or of the Graph API (`code, type, message, …`).

    Returns:
        Code, title, message and details of each, of at most 100; what is missing is copied from its neighbour, else ""
        (code: 0).
        () for what is no JSON.
    """
    found, refused = verbatim.read(errors)
    if refused or found is None:
        return ()
    return tuple(_error(each) for each in (found[:_MOST_ERRORS] if isinstance(found, list) else [found]))


def _error(given: Any) -> StatusError:
    if isinstance(given, dict) and isinstance(given.get("error"), dict | str):
        given = given["error"]
    if not isinstance(given, dict):
        text = _text(given)
        return StatusError(0 if text else _code(given), text, text, "")
    title, message = _text(given.get("title")), _text(given.get("message"))
    data = given.get("error_data")
    details = _text(data.get("details")) if isinstance(data, dict) else _text(data)
    return StatusError(
        _code(given.get("code")), title or message, message or title, details or _text(given.get("details"))
    )


def _code(given: object) -> int | str:
    match given:
        case bool() | None:
            return 0
        case float() if given.is_integer() and abs(given) < _INT64:
            return int(given)
        case int() if -_INT64 <= given < _INT64:
            return given
        case int() | float() | str():
            return str(given)
        case _:
            return 0


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""
