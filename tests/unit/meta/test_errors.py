"""Meta's errors in one shape."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwire.meta.errors import status_errors
from tellwire.model.messaging import StatusError


def read(errors: Any) -> tuple[StatusError, ...]:
    return status_errors(json.dumps(errors).encode())


FULL = {
    "code": 131026,
    "title": "Undeliverable",
    "message": "Message undeliverable",
    "error_data": {"details": "Not on WhatsApp"},
    "href": "https://docs.example",
}
SHOWN = StatusError(131026, "Undeliverable", "Message undeliverable", "Not on WhatsApp")


def test_a_webhook_error() -> None:
    assert read([FULL]) == (SHOWN,)


@pytest.mark.parametrize("errors", [[{"error": FULL}], {"error": FULL}, FULL], ids=["wrapped", "bare wrapped", "bare"])
def test_other_wrappings(errors: Any) -> None:
    assert read(errors) == (SHOWN,)


def test_a_graph_error() -> None:
    graph = {"message": "(#131009) Bad value", "type": "OAuthException", "code": 131009, "fbtrace_id": "A1"}
    assert read({"error": graph}) == (StatusError(131009, "(#131009) Bad value", "(#131009) Bad value", ""),)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ({"code": 1, "title": "T"}, StatusError(1, "T", "T", "")),
        ({"code": 1, "message": "M"}, StatusError(1, "M", "M", "")),
        ({"code": 1, "title": "", "message": "M"}, StatusError(1, "M", "M", "")),
        ({"code": 1, "title": "T", "details": "D"}, StatusError(1, "T", "T", "D")),
        ({"code": 1, "details": "D", "error_data": {"details": "E"}}, StatusError(1, "", "", "E")),
        ({"code": 1, "details": "D", "error_data": {"details": ""}}, StatusError(1, "", "", "D")),
        ({"code": 1, "error_data": "E"}, StatusError(1, "", "", "E")),
        ({"code": 1, "error_data": ["E"], "title": 5, "message": None}, StatusError(1, "", "", "")),
        ({"code": "131026"}, StatusError(131026, "", "", "")),
        ({"code": "-7"}, StatusError(-7, "", "", "")),
        ({"code": "BAD_REQUEST"}, StatusError(0, "BAD_REQUEST", "BAD_REQUEST", "")),
        ({"code": "BAD_REQUEST", "message": "M"}, StatusError(0, "M", "M", "")),
        ({"code": "\u0663"}, StatusError(0, "\u0663", "\u0663", "")),
        ({"code": "9" * 19}, StatusError(0, "9" * 19, "9" * 19, "")),
        ({"code": 131026.0}, StatusError(131026, "", "", "")),
        ({"code": 1.5}, StatusError(0, "1.5", "1.5", "")),
        ({"code": 10**30}, StatusError(0, str(10**30), str(10**30), "")),
        ({"code": True}, StatusError(0, "", "", "")),
        ({"code": {}}, StatusError(0, "", "", "")),
        ({}, StatusError(0, "", "", "")),
        ({"error": "gone"}, StatusError(0, "gone", "gone", "")),
        ("gone", StatusError(0, "gone", "gone", "")),
        (131026, StatusError(131026, "", "", "")),
        (None, StatusError(0, "", "", "")),
    ],
)
def test_what_is_missing_is_filled_in(error: Any, shown: StatusError) -> None:
    assert read([error]) == (shown,)


@pytest.mark.parametrize("errors", [b"", b"null", b"[]", b"{", b'["\\ud800"]', b"\xff"])
def test_no_errors(errors: bytes) -> None:
    assert status_errors(errors) == ()


KEYS = st.sampled_from(["code", "title", "message", "details", "error", "error_data"])


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
        max_leaves=12,
    )
)
def test_anything_can_be_shown(errors: Any) -> None:
    shown = status_errors(json.dumps(errors).encode())
    assert msgspec.json.decode(msgspec.json.encode(shown), type=tuple[StatusError, ...]) == shown
    assert all(type(error.code) is int for error in shown)
