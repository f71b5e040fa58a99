"""Whom a message goes to: addresses as people write them and as rows hold them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.meta.outgoing.recipient import Recipient, known, read

PARENT = "US.ENT.11815799212886844830"


@pytest.mark.parametrize(
    ("to", "address"),
    [
        ("+491701234567", "+491701234567"),
        ("491701234567", "+491701234567"),
        ("  +49 (170) 123-45.67 ", "+491701234567"),
        ("+49\u00a0170\u2011123\u20134567", "+491701234567"),
        ("\u202a+491701234567\u202c", "+491701234567"),
        ("+49 [0]170 1234567", "+4901701234567"),
        ("+1234567", "+1234567"),
        ("+123456789012345", "+123456789012345"),
        # never to another spelling
        ("+5511987654321", "+5511987654321"),
        ("+551187654321", "+551187654321"),
        ("+5215512345678", "+5215512345678"),
        ("+5491123456789", "+5491123456789"),
    ],
)
def test_a_phone_number(to: str, address: str) -> None:
    assert read(to) == (Recipient("phone", address), "")


@pytest.mark.parametrize("to", ["US.13491208655302741918", PARENT, "BR." + "a" * 128, "DE.ENT.A", " US.1 "])
def test_a_business_scoped_user_id(to: str) -> None:
    assert read(to) == (Recipient("user_id", to.strip()), "")


@pytest.mark.parametrize(
    ("to", "words"),
    [
        (None, "must be a text"),
        (491701234567, "must be a text"),
        (["+491701234567"], "must be a text"),
        ("", "must be a phone number"),
        ("+", "must be a phone number"),
        ("Ana", "must be a phone number"),
        ("++491701234567", "must be a phone number"),
        ("49+1701234567", "must be a phone number"),
        ("+٤٩١٧٠١٢٣٤٥٦٧", "must be a phone number"),
        ("us.1349", "must be a phone number"),
        ("US.", "must be a phone number"),
        ("US." + "1" * 129, "must be a phone number"),
        ("US.12_34", "must be a phone number"),
        ("120363040000000000@g.us", "must be a phone number"),
        ("00491701234567", "must start with + instead of 00"),
        ("00 49 170 1234567", "must start with + instead of 00"),
        ("01701234567", "country's code"),
        ("+0491701234567", "country's code"),
        ("+123456", "must have 7 to 15 digits, 6 given"),
        ("+1234567890123456", "must have 7 to 15 digits, 16 given"),
        ("1" * 201, "at most 200 characters"),
    ],
)
def test_no_address(to: object, words: str) -> None:
    found, wrong = read(to)
    assert found is None
    assert words in wrong


@given(st.text() | st.none() | st.integers() | st.from_regex(r"\+?[0-9 ().-]{5,20}"))
def test_anything_is_a_recipient_or_words(to: object) -> None:
    found, wrong = read(to)
    assert bool(wrong) == (found is None)
    if found is not None:
        assert read(found.address) == (found, "")


@pytest.mark.parametrize(
    ("address", "recipient"),
    [
        ("5511987654321", Recipient("phone", "+5511987654321")),
        ("+55 11 98765-4321", Recipient("phone", "+5511987654321")),
        ("US.13491208655302741918", Recipient("user_id", "US.13491208655302741918")),
        (PARENT, Recipient("user_id", PARENT)),
        ("Ana", None),
        ("", None),
    ],
)
def test_a_row_s_address(address: str, recipient: Recipient | None) -> None:
    assert known(address) == recipient


def test_a_group() -> None:
    assert known("120363040000000000", group=True) == Recipient("group", "120363040000000000")
    assert known("", group=True) is None
