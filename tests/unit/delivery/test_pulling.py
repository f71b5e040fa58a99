"""Receipts of pulled deliveries, and which answers count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tellwire.delivery.pulling import Receipt, is_answered_by
from tellwire.model.deliveries import Delivery, DeliveryState

NOW = 2_000_000_000_000_000
WAITS = Delivery(
    id="d",
    organization_id="o",
    event_id="e",
    endpoint_id="p",
    order_key="k",
    state=DeliveryState.PARKED,
    attempts=2,
    replay=1,
    created_at=NOW - 10,
)
ITS = Receipt(3, 1, NOW - 5)
_NUMBER = st.integers(0, 10**18 - 1)


@given(_NUMBER, _NUMBER, _NUMBER)
def test_a_receipt_is_read_as_it_was_given(attempt: int, replay: int, at: int) -> None:
    receipt = Receipt(attempt, replay, at)
    assert Receipt.read(receipt.text) == receipt


@given(st.text(max_size=64))
def test_whatever_else_comes_is_a_receipt_of_three_numbers_or_none(text: str) -> None:
    receipt = Receipt.read(text)
    assert receipt is None or [int(part) for part in text.split(".")] == [receipt.attempt, receipt.replay, receipt.at]


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.3.4", "-1.0.1", "1..1", "٣.0.1", "1.0.1 ", "1.0." + "9" * 19])
def test_what_is_no_receipt(text: str) -> None:
    assert Receipt.read(text) is None


@pytest.mark.parametrize(
    ("delivery", "receipt", "counts"),
    [
        (WAITS, ITS, True),
        (WAITS, replace(ITS, replay=0), True),  # it was replayed while the attempt was under way
        (WAITS, replace(ITS, replay=2), False),
        (WAITS, replace(ITS, attempt=2), False),
        (WAITS, replace(ITS, attempt=4), False),
        (WAITS, replace(ITS, at=NOW - 11), False),
        (WAITS, replace(ITS, at=NOW + 61_000_000), False),
        *((replace(WAITS, state=state), ITS, False) for state in DeliveryState if state is not DeliveryState.PARKED),
    ],
)
def test_which_answers_count(delivery: Delivery, receipt: Receipt, counts: bool) -> None:
    assert is_answered_by(delivery, receipt, NOW) is counts
