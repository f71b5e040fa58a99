"""What a process saw: what looks like Meta's, what ends it, and what strangers cannot make it keep."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.model.inbound import Inbound, ItemReport, Outcome
from tellwire.model.units import HOUR, MICROS
from tellwire.verdict.observed import Observed

NOW = 1_800_000_000_000_000
SIGNATURE = b"sha256=" + b"0" * 64


def body(number: str | None = "123", waba: str = "456", **more: Any) -> bytes:
    metadata = {"phone_number_id": number} if number else {}
    changes = [{"field": "messages", "value": {"metadata": metadata}}]
    return json.dumps(
        {"object": "whatsapp_business_account", "entry": [{"id": waba, "changes": changes}], **more}
    ).encode()


def post(number: str, *, kind: str = "text", outcome: Outcome = Outcome.APPLIED, field: str = "messages") -> Inbound:
    item = ItemReport(pointer="/x", field=field, kind=kind, phone_number_id=number, outcome=outcome)
    return Inbound(id="i", received_at=NOW, body=b"", outcome=outcome, items=(item,))


@pytest.mark.parametrize(
    ("signature", "content", "named"),
    [
        (SIGNATURE, body(), {"123"}),
        (SIGNATURE, body(None), {"456"}),
        (SIGNATURE, body(None, "no digits"), {""}),
        (SIGNATURE, b'{"object":"whatsapp_business_account"}', {""}),
        (SIGNATURE, b'{"object":"page"}', set()),
        (SIGNATURE, b"x" * 5000 + body(), set()),
        (b"sha256=short", body(), set()),
        (b"", body(), set()),
        (b"sha1=" + b"0" * 64, body(), set()),
    ],
)
def test_only_what_looks_like_metas_is_noted(signature: bytes, content: bytes, named: set[str]) -> None:
    seen = Observed(lambda: 0.0)
    seen.refused_signature(signature, content, NOW)
    assert set(seen.refusals.signatures) == named


def test_a_good_post_of_the_number_ends_it_and_another_numbers_does_not() -> None:
    seen = Observed(lambda: 0.0)
    seen.refused_signature(SIGNATURE, body("123"), NOW)
    seen.accepted(post("999"))
    assert set(seen.refusals.signatures) == {"123"}
    seen.accepted(post("123", kind="status sent"))
    assert seen.refusals.signatures == {}


def test_strangers_cannot_fill_the_memory() -> None:
    seen = Observed(lambda: 0.0)
    for number in range(5000):
        seen.refused_signature(SIGNATURE, body(str(number)), NOW)
    assert len(seen.refusals.signatures) <= 201
    assert "" in seen.refusals.signatures


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_noted_or_not(signature: bytes, content: bytes) -> None:
    seen = Observed(lambda: 0.0)
    seen.refused_signature(signature, content, NOW)
    seen.refused_signature(SIGNATURE, b"whatsapp_business_account" + content, NOW)
    seen.refused_without_secret([signature], NOW)
    assert seen.refusals.signatures


def test_without_a_secret_and_handshakes() -> None:
    seen = Observed(lambda: 0.0)
    seen.refused_without_secret([b"nonsense"], NOW)
    assert seen.refusals.without_secret == 0
    seen.refused_without_secret([SIGNATURE], NOW)
    seen.handshake(taken=False, now=NOW)
    assert (seen.refusals.without_secret, seen.refusals.handshake) == (NOW, NOW)
    seen.handshake(taken=True, now=NOW)
    seen.accepted(post("1"))
    assert (seen.refusals.without_secret, seen.refusals.handshake) == (0, 0)


def test_customers_messages_are_traffic_and_nothing_else_is() -> None:
    seen = Observed(lambda: 0.0)
    seen.accepted(post("1"))
    seen.accepted(post("1", kind="image"))
    seen.accepted(post("2", kind="status delivered"))
    seen.accepted(post("3", field="smb_message_echoes"))
    seen.accepted(post("4", outcome=Outcome.UNROUTED))
    seen.accepted(post("5", outcome=Outcome.DUPLICATE))
    assert set(seen.heard_at) == {"1"}
    heard = seen.take_heard()
    assert {name: each.messages for name, each in heard.items()} == {"1": 2}
    assert seen.take_heard() == {}
    seen.accepted(post("1"))
    seen.put_back(heard)
    assert seen.take_heard()["1"].messages == 3


# --- the clock --------------------------------------------------------------------------------------------------------


def date(seconds: float) -> list[tuple[str, str]]:
    return [("Date", formatdate(seconds, usegmt=True))]


class Clocks:
    """Our clock, and one that nobody sets."""

    def __init__(self) -> None:
        self.now, self.passed = NOW, 0.0
        self.seen = Observed(lambda: self.passed)

    def after(self, seconds: float, *, set_by: float = 0.0) -> None:
        self.passed += seconds
        self.now += int((seconds + set_by) * MICROS)

    def offset(self) -> float | None:
        found = self.seen.clock(self.now)
        return None if found is None else round(found.seconds)


@pytest.mark.parametrize("off", [-300, 300, 0, 86_400])
def test_the_date_of_graphs_answers_tells_the_offset(off: int) -> None:
    clocks = Clocks()
    clocks.seen.graph_date(date(NOW / MICROS - off), clocks.now)
    assert clocks.offset() == pytest.approx(off, abs=1)


@pytest.mark.parametrize("value", ["", "yesterday", "Mon, 99 Xyz 2026", "Fri, 99999999999999999999 Jan 1 00:00:00 GMT"])
def test_an_unreadable_date_says_nothing(value: str) -> None:
    clocks = Clocks()
    clocks.seen.graph_date([("date", value)], clocks.now)
    assert clocks.offset() is None


def test_a_comparison_is_void_once_the_clock_is_set_or_it_is_old() -> None:
    clocks = Clocks()
    clocks.seen.graph_date(date(NOW / MICROS + 300), clocks.now)
    clocks.after(600)
    assert clocks.offset() == pytest.approx(-300, abs=1)
    clocks.after(1, set_by=300)
    assert clocks.offset() is None
    clocks.seen.graph_date(date(clocks.now / MICROS + 300), clocks.now)
    clocks.after(HOUR / MICROS + 1)
    assert clocks.offset() is None


def test_a_time_ahead_in_a_post_says_that_our_clock_is_behind_until_one_is_of_just_now() -> None:
    clocks = Clocks()
    seconds = NOW // MICROS
    for old in (0, seconds - 86_400, seconds, seconds + 30):
        clocks.seen.newest_item(old, clocks.now)
        assert clocks.offset() is None
    clocks.seen.newest_item(seconds + 600, clocks.now)
    assert clocks.offset() == -600
    clocks.seen.newest_item(seconds - 3600, clocks.now)
    assert clocks.offset() == -600
    clocks.seen.newest_item(seconds - 3, clocks.now)
    assert clocks.offset() == pytest.approx(3)
