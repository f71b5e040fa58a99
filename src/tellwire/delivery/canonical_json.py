"""PURE. The bytes that JavaScript makes of a JSON text when it parses it and writes it again.

Some receivers sign what they have parsed and written again instead of what came. Their signature is right when both are
the same bytes. Sources: ECMA-262, "JSON.parse", "JSON.stringify", "Number::toString", "OrdinaryOwnPropertyKeys";
docs/reference/formats.md, "Canonical JSON".
"""

from __future__ import annotations

import json
import math
import re
from json.encoder import encode_basestring
from typing import Any, NoReturn

from tellwire.meta.raw_json import verbatim

MAX_DEPTH = 200
"""How many brackets deep a text may be nested: the same on every Python, whose own limits differ."""
MAX_VALUES = 10_000
"""How many values a text may hold, so that none holds the interpreter for long."""
_SAFE = 15
"""A whole number of so many digits is its own shortest text."""
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_INDEX = re.compile("0|[1-9][0-9]{0,9}")
_LARGEST_INDEX = 2**32 - 2
_HALF = re.compile("[\ud800-\udfff]")


class _Written(str):
    """A value that is JSON already."""

    __slots__ = ()


def canonical(body: bytes) -> bytes:
    """Return what `JSON.stringify(JSON.parse(body))` gives, in UTF-8.

    What is no JSON in UTF-8, nested deeper than `MAX_DEPTH` or of more than `MAX_VALUES` values comes back as it is.
    """
    if _has_too_many_values(body) or verbatim.is_deeper(body, MAX_DEPTH):
        return body
    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=_object,
            parse_int=_whole,
            parse_float=_number,
            parse_constant=_refuse,
        )
        return _text(value).encode()
    except (ValueError, RecursionError):
        return body


def _has_too_many_values(body: bytes) -> bool:
    if verbatim.most_values(body) <= MAX_VALUES:
        return False
    return verbatim.most_values(_STRING.sub(b"", body)) > MAX_VALUES  # a comma in a text parts no values


def _text(value: Any) -> str:
    match value:
        case _Written():
            return value
        case str():
            return _string(value)
        case list():
            return "[" + ",".join(map(_text, value)) + "]"
        case None:
            return "null"
        case _:
            return "true" if value else "false"


def _object(pairs: list[tuple[str, Any]]) -> _Written:
    """Write the members: those with an array's index for a key first, in rising order; of equal keys the last value in
    the first one's place."""
    members = dict(pairs)
    indexes = sorted((key for key in members if _is_index(key)), key=int)
    ordered = dict.fromkeys(indexes) | members
    return _Written("{" + ",".join(f"{_string(key)}:{_text(value)}" for key, value in ordered.items()) + "}")


def _is_index(key: str) -> bool:
    return _INDEX.fullmatch(key) is not None and int(key) <= _LARGEST_INDEX


def _string(text: str) -> str:
    """Write a text: nothing is escaped but quotes, backslashes, control characters and halves of surrogate pairs."""
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", encode_basestring(text))


def _whole(text: str) -> _Written:
    return _Written(text) if len(text) <= _SAFE and text != "-0" else _number(text)


def _number(text: str) -> _Written:
    value = float(text)
    if math.isinf(value):
        return _Written("null")
    if value == 0:
        return _Written("0")
    return _Written(("-" if value < 0 else "") + _decimal(*_digits(abs(value))))


def _digits(value: float) -> tuple[str, int]:
    """Return the fewest digits that mean this number, and how many of them stand before the point."""
    mantissa, _, exponent = repr(value).partition("e")
    before, _, after = mantissa.partition(".")
    digits = (before + after).lstrip("0")
    point = len(before) + int(exponent or "0") - (len(before + after) - len(digits))
    return digits.rstrip("0"), point


def _decimal(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)
