"""PURE. JSON cut into verbatim pieces, whatever a piece holds.

msgspec cuts first. It refuses a whole text for one lone surrogate or one deep nest, both of which RFC 8259 allows;
then the functions here cut by themselves, without recursion. Bytes inside strings are not looked at: what is not UTF-8
there costs the one value that is read in full, not its neighbours.

What a text costs is bounded: no call makes more than `MAX_VALUES` values of it, so that none holds the interpreter for
long, whatever a text of a few MiB holds.

A piece is a buffer of bytes, msgspec's `Raw` or `bytes`: it can be cut or decoded as it is; use `bytes(piece)` for
everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from msgspec import UNSET, DecodeError, Raw, UnsetType, ValidationError, defstruct
from msgspec.json import Decoder

from tellwire.errors import NotJson

MAX_DEPTH = 200
"""How many brackets deep a value may be nested to be read in full."""
MAX_VALUES = 100_000
"""How many values a text may hold to be read in full; Meta's 3 MB hold fewer."""
MAX_PIECES = 10_000
"""Of a longer array or object only so many pieces are cut, and one more, which tells that there are more."""
_LOOKED_FOR = (
    "object",
    "entry",
    "id",
    "time",
    "changes",
    "field",
    "value",
    "metadata",
    "contacts",
    "messages",
    "message_echoes",
    "statuses",
    "errors",
    "history",
    "threads",
    "user_id_update",
    "calls",
    "from",
    "wa_id",
    "user_id",
)
"""The members that are looked for in an object with more than `MAX_VALUES`: its other members are not cut."""

_ANY = Decoder()
_TEXT = Decoder(str)
_WHOLE = Decoder(Raw)
_OBJECT = Decoder(dict[str, Raw])
_ARRAY = Decoder(list[Raw])
REFUSALS = (DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a text that it does not take."""

_WS = rb"[ \t\n\r]*+"
_HEX = rb"[0-9A-Fa-f]"
_STRING = rb'"(?:[^"\\\x00-\x1f]++|(?:\\u' + 4 * _HEX + rb')++|(?:\\["\\/bfnrt])++)*+"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_KEY = _STRING + _WS + rb":"
_EMPTY = rb"\[" + _WS + rb"\]|\{" + _WS + rb"\}"
_LEAF = rb"(?:" + _STRING + rb"|" + _NUMBER + rb"|true|false|null|" + _EMPTY + rb")"
_AT_ONCE = rb"{0,20000}+"
"""How many leaves one match takes: many, because each match costs; not all, because each holds the interpreter."""
_LEAVES = {
    "array": re.compile(rb"(?:" + _WS + _LEAF + _WS + rb",)" + _AT_ONCE),
    "object": re.compile(rb"(?:" + _WS + _LEAF + _WS + rb"," + _WS + _KEY + rb")" + _AT_ONCE),
}
_VALUE = re.compile(
    _WS + rb"(?:(?P<leaf>" + _LEAF + rb")|(?P<array>\[(?:" + _WS + rb"\[(?!" + _WS + rb"\]))" + _AT_ONCE + rb")"
    rb"|(?P<object>\{" + _WS + _KEY + rb"))"
)
_AFTER = {
    "array": re.compile(_WS + rb"(?:(?P<next>,)|(?P<close>\](?:" + _WS + rb"\])" + _AT_ONCE + rb"))"),
    "object": re.compile(_WS + rb"(?:(?P<next>," + _WS + _KEY + rb")|(?P<close>\}))"),
}
_END = re.compile(_WS)
_FIRST = re.compile(_WS + rb"([\[{])")
_TEXT_INSIDE = rb'"(?:[^"\\]++|(?:\\u' + 4 * rb'[^"\\]' + rb')++|(?:\\.)++)*+"'
_MARK = re.compile(_TEXT_INSIDE + rb"|(?P<open>[\[{]++)|(?P<close>[\]}]++)|(?P<between>[:,])", re.DOTALL)
_BRACKET = re.compile(
    rb'(?:[^"\[\]{}]++|' + _TEXT_INSIDE + rb"){0,20000}+(?:(?P<open>[\[{]++)|(?P<close>[\]}]++))?", re.DOTALL
)


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
    """Read a JSON text in full: (the value, ""), or (None, why no value can hold it, or why it would cost too much)."""
    if len(text) > MAX_VALUES and most_values(bytes(text)) > MAX_VALUES:
        return None, f"it holds more than {MAX_VALUES} values"
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


def most_values(text: bytes) -> int:
    """Return a number that the number of values in a text does not exceed."""
    return text.count(b",") + text.count(b"[") + text.count(b"{") + 1


def has_many(text: bytes, mark: bytes) -> bool:
    """Return whether a byte stands in a text more than `MAX_VALUES` times, so that cutting it all would cost much."""
    return len(text) > MAX_VALUES and bytes(text).count(mark) > MAX_VALUES


def members(text: bytes) -> Mapping[str, bytes] | None:
    """Cut a JSON object into its members, verbatim and in order; None when the text is no object.

    Of equal keys the last counts. Keys that no text can hold (half a surrogate pair) are left out. Where there are more
    than `MAX_VALUES` colons, only those members are cut that are looked for in any part of a POST.
    """
    try:
        if has_many(text, b":"):
            return _set_fields(_looked_for().decode(text))
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
    """Cut a JSON array into its elements, verbatim; None when the text is no array.

    Of an array with more than `MAX_PIECES` elements only the first `MAX_PIECES` + 1 are cut.
    """
    try:
        if has_many(text, b","):
            return list(_set_fields(_first_elements().decode(text)).values())
        return _ARRAY.decode(text)[: MAX_PIECES + 1]
    except REFUSALS:
        return _pieces(bytes(text), b"[")


@cache
def _looked_for() -> Decoder[Any]:
    fields = [(name, Raw | UnsetType, UNSET) for name in _LOOKED_FOR]
    return Decoder(defstruct("LookedFor", fields, frozen=True, gc=False))


@cache
def _first_elements() -> Decoder[Any]:
    """Return a decoder of an array that skips what follows the first elements, at the cost of looking for its end."""
    fields = [(f"element{number}", Raw | UnsetType, UNSET) for number in range(MAX_PIECES + 1)]
    return Decoder(defstruct("FirstElements", fields, array_like=True, frozen=True, gc=False))


def _set_fields(struct: Any) -> dict[str, bytes]:
    every = ((name, getattr(struct, name)) for name in struct.__struct_fields__)
    return {name: value for name, value in every if value is not UNSET}


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
    at, open_ones, among = 0, list[tuple[str, int]](), False
    while True:
        if among and (leaves := _LEAVES[open_ones[-1][0]].match(text, at)):
            at = leaves.end()
        value = _VALUE.match(text, at)
        if value is None:
            raise NotJson(f"no JSON value at byte {at}")
        at = value.end()
        if value["leaf"] is None:
            _push(open_ones, value.lastgroup or "", (value["array"] or b"{").count(b"[") or 1)
            among = False
            continue
        while open_ones:
            kind, depth = open_ones[-1]
            after = _AFTER[kind].match(text, at)
            if after is None:
                raise NotJson(f"an {kind} breaks off at byte {at}")
            at = after.end()
            if after["next"]:
                among = True
                break
            depth -= after["close"].count(b"]") if kind == "array" else 1
            if depth < 0:
                raise NotJson(f"a bracket closes nothing before byte {at}")
            open_ones[-1:] = [(kind, depth)] if depth else []
        else:
            break
    end = _END.match(text, at)
    if end is None or end.end() != len(text):
        raise NotJson(f"more than one JSON value, from byte {at}")


def _push(open_ones: list[tuple[str, int]], kind: str, depth: int) -> None:
    """Note that so many arrays, or an object, were opened; arrays directly within arrays are one entry."""
    if kind == "array" and open_ones and open_ones[-1][0] == "array":
        depth += open_ones.pop()[1]
    open_ones.append((kind, depth))


def _pieces(text: bytes, opening: bytes) -> list[bytes] | None:
    """Cut what stands between the outermost brackets at each comma and colon, as far as `MAX_PIECES` says."""
    first = _FIRST.match(text)
    if first is None or first[1] != opening:
        return None
    most = MAX_PIECES + 1 if opening == b"[" else 2 * MAX_PIECES
    pieces = [text[start:end].strip(b" \t\n\r") for start, end in islice(_spans(text, first.end()), most)]
    return [] if pieces == [b""] else pieces


def _spans(text: bytes, start: int) -> Iterator[tuple[int, int]]:
    level, at = 1, start
    while mark := (_MARK.search if level == 1 else _BRACKET.match)(text, at):
        if mark.end() == at:
            return
        at = mark.end()
        match mark.lastgroup:
            case "open":
                level += at - mark.start("open")
            case "close":
                level -= at - mark.start("close")
                if level <= 0:
                    yield start, at + level - 1
                    return
            case "between":
                yield start, mark.start()
                start = at
            case _:
                pass
