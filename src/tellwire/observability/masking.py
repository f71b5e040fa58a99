"""PURE. What may be written of a value: secrets, people's words and phone numbers are replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

MASK = "***"

_PRIVATE = re.compile(
    r"secret|token|authorization|password|cookie|signature|(api|admin|master)_?key|body|content|payload|\btext\b",
    re.IGNORECASE,
)
"""Keys whose values are never written: secrets, and what people wrote to each other."""

_IDENTIFIERS = frozenset(
    {
        *("phone_number_id", "waba_id", "account", "request_id", "inbound_id", "event_id", "delivery_id"),
        *("endpoint_id", "owner", "count"),
    }
)
"""Keys whose digits name a business's account or something of ours, not a person."""
_MAY_BE_A_PHONE = 1_000_000
"""A number of 7 digits or more may be a phone number."""

_IN_TEXT = re.compile(
    r"(?P<uuid>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
    r"|(?P<wamid>wamid\.[A-Za-z0-9+/=_-]+)"
    r"|(?P<key>\b(?:tw_|whsec_|EAA)[A-Za-z0-9+/=_-]{8,}|(?<=Bearer )\S+|(?<=://)[^/\s:@]*:[^/\s@]*(?=@))"
    r"|(?P<phone>\+\d[\d ().-]{6,20}\d|\d{7,})",
    re.IGNORECASE,
)


def masked(value: object, key: str = "") -> object:
    """Return what may be written of a value that stands under `key`: plain JSON types, private parts replaced.

    Phone numbers keep their last two digits, message ids of Meta (which hold the number) their last twelve characters.
    """
    match value:
        case None | bool():
            return value
        case int() | float():
            return value if key in _IDENTIFIERS or abs(value) < _MAY_BE_A_PHONE else f"{MASK}{str(value)[-2:]}"
        case _ if _PRIVATE.search(key):
            return MASK
        case bytes():
            return f"<{len(value)} bytes>"
        case Mapping():
            return {str(masked(str(name))): masked(each, str(name)) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked(each, key) for each in value]
        case Struct():
            return f"<{type(value).__name__}>"
        case _:
            return str(value) if key in _IDENTIFIERS else _IN_TEXT.sub(_replacement, str(value))


def _replacement(found: re.Match[str]) -> str:
    text = found[0]
    match found.lastgroup:
        case "uuid":
            return text
        case "wamid":
            return f"wamid.{MASK}{text[-12:]}"
        case "phone":
            return f"{MASK}{text[-2:]}"
        case _:
            return MASK
