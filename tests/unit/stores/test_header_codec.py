"""What is kept of an attempt's headers is all of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.model.deliveries import Attempt
from tellwire.stores.records import attempt_rows
from tellwire.stores.records.header_codec import _NAMES, Headers, restore, shorten

ID = "01a20e5b-4ad7-77f6-9674-5aae1dcb5a9b"
FACTS: dict[str, Any] = {"delivery_id": ID, "number": 2, "started_at": 1_795_537_193_699_368}
SENT: Headers = (
    ("content-type", "application/json"),
    ("user-agent", "Tellwire/0.1.0"),
    ("webhook-id", "msg_01a20e5b4ad777f696745aae1dcb5a9b"),
    ("tellwire-attempt", "2"),
    ("webhook-timestamp", "1795537193"),
    ("webhook-signature", "v1,c2ln"),
    ("X-Custom", "a:b"),
)
NAME = st.sampled_from(_NAMES) | st.text("abcXYZ-=", min_size=1)
VALUE = st.sampled_from([value for _, value in SENT]) | st.text(max_size=9)


@given(st.lists(st.tuples(NAME, VALUE)).map(tuple))
def test_every_header_comes_back_as_it_was(headers: Headers) -> None:
    assert restore(shorten(headers, **FACTS), **FACTS) == headers


def test_what_the_attempt_tells_is_not_kept_twice() -> None:
    assert shorten(SENT, **FACTS) == ["A", "bTellwire/0.1.0", "C", "E", "J", "kv1,c2ln", "=X-Custom:a:b"]


@pytest.mark.parametrize("number", [1, 2])
def test_an_attempt_comes_back_from_its_row(number: int) -> None:
    attempt = Attempt(
        delivery_id=ID,
        organization_id="o",
        number=number,
        started_at=FACTS["started_at"],
        outcome="failed",
        cause="your server answered 500",
        url="https://example.com/x",
        request_headers=SENT,
        response_status=500,
        response_headers=(("content-length", "2"), ("x-own", "")),
        response_body=b"no",
        durations={"send": 0.123, "total": 1.5},
    )
    assert attempt_rows.attempt(attempt_rows.attempt_row(attempt)) == attempt


def test_no_field_of_an_attempt_is_lost_in_its_row() -> None:
    whole = Attempt(
        delivery_id="d",
        organization_id="o",
        number=3,
        started_at=1_778_038_763_000_000,
        outcome="failed",
        cause="your server answered 500",
        url="https://b.example/",
        request_headers=(("a", "b"),),
        response_status=500,
        response_headers=(("c", "d"),),
        response_body=b"no",
        durations={"total": 1.5},
        edited=("url", "body"),
    )
    nothing = Attempt(delivery_id="", organization_id="", number=0, started_at=0, outcome="delivered", cause="")
    assert all(getattr(whole, name) != getattr(nothing, name) for name in Attempt.__struct_fields__)
    assert attempt_rows.attempt(attempt_rows.attempt_row(whole)) == whole
