"""Signatures and secrets of the SDK, with the reference library and OpenSSL's answers as oracles."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from tests.unit.sdk.test_json import unhurried

from tellwire_sdk import (
    Reason,
    WebhookError,
    hub_signature,
    make_secret,
    secret_key,
    sign,
    wappcloud_signature,
    whsec_form,
)

OWN = "a secret of my own, ¡olé!"
MADE = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

own_secrets = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=16, max_size=128).filter(
    lambda text: not text.startswith("whsec_")
)
made_secrets = st.binary(min_size=32, max_size=32).map(make_secret)
secrets = own_secrets | made_secrets
ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
times = st.integers(0, 253402300799)


@unhurried
@given(st.text(), ids, times, secrets)
def test_sign_agrees_with_the_reference_library(text: str, webhook_id: str, timestamp: int, secret: str):
    ours = sign(text.encode(), webhook_id=webhook_id, timestamp=timestamp, secrets=[secret])
    theirs = Webhook(whsec_form(secret)).sign(webhook_id, datetime.fromtimestamp(timestamp, UTC), text)
    assert ours == theirs


def test_sign_known_value():
    """From the specification's own test vector."""
    signature = sign(
        b'{"test": 2432232314}',
        webhook_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_sign_gives_one_entry_for_each_secret():
    both = sign(b"{}", webhook_id="m", timestamp=1, secrets=[MADE, OWN])
    alone = [sign(b"{}", webhook_id="m", timestamp=1, secrets=[secret]) for secret in (MADE, OWN)]
    assert both == " ".join(alone)
    assert alone[0] != alone[1]


def test_vendors_signatures_are_keyed_with_the_text_of_the_secret():
    """Expected values are OpenSSL's: openssl dgst -sha256 -hmac SECRET."""
    assert hub_signature(b'{"x":1}', MADE) == (
        "sha256=033763f1b49350bc8b7519689725ab515ade312c5e930bdd214f33e675815b64"
    )
    assert wappcloud_signature(b'{"x":1}', MADE) == hub_signature(b'{"x":1}', MADE)
    assert wappcloud_signature(b'{"x":1}', MADE, prefixed=False) == hub_signature(b'{"x":1}', MADE)[7:]
    assert hub_signature(b"", "short") == "sha256=d1dc9996d36343e5389bb594fb38f03ace27d64436998bd16fdaba82c2c891c6"


@unhurried
@given(st.binary(min_size=32, max_size=32))
def test_made_secrets_hold_their_bytes(random: bytes):
    secret = make_secret(random)
    assert secret.startswith("whsec_")
    assert secret_key(secret) == random
    assert whsec_form(secret) == secret


@unhurried
@given(own_secrets)
def test_a_customers_own_secret_is_its_utf8(secret: str):
    assert secret_key(secret) == secret.encode()
    assert secret_key(whsec_form(secret)) == secret.encode()


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "15 characters..",
        "x" * 129,
        "sixteen letters\n",
        "\x00" * 16,
        "lone surrogate \ud800",
        "whsec_",
        "whsec_not base64 at all!",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        "whsec_" + base64.b64encode(b"fifteen bytes..").decode(),
        "whsec_" + base64.b64encode(b"x" * 513).decode(),
        "whsec_olé",
    ],
)
def test_what_cannot_be_a_secret(secret: str):
    with pytest.raises(WebhookError) as caught:
        secret_key(secret)
    assert caught.value.reason is Reason.BAD_SECRET
    assert len(secret) < 7 or secret not in str(caught.value)


@pytest.mark.parametrize("secret", [b"bytes of 16 and more", None, 5, ["a list of secrets, one"]])
def test_a_secret_is_text(secret):
    for use in (secret_key, whsec_form, lambda given: hub_signature(b"", given)):
        with pytest.raises(WebhookError, match="a secret is text") as caught:
            use(secret)
        assert caught.value.reason == "bad_secret"


def test_no_secret_signs_nothing():
    with pytest.raises(WebhookError, match="no secret"):
        sign(b"", webhook_id="m", timestamp=1, secrets=[])


def test_a_secret_is_made_of_32_bytes():
    with pytest.raises(WebhookError, match="32 random bytes"):
        make_secret(b"x" * 31)


@unhurried
@given(st.text())
def test_any_text_is_a_key_or_a_bad_secret(text: str):
    try:
        key = secret_key(text)
    except WebhookError as error:
        assert error.reason is Reason.BAD_SECRET  # noqa: PT017  (either way is right)
    else:
        assert len(key) >= 16
