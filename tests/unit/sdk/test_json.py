"""JSON that is read and written again without a change."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tellwire_sdk import ExactFloat, WebhookError
from tellwire_sdk.json_text import read_json, write_json

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For machines that are busy with something else."""

number_texts = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


def written(text: str, *, escaped: bool) -> str:
    literal = json.dumps(text, ensure_ascii=escaped)
    return literal.encode("utf-8", "backslashreplace").decode()


string_texts = st.builds(lambda text, escaped: written(text, escaped=escaped), st.text(), st.booleans())


def objects_of(items: st.SearchStrategy[str], *, names: st.SearchStrategy[str] = string_texts) -> Any:
    """Draw texts of JSON objects, some of them with blanks."""
    pairs = st.lists(st.tuples(names, items), max_size=5, unique_by=lambda pair: json.loads(pair[0]))
    return st.builds(
        lambda members, blank: "{" + f",{blank}".join(f"{name}{blank}:{value}" for name, value in members) + "}",
        pairs,
        st.sampled_from(["", " ", "\n\t"]),
    )


json_texts = st.recursive(
    number_texts | string_texts | st.sampled_from(["null", "true", "false"]),
    lambda items: st.lists(items, max_size=4).map(lambda parts: "[" + ",".join(parts) + "]") | objects_of(items),
    max_leaves=20,
)


def semantics(text: str | bytes) -> Any:
    """Return the value of a JSON text, with the order of keys and the text of numbers."""
    return json.loads(
        text,
        object_pairs_hook=lambda pairs: ("object", tuple(dict(pairs).items())),
        parse_int=lambda number: ("number", number),
        parse_float=lambda number: ("number", number),
    )


@unhurried
@given(json_texts)
def test_written_is_what_was_read(text: str):
    assert semantics(write_json(read_json(text.encode()))) == semantics(text)


@unhurried
@given(json_texts)
def test_values_are_pythons_own(text: str):
    assert read_json(text.encode()) == json.loads(text)


@unhurried
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes):
    try:
        value = read_json(body)
    except WebhookError as error:
        assert error.reason == "not_json"  # noqa: PT017
    else:
        assert value == json.loads(body.decode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1,]",
        b"{} {}",
        b"NaN",
        b"[Infinity]",
        b'{"a":-Infinity}',
        b"\xff",
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"01",
        b"'a'",
        b'"\x00"',
    ],
)
def test_what_is_no_json(body: bytes):
    with pytest.raises(WebhookError) as caught:
        read_json(body)
    assert caught.value.reason == "not_json"


def test_no_depth_is_too_much_to_write():
    value: object = 1.5
    for _ in range(20_000):
        value = {"a": [value]}
    assert write_json(value) == b'{"a":[' * 20_000 + b"1.5" + b"]}" * 20_000


def test_a_lone_surrogate_stays_what_it_was():
    assert write_json(read_json(b'{"\\ud800":"\\udfff \\ud83c\\udf4a"}')) == '{"\\ud800":"\\udfff 🍊"}'.encode()


def test_numbers():
    number = read_json(b"1.10")
    assert isinstance(number, float)
    assert number == 1.1
    assert read_json(b"-0").text == "-0"
    assert math.isinf(read_json(b"1e999"))
    assert read_json(b"12345678901234567890123") == 12345678901234567890123
    assert write_json(read_json(b"9" * 5000)) == b"9" * 5000
    assert write_json([1, 1.5, True, None]) == b"[1,1.5,true,null]"


def test_an_exact_float_survives_copies():
    number = ExactFloat("1.10")
    for copied in (copy.copy(number), copy.deepcopy(number), pickle.loads(pickle.dumps(number))):
        assert copied == number
        assert copied.text == "1.10"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, object(), b"bytes", {"a"}])
def test_what_json_has_no_place_for(value):
    with pytest.raises(WebhookError) as caught:
        write_json({"a": [value]})
    assert caught.value.reason == "not_json"
