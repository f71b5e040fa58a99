"""Signatures and the handshake."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellwire.meta import Signatures, challenge, matching

SECRET = "test_app_secret"
VECTORS = {
    b'{"object":"whatsapp_business_account","entry":[]}': (
        "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"
    ),
    rb'{"object":"whatsapp_business_account","entry":[{"changes":[{"value":{"t":"caf\u00e9 \/ \ud83d\ude00"}}]}]}': (
        "0297366b7f5ac5ec3b14cb56d95cbc4bf9e95612380d84299eafe8604b87db9e"
    ),
    '{"object":"whatsapp_business_account","entry":[{"changes":[{"value":{"t":"café / 😀"}}]}]}'.encode(): (
        "3631f50a0db45ac7cca3ecfac24634528203cbf5fc450dc11754117952d8eb9e"
    ),
}


def sign(secret: str, body: bytes) -> bytes:
    return b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()


@pytest.mark.parametrize(("body", "digest"), VECTORS.items(), ids=["plain", "escaped", "raw"])
def test_vectors(body: bytes, digest: str) -> None:
    assert matching([(SECRET, "app")], body, f"sha256={digest}".encode()) == ["app"]
    others = [other for other in VECTORS.values() if other != digest]
    assert [matching([(SECRET, "app")], body, f"sha256={other}".encode()) for other in others] == [[], []]


def test_upper_case_hex_is_accepted() -> None:
    header = b"sha256=" + sign(SECRET, b"{}")[7:].upper()
    assert matching([(SECRET, 1)], b"{}", header) == [1]


def test_every_matching_secret_counts_and_only_those() -> None:
    secrets = [("other", 1), (SECRET, 2), (SECRET, 3), ("another", 4)]
    assert matching(secrets, b"{}", sign(SECRET, b"{}")) == [2, 3]


def test_an_empty_secret_never_matches() -> None:
    assert matching([("", 1)], b"{}", sign("", b"{}")) == []


def test_a_secret_beyond_ascii_counts_as_utf_8() -> None:
    assert matching([("señal", 1)], b"{}", sign("señal", b"{}")) == [1]


GOOD = sign(SECRET, b"{}")


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"sha256=",
        GOOD[7:],
        b"sha1=" + GOOD[7:],
        b"SHA256=" + GOOD[7:],
        GOOD[:-1],
        GOOD + b"0",
        GOOD + b"\n",
        b" " + GOOD,
        GOOD.replace(b"=", b"= "),
        b",".join([GOOD] * 10),
        b" ".join([GOOD] * 2),
        "sha256=é".encode("latin-1"),
        b"sha256=" + "é".encode() * 32,
        b"sha256=" + b"g" * 64,
        b"\x00" * 71,
        b"a" * 65536,
        b"sha256=" + b"0" * 65536,
    ],
)
def test_hostile_headers_match_nothing(header: bytes | None) -> None:
    assert matching([(SECRET, 1)], b"{}", header) == []


@settings(deadline=None)
@given(st.binary(), st.one_of(st.none(), st.binary()), st.lists(st.text(st.characters())))
def test_any_input_matches_nothing_that_was_not_signed(body: bytes, header: bytes | None, secrets: list[str]) -> None:
    assert matching([(secret, secret) for secret in secrets], body, header) == []


@settings(deadline=None)
@given(st.lists(st.binary()), st.lists(st.text(min_size=1), min_size=1, unique=True))
def test_chunks_count_as_the_whole(chunks: list[bytes], secrets: list[str]) -> None:
    signatures = Signatures((secret, secret) for secret in secrets)
    for chunk in chunks:
        signatures.update(chunk)
    header = sign(secrets[0], b"".join(chunks))
    assert signatures.matches(header) == [secrets[0]]
    assert signatures.matches(header) == matching([(s, s) for s in secrets], b"".join(chunks), header)


QUERY = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "right"}


def test_the_handshake_answers_the_challenge() -> None:
    assert challenge(QUERY, "right") == "1158201444"


@pytest.mark.parametrize(
    ("query", "token"),
    [
        (QUERY, "wrong"),
        (QUERY, ""),
        (QUERY, "rïght"),
        ({**QUERY, "hub.verify_token": ""}, ""),
        ({**QUERY, "hub.verify_token": "\ud800"}, "right"),
        ({**QUERY, "hub.mode": "unsubscribe"}, "right"),
        ({key: value for key, value in QUERY.items() if key != "hub.mode"}, "right"),
        ({key: value for key, value in QUERY.items() if key != "hub.challenge"}, "right"),
        ({**QUERY, "hub.challenge": ""}, "right"),
        ({}, "right"),
        ({}, ""),
    ],
)
def test_the_handshake_refuses(query: dict[str, str], token: str) -> None:
    assert challenge(query, token) is None


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text()), st.text())
def test_the_handshake_never_raises(query: dict[str, str], token: str) -> None:
    assert challenge(query, token) in {None, query.get("hub.challenge")}
