"""Phone numbers and their spellings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwire.meta.phone_numbers import alias, same_address, variants

MOBILES = st.one_of(
    st.from_regex(r"55[1-9][1-9]9?[2-9][0-9]{7}", fullmatch=True),
    st.from_regex(r"521?[1-9][0-9]{9}", fullmatch=True),
    st.from_regex(r"549?[1-9][0-9]{9}", fullmatch=True),
    st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True),
    st.text(),
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5561990000003", "556190000003"),
        ("5511960000003", "551160000003"),
        ("5215500000002", "525500000002"),
        ("5491150000004", "541150000004"),
    ],
    ids=["Brazil", "Brazil, mobile from 6", "Mexico", "Argentina"],
)
def test_two_spellings_of_one_number(one: str, other: str) -> None:
    assert variants(one) == (other,)
    assert variants(other) == (one,)
    assert same_address(f"+{one[:2]} {one[2:]}", other)


@pytest.mark.parametrize(
    "number",
    [
        "551130000003",  # a Brazilian landline has no ninth digit to add
        "5511930000003",  # nor would this one without its 9 be anything but a landline
        "55119000000031",
        "550190000003",  # no area code holds a zero
        "16505550004",
        "491700000005",
        "5255000000",
        "MX.90000000000000000002",
        "120363000000000001@g.us",
        "",
    ],
)
def test_one_spelling_only(number: str) -> None:
    assert variants(number) == ()


@settings(deadline=None)
@given(MOBILES)
def test_variants_are_symmetric_and_never_the_number_itself(number: str) -> None:
    for variant in variants(number):
        assert variant != alias(number)
        assert alias(number) in variants(variant)
        assert same_address(number, variant)
        assert same_address(variant, number)


@pytest.mark.parametrize(
    ("address", "compared"),
    [
        ("+52 155 0000-0002", "521550000" + "0002"),
        ("1-555-010-0001", "15550100001"),
        ("+55 (61) 99000.0003", "5561990000003"),
        ("5215500000002", "5215500000002"),
        ("MX.90000000000000000002", "MX.90000000000000000002"),
        ("120363000000000001@g.us", "120363000000000001@g.us"),
        ("٣٤٥", "٣٤٥"),
        ("+", "+"),
        ("", ""),
    ],
)
def test_addresses_are_compared_by_digits_when_they_are_numbers(address: str, compared: str) -> None:
    assert alias(address) == compared


@settings(deadline=None)
@given(st.text())
def test_comparing_is_idempotent(address: str) -> None:
    assert alias(alias(address)) == alias(address)
