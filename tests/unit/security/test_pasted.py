"""Tokens as they are pasted, and as they are meant."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.errors import Invalid
from tellwire.security.pasted import token_of, trimmed


@pytest.mark.parametrize(
    "given",
    [
        "EAAGx",
        " EAAGx ",
        "Bearer EAAGx",
        "bearer  EAAGx",
        "BEARER\tEAAGx",
        "Bearer Bearer EAAGx",
        "Authorization: Bearer EAAGx",
        "authorization:bearer EAAGx",
        "EAAGx\n",
        "\u00a0EAAGx\u2003",
        "\ufeffEAAGx\u200b ",
        " \u200b Bearer \u2060 EAAGx",
    ],
)
def test_a_token_is_taken_as_it_is_meant(given: str) -> None:
    assert token_of(given, "/x") == "EAAGx"


@pytest.mark.parametrize("given", ["BearerEAAGx", "bearer-EAAGx", "EAAG.x/+=_~", "Bearer:x", "'EAAGx'"])
def test_what_only_looks_alike_stays(given: str) -> None:
    assert token_of(given, "/x") == given


@pytest.mark.parametrize(
    "given",
    ["EAAG\u00e9", "EA AG", "EAAG\tx", "EA\u200bAG", "EA\nAG", "Bearer", "Bearer ", "   ", "\u200b", "Bearer EA AG"],
)
def test_what_fits_no_header_is_refused(given: str) -> None:
    with pytest.raises(Invalid) as refused:
        token_of(given, "/access_token")
    assert [pointer for pointer, _ in refused.value.fields] == ["/access_token"]


def test_none_is_none() -> None:
    assert token_of("", "/x") == ""


@given(st.text() | st.text(alphabet="Bbearer :authoizn\t \u200bx"))
def test_any_text_is_a_token_that_a_header_takes_or_refused(given: str) -> None:
    try:
        token = token_of(given, "/x")
    except Invalid:
        return
    assert re.fullmatch(r"[!-~]*", token)
    assert token in given
    assert token_of(token, "/x") == token
    assert trimmed(token) == token
