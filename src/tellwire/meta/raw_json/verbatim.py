"""PURE. JSON cut into verbatim pieces, whatever a piece holds.

msgspec cuts first. It refuses a whole text for one lone surrogate or one deep nest, both of which RFC 8259 allows;
then the functions here cut by themselves, without recursion. Bytes inside strings are not looked at: what is not UTF-8
there costs the one value that is read in full, not its neighbours.

A piece is a buffer of bytes, msgspec's `Raw` or `bytes`: it can be cut or decoded as it is; use `bytes(piece)` for
everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import DecodeError, Raw, ValidationError
from msgspec.json import Decoder

from tellwire.errors import NotJson

MAX_DEPTH = 200
"""How many brackets deep a value may be nested to be read in full."""

_ANY = Decoder()
_TEXT = Decoder(str)
_WHOLE = Decoder(Raw)
_OBJECT = Decoder(dict[str, Raw])
_ARRAY = Decoder(list[Raw])
REFUSALS = (DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a text that it does not take."""

_WS = rb"[ \t\n\r]*+"
_STRING = rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_KEY = _STRING + _WS + rb":"
_EMPTY = rb"\[" + _WS + rb"\]|\{" + _WS + rb"\}"
_VALUE = re.compile(
    _WS + rb"(?:(?P<leaf>" + _STRING + rb"|" + _NUMBER + rb"|true|false|null|" + _EMPTY + rb")"
    rb"|(?P<array>\[)|(?P<object>\{" + _WS + _KEY + rb"))"
)
_AFTER = {
    "array": re.compile(_WS + rb"(?:(?P<next>,)|\])"),
    "object": re.compile(_WS + rb"(?:(?P<next>," + _WS + _KEY + rb")|\})"),
}
_END = re.compile(_WS)
_FIRST = re.compile(_WS + rb"([\[{])")
_MARK = re.compile(rb'"(?:[^"\\]++|\\.)*+"|(?P<open>[\[{]++)|(?P<close>[\]}]++)|(?P<between>[:,])', re.DOTALL)


def check(text: bytes) -> None:
    """Make sure that a text is JSON by RFC 8259, at any depth and with any `\\u` escapes.

    Raises:
        NotJson: it is not; the reason names the byte.
    """
    try:
        _WHOLE.decode(text)
    except REFUSALS:
        _check(text)


def read(text: bytes) -> tuple[Any, str]:
    """Read a JSON text in full: (the value, ""), or (None, why no value can hold it)."""
    if len(text) > 2 * MAX_DEPTH and _many_brackets(bytes(text)) and is_deeper(text, MAX_DEPTH):
        return None, f"it is nested deeper than {MAX_DEPTH} levels"
    try:
        return _ANY.decode(text), ""
    except UnicodeDecodeError:
        return None, "it holds text that is not UTF-8"
    except ValidationError:
        return None, "it holds a number out of range"
    except (DecodeError, RecursionError):
        return None, "it holds half of a surrogate pair"


def _many_brackets(text: bytes) -> bool:
    return text.count(b"[") + text.count(b"{") > MAX_DEPTH


def members(text: bytes) -> Mapping[str, bytes] | None:
    """Cut a JSON object into its members, verbatim and in order; None when the text is no object.

    Of equal keys the last counts. Keys that no text can hold (half a surrogate pair) are left out.
    """
    try:
        return _OBJECT.decode(text)
    except REFUSALS:
        pieces = _pieces(bytes(text), b"{")
    if pieces is None or len(pieces) % 2:
        return None
    found: dict[str, bytes] = {}
    for key, value in zip(pieces[::2], pieces[1::2], strict=True):
        try:
            found[_TEXT.decode(key)] = value
        except REFUSALS:
            continue
    return found


def elements(text: bytes) -> Sequence[bytes] | None:
    """Cut a JSON array into its elements, verbatim; None when the text is no array."""
    try:
        return _ARRAY.decode(text)
    except REFUSALS:
        return _pieces(bytes(text), b"[")


def child_spans(text: bytes, start: int) -> tuple[bytes, list[tuple[int, int]]] | None:
    """Return the opening bracket of an object or array, and the spans of its pieces (keys and values in turn).

    Args:
        text: JSON, as `check` takes it.
        start: where the value begins; white space before it counts to it.

    Returns: None when the value is neither.
    """
    first = _FIRST.match(text, start)
    if first is None:
        return None
    spans = [_trimmed(text, *span) for span in _spans(text, first.end())]
    if len(spans) == 1 and spans[0][0] == spans[0][1]:
        spans = []
    return first[1], spans


def _trimmed(text: bytes, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start] in b" \t\n\r":
        start += 1
    while end > start and text[end - 1] in b" \t\n\r":
        end -= 1
    return start, end


def readable_members(text: bytes) -> dict[str, Any]:
    """Read those members of an object that can be read; {} when the text is no object."""
    value, refused = read(bytes(text))
    if not refused:
        return value if isinstance(value, dict) else {}
    each = {key: read(bytes(piece)) for key, piece in (members(text) or {}).items()}
    return {key: value for key, (value, refused) in each.items() if not refused}


def is_deeper(text: bytes, limit: int) -> bool:
    """Return whether a JSON text is nested more than `limit` brackets deep; a scalar is 0 deep."""
    level = 0
    for mark in _MARK.finditer(text):
        if mark.lastgroup == "open":
            level += mark.end() - mark.start()
            if level > limit:
                return True
        elif mark.lastgroup == "close":
            level -= mark.end() - mark.start()
    return False


def _check(text: bytes) -> None:
    at, open_ones = 0, list[str]()
    while True:
        value = _VALUE.match(text, at)
        if value is None:
            raise NotJson(f"no JSON value at byte {at}")
        at = value.end()
        if value["leaf"] is None:
            open_ones.append(value.lastgroup or "")
            continue
        while open_ones:
            after = _AFTER[open_ones[-1]].match(text, at)
            if after is None:
                raise NotJson(f"an {open_ones[-1]} breaks off at byte {at}")
            at = after.end()
            if after["next"]:
                break
            open_ones.pop()
        else:
            break
    end = _END.match(text, at)
    if end is None or end.end() != len(text):
        raise NotJson(f"more than one JSON value, from byte {at}")


def _pieces(text: bytes, opening: bytes) -> list[bytes] | None:
    """Cut what stands between the outermost brackets at each comma and colon."""
    first = _FIRST.match(text)
    if first is None or first[1] != opening:
        return None
    pieces = [text[start:end].strip(b" \t\n\r") for start, end in _spans(text, first.end())]
    return [] if pieces == [b""] else pieces


def _spans(text: bytes, start: int) -> Iterator[tuple[int, int]]:
    level = 1
    for mark in _MARK.finditer(text, start):
        match mark.lastgroup:
            case "open":
                level += mark.end() - mark.start()
            case "close":
                level -= mark.end() - mark.start()
                if level <= 0:
                    yield start, mark.end() + level - 1
                    return
            case "between" if level == 1:
                yield start, mark.start()
                start = mark.end()
            case _:
                pass
