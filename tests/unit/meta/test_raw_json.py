"""JSON in pieces: our own cutting agrees with msgspec's, and with the RFC."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwire.errors import NotJson
from tellwire.meta.raw_json import verbatim

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=9,
)
JSONISH = st.lists(
    st.sampled_from(
        [
            *'{}[]:," \t\n\\',
            "true",
            "nul",
            "null",
            "1",
            "-0",
            "01",
            "1.5",
            "1.",
            "e9",
            "E+",
            "\\u12",
            "\\ud800",
            '"a"',
            "\x01",
        ]
    )
).map("".join)


def oracle(text: str) -> bool:
    """Return whether Python's own reader, held to the RFC, takes a text."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


def accepts(text: bytes) -> bool:
    try:
        verbatim._check(text)
    except NotJson:
        return False
    return True


@settings(deadline=None)
@given(JSONISH | JSON.map(json.dumps) | st.text())
def test_the_check_agrees_with_another_reader(text: str) -> None:
    assert accepts(text.encode()) == oracle(text)


@settings(deadline=None)
@given(JSON.map(json.dumps), st.integers(min_value=0), st.sampled_from([*'{}[]:,"\\ 1etn\x00\xff']))
def test_the_check_agrees_on_damaged_texts(text: str, at: int, put: str) -> None:
    at %= len(text)
    for damaged in (text[:at] + text[at + 1 :], text[:at] + put + text[at:], text[:at] + put + text[at + 1 :]):
        assert accepts(damaged.encode()) == oracle(damaged)


@pytest.mark.parametrize(
    "text",
    [b"", b" ", b"{", b'{"a"}', b'{"a":}', b"[1,]", b'{"a":1,}', b"[1 2]", b"1 2", b"NaN", b"[Infinity]", b"'a'", b"01",
     b'"\n"', b'"\\x"', b'"', b"\xff", b"\xfe\xff", b"[}", b'{"a":1]', b"{1:2}", b"//", b"[" * 100_000, b"]"],
)  # fmt: skip
def test_what_is_not_json_says_where(text: bytes) -> None:
    with pytest.raises(NotJson, match=re.compile("byte [0-9]+")):
        verbatim.check(text)


@pytest.mark.parametrize(
    "text",
    [b"0", b' "a" ', rb'"\ud800"', b"1e999", b'"\xff"', b"9" * 5000, b"[" * 100_000 + b"]" * 100_000,
     b'{"a":' * 3000 + b"{}" + b"}" * 3000, b'"' + rb"\\" * 1_000_000 + b'"'],
)  # fmt: skip
def test_what_the_fast_reader_refuses_may_be_json(text: bytes) -> None:
    verbatim.check(text)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5), st.sampled_from([None, 1]))
def test_members_are_cut_alike(value: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent).encode()
    fast = verbatim.members(text)
    pieces = verbatim._pieces(text, b"{")
    assert fast is not None
    assert pieces is not None
    ours = dict(zip(map(json.loads, pieces[::2]), pieces[1::2], strict=True))
    assert {key: bytes(piece) for key, piece in fast.items()} == ours
    assert {key: json.loads(piece) for key, piece in ours.items()} == value
    assert verbatim.elements(text) is None


@settings(deadline=None)
@given(st.lists(JSON, max_size=5), st.sampled_from([None, 1]))
def test_elements_are_cut_alike(value: list[Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent).encode()
    fast = verbatim.elements(text)
    assert fast is not None
    assert [bytes(piece) for piece in fast] == verbatim._pieces(text, b"[")
    assert [json.loads(bytes(piece)) for piece in fast] == value
    assert verbatim.members(text) is None


def test_a_bad_piece_costs_no_neighbour() -> None:
    text = rb'{ "a" : 1.50 , "b" : ["\ud800", {"c":"}]"}], "\udc00": 2, "d":"x" , "a" : 3 }'
    assert verbatim.members(text) == {"a": b"3", "b": rb'["\ud800", {"c":"}]"}]', "d": b'"x"'}
    assert verbatim.elements(rb'[ 1.50 , "\ud800,]" ,{"a":[",",2]}, "\\" ]') == [
        b"1.50",
        rb'"\ud800,]"',
        b'{"a":[",",2]}',
        rb'"\\"',
    ]
    assert verbatim.elements(rb' [ ["\ud800"] ] ') == [rb'["\ud800"]']
    assert verbatim.elements(rb' [ "\ud800" ] ') == [rb'"\ud800"']


@pytest.mark.parametrize("text", [b"1", b'"\\ud800"', b"null", b'{"a":"\\ud800"}'])
def test_what_is_no_array(text: bytes) -> None:
    assert verbatim.elements(text) is None


@pytest.mark.parametrize("text", [b"1", b'"\\ud800"', b"null", b'["\\ud800"]'])
def test_what_is_no_object(text: bytes) -> None:
    assert verbatim.members(text) is None
    assert verbatim.readable_members(text) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (rb'{"a":"\ud800"}', "half of a surrogate pair"),
        (rb'{"a":"\udc00\ud800"}', "half of a surrogate pair"),
        (b'{"a":1e999}', "number out of range"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
        (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", "nested deeper than 200"),
        (b"[" * 90_000 + b"]" * 90_000, "nested deeper than 200"),
        (b"[" * 100_000 + b"]" * 100_000, "more than 100000 values"),
        (b"[" + b"0," * 100_000 + b"0]", "more than 100000 values"),
        (b"{" + b'"a":{},' * 60_000 + b'"a":{}}', "more than 100000 values"),
    ],
)
def test_what_cannot_be_read_says_why(text: bytes, reason: str) -> None:
    value, refused = verbatim.read(text)
    assert value is None
    assert reason in refused


def test_what_is_merely_long_or_wide_is_read() -> None:
    assert verbatim.read(b"[" * 200 + b"]" * 200)[1] == ""
    assert verbatim.read(json.dumps([{}] * 10_000).encode()) == ([{}] * 10_000, "")
    assert verbatim.read(json.dumps("[" * 10_000).encode()) == ("[" * 10_000, "")


def test_members_that_can_be_read_are_read() -> None:
    assert verbatim.readable_members(rb'{"a":1,"b":"\ud800","c":{"d":2}}') == {"a": 1, "c": {"d": 2}}


@settings(deadline=None)
@given(JSON)
def test_depth(value: Any) -> None:
    def measure(value: Any) -> int:
        match value:
            case dict():
                return 1 + max(map(measure, value.values()), default=0)
            case list():
                return 1 + max(map(measure, value), default=0)
            case _:
                return 0

    text, depth = json.dumps(value).encode(), measure(value)
    assert not verbatim.is_deeper(text, depth)
    assert depth == 0 or verbatim.is_deeper(text, depth - 1)


@pytest.mark.parametrize("value", [["x" * 500], [[]] * 300])
def test_a_piece_is_read_like_a_text(value: list[Any]) -> None:
    text = json.dumps({"a": value}).encode()
    assert verbatim.read((verbatim.members(text) or {})["a"]) == (value, "")


def test_a_deep_piece_is_refused_like_a_text() -> None:
    piece = (verbatim.members(b'{"a":' + b"[" * 300 + b"]" * 300 + b"}") or {})["a"]
    assert verbatim.read(piece) == (None, "it is nested deeper than 200 levels")


@pytest.mark.parametrize("odd", [b"", b',"\\ud800"'], ids=["regular", "with an odd one"])
def test_of_a_long_array_the_first_pieces_are_cut(odd: bytes) -> None:
    pieces = verbatim.elements(b"[" + b",".join(b"[%d]" % number for number in range(200_000)) + odd + b"]")
    assert pieces is not None
    assert [bytes(piece) for piece in pieces] == [b"[%d]" % number for number in range(verbatim.MAX_PIECES + 1)]


def test_of_a_wide_object_what_a_post_has_is_cut() -> None:
    wide = b",".join(b'"%d":%d' % (number, number) for number in range(200_000))
    found = verbatim.members(b'{"id":"a",%b,"messages":[],"id":"b"}' % wide) or {}
    assert {key: bytes(piece) for key, piece in found.items()} == {"id": b'"b"', "messages": b"[]"}
    assert verbatim.members(b"[%b]" % wide.replace(b":", b",")) is None


@given(
    st.lists(
        st.sampled_from([b"[", b"]", b"{", b"}", b'{"a":', b"0", b",", b" ", b'"\\ud800"', b"[]", b"{}"]), max_size=30
    )
)
def test_runs_of_brackets_are_counted_rightly(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    assert accepts(text) == oracle(text.decode())
