"""Parameters and bodies: any text and any bytes are a value or the documented problem."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from tellwire.errors import BadRequest, Invalid, NotFound
from tellwire.ids import IdMaker, id_floor
from tellwire.model.row_json import instant
from tellwire.stores.queries.paging import PageRequest
from tellwire.web.parameters import cursor_of, decode_body, instant_of, our_id, page_request
from tellwire.web.problems import json_pointer

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UUID = "019dfb5e-6df8-7195-80e9-beb3211c0ad7"


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T00:00:00.1234567899Z", 123_456),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T01:00:00 01:00", 0),
        ("1969-12-31T23:00:00-01:00", 0),
        ("1969-12-31T23:59:59.5Z", -500_000),
        ("2026-05-06T03:39:23+00:00", 1_778_038_763_000_000),
        ("0001-01-01T23:59:00+23:59", -62_135_596_800_000_000),
        ("9999-12-31T00:00:59-23:59", 253_402_300_799_000_000),
    ],
)
def test_known_times(text: str, micros: int) -> None:
    assert instant_of(text, "since") == micros


def test_no_time_is_none() -> None:
    assert instant_of("", "since") is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_times_beyond_the_calendar_are_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        instant_of(text, "since")


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001 - its zone is drawn below
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_times_of_any_zone(at: datetime, minutes: int) -> None:
    zoned = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert instant_of(zoned.isoformat(), "since") == (zoned - EPOCH) // timedelta(microseconds=1)


@given(st.integers(0, 253_402_300_799_999_999))
def test_times_that_we_show_are_taken(micros: int) -> None:
    assert instant_of(instant(micros), "since") == micros


@given(
    st.text(max_size=80) | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", fullmatch=True)
)
def test_any_text_is_a_time_or_invalid(text: str) -> None:
    try:
        found = instant_of(text, "since")
    except Invalid as problem:
        assert [pointer for pointer, _ in problem.fields] == ["/since"]  # noqa: PT017 - either way is right
    else:
        assert (found is None) == (text == "")


# --- cursors ----------------------------------------------------------------------------------------------------------


def test_cursor_leads_back() -> None:
    cursor = cursor_of("events", UUID)
    assert cursor is not None
    assert cursor.isascii()
    assert page_request("events", 5, cursor) == PageRequest(5, UUID)
    assert page_request("events", 5, "") == PageRequest(5)
    assert cursor_of("events", "") is None
    with pytest.raises(Invalid):
        page_request("messages", 5, cursor)


@given(st.text(max_size=200))
def test_any_other_cursor_is_invalid(cursor: str) -> None:
    if cursor:
        with pytest.raises(Invalid):
            page_request("events", 5, cursor)


@given(st.text(max_size=60))
def test_what_is_no_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        our_id(text, "event")


def test_our_id() -> None:
    assert our_id(UUID, "event") == UUID


# --- bodies -----------------------------------------------------------------------------------------------------------


class Inner(Struct, forbid_unknown_fields=True):
    b: Annotated[int, Meta(ge=1)] = 1


class Outer(Struct, forbid_unknown_fields=True):
    a: tuple[Inner, ...] = ()
    m: dict[str, int] = {}
    s: str = ""


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"a": 5}', "/a"),
        (b'{"a": [{}, {"b": 0}]}', "/a/1/b"),
        (b'{"a": [{"c": 1}]}', "/a/0/c"),
        (b'{"a": [{"c/d~": 1}]}', "/a/0/c~1d~0"),
        (b'{"m": {"x": "y"}}', "/m"),
        (b'{"m": {"x": "y"}, "z": 1}', "/m"),
        (b'{"x": 1}', "/x"),
        (b"[]", ""),
        (b"null", ""),
    ],
)
def test_faults_are_pointed_at(body: bytes, pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode_body(body, Outer)
    assert [found for found, _ in caught.value.fields] == [pointer]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_problem(body: bytes) -> None:
    try:
        json.loads(body)
        is_json = True
    except (ValueError, RecursionError):
        is_json = False
    try:
        decode_body(body, Outer)
    except BadRequest:
        pass
    except Invalid:
        assert is_json
    else:
        assert is_json


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "m", "s", "x", "a/b", "~"]), JSON, max_size=3))
def test_pointers_lead_into_the_body(value: dict[str, Any]) -> None:
    try:
        decode_body(msgspec.json.encode(value), Outer)
    except Invalid as problem:
        ((pointer, message),) = problem.fields
        assert message
        found: Any = value
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found[int(name)] if isinstance(found, list) else found[name]


def test_pointer_of_a_path() -> None:
    assert json_pointer("") == ""
    assert json_pointer(".a[0].b") == "/a/0/b"
    assert json_pointer(".a[...].b") == "/a"
    assert json_pointer("[3]") == "/3"


# --- ids as times -----------------------------------------------------------------------------------------------------


@given(st.integers(1_000_000, (1 << 48) * 1000 - 1001), st.integers(0, 10**12))
def test_no_id_lies_below_the_floor_of_its_time(at: int, earlier: int) -> None:
    assert id_floor(max(0, at - earlier)) < IdMaker().make(at)
    assert id_floor(at + 1000) > IdMaker().make(at)


@given(st.integers())
def test_any_time_has_a_floor(at: int) -> None:
    assert len(id_floor(at)) == 14
