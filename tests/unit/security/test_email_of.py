"""An email address has one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.model.members import email_of


@pytest.mark.parametrize("text", ["ana@example.com", " Ana@Example.COM ", "ANA@EXAMPLE.COM"])
def test_spellings_of_one_address_are_one(text: str) -> None:
    assert email_of(text) == "ana@example.com"


@pytest.mark.parametrize(
    "text", ["", "ana", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "а@example.com", "a@\u212aelvin.example"]
)
def test_what_is_no_address_is_nothing(text: str) -> None:
    assert email_of(text) == ""


@given(st.text(max_size=40))
def test_the_spelling_is_final(text: str) -> None:
    assert email_of(email_of(text)) == email_of(text)
