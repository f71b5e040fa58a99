"""What a portal link ends in: nothing but what this installation signed is read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tellwire.security import portal_tokens
from tellwire.security.portal_tokens import PortalToken

KEY = b"k" * 32
TOKENS = st.builds(PortalToken, st.uuids().map(str), st.uuids().map(str), st.integers(min_value=0, max_value=2**63 - 1))


@given(TOKENS)
def test_what_is_signed_is_read(token: PortalToken) -> None:
    assert portal_tokens.read(KEY, portal_tokens.token_of(KEY, token)) == token


@given(TOKENS, st.binary(min_size=1, max_size=64).filter(lambda key: key != KEY))
def test_another_key_signs_nothing(token: PortalToken, key: bytes) -> None:
    assert portal_tokens.read(KEY, portal_tokens.token_of(key, token)) is None


@given(st.text(max_size=200))
def test_anything_else_is_none(text: str) -> None:
    assert portal_tokens.read(KEY, text) is None


def test_without_a_key_nothing_is_read() -> None:
    token = PortalToken("00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002", 1)
    assert portal_tokens.read(b"", portal_tokens.token_of(b"", token)) is None
