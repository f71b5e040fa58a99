"""What people type, as the API takes it: whatever it is, it never becomes an error of ours."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.web.console.api_calls import ApiProblem
from tellwire.web.console.fields import faults_of, filled, json_of, lines, number, typed
from tellwire.web.console.message_templates import Preview, components_of, preview_of


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", None),
        ("  ", None),
        ("7", 7),
        ("0.5", 0.5),
        (" 7 ", 7),
        ("many", "many"),
        ("nan", "nan"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_numbers(text: str, meant: object) -> None:
    assert number(text) == meant


@given(st.text())
def test_whatever_is_typed_can_be_sent(text: str) -> None:
    for meant in (number(text), json_of(text), lines(text)):
        msgspec.json.encode(meant)
        assert not isinstance(meant, float) or math.isfinite(meant)


def test_json_that_is_none_stays_a_text() -> None:
    assert json_of(" ") == []
    assert json_of('[{"a": 1}]') == [{"a": 1}]
    for text in ("{", "[" * 100_000, "NaN", "[1e999]"):
        msgspec.json.encode(json_of(text))


def test_what_is_wrong_stands_with_its_field() -> None:
    errors = [
        {"pointer": "/name", "message": "is missing"},
        {"pointer": "/tools/0/url", "message": "is no URL"},
        {"pointer": "/tools/1/url", "message": "neither"},
        {"pointer": "", "message": "is no object"},
    ]
    problem = ApiProblem(422, {"detail": "The body is not valid.", "errors": errors})
    assert faults_of(problem) == {
        "name": "is missing",
        "tools": "0/url: is no URL; 1/url: neither",
        "": "is no object",
    }
    assert faults_of(ApiProblem(503, {"detail": "Try again."})) == {"": "Try again."}


def test_what_is_typed_comes_without_what_every_form_carries() -> None:
    given = typed({"name": "a\r\nb", "csrf": "x", "once": "y", "file": object(), "empty": ""})
    assert given == {"name": "a\nb", "empty": ""}
    assert filled(given, "name", "empty", "missing") == {"name": "a\nb"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "text", "buttons"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_whatever_meta_lists_has_a_preview(components: object) -> None:
    shown = preview_of(components)
    assert all(isinstance(text, str) for text in (shown.header, shown.body, shown.footer, *shown.buttons))


def test_what_a_form_describes_is_what_its_preview_shows() -> None:
    form = {"header": "Hi", "body": "Order {{1}}", "examples": "17", "footer": "Bye", "buttons": "Yes\nNo"}
    shown = preview_of(components_of(form))
    assert shown == Preview(header="Hi", body="Order {{1}}", footer="Bye", buttons=("Yes", "No"))
    assert preview_of([{"type": "header", "format": "IMAGE"}]).media == "IMAGE"
