"""What `verify` and `verify_token` take and refuse, and that they raise nothing but their one error."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import Message
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from tests.unit.sdk.test_json import unhurried
from tests.unit.sdk.test_signing import ids, secrets, times

from tellwire_sdk import WebhookError, hub_signature, sign, verify, verify_token, wappcloud_signature, whsec_form

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER = "another secret of a customer"
BODY = b'{"data":{"id":"\xc3\xa1"},"entity":"messages","action":"insert"}'
NOW = 1778038763


def signed(body: bytes = BODY, *, secret: str = SECRET, at: int = NOW) -> dict[str, str]:
    signature = sign(body, webhook_id="msg_1", timestamp=at, secrets=[secret])
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}


def refused(body: Any, headers: Any, secret: Any = SECRET, **options: Any) -> str:
    """Return the reason for which `verify` refuses."""
    with pytest.raises(WebhookError) as caught:
        verify(body, headers, secret, **{"now": NOW, **options})
    assert str(caught.value)
    return caught.value.reason


# --- Standard Webhooks ------------------------------------------------------------------------------------------------


@unhurried
@given(st.binary(), ids, times, secrets)
def test_verify_takes_what_sign_made(body: bytes, webhook_id: str, timestamp: int, secret: str):
    signature = sign(body, webhook_id=webhook_id, timestamp=timestamp, secrets=[secret])
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}
    verify(body, headers, secret, now=timestamp)
    assert refused(body + b" ", headers, secret, now=timestamp) == "no_match"


@unhurried
@given(st.text(), ids, secrets)
def test_verify_takes_what_the_reference_library_signs(text: str, webhook_id: str, secret: str):
    moment = datetime.fromtimestamp(NOW, UTC)
    signature = Webhook(whsec_form(secret)).sign(webhook_id, moment, text)
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(NOW), "webhook-signature": signature}
    verify(text.encode(), headers, secret, now=NOW)


@unhurried
@given(st.text(), ids, secrets)
def test_the_reference_library_takes_what_sign_makes(text: str, webhook_id: str, secret: str):
    now = int(time.time())
    signature = sign(text.encode(), webhook_id=webhook_id, timestamp=now, secrets=[secret])
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(now), "webhook-signature": signature}
    Webhook(whsec_form(secret)).verify(text.encode(), headers, json_parse=False)


def test_the_present_is_the_default():
    verify(BODY, signed(at=int(time.time())), SECRET)
    with pytest.raises(WebhookError) as caught:
        verify(BODY, signed(at=NOW - 10**8), SECRET)
    assert caught.value.reason == "too_old"


@pytest.mark.parametrize("offset", [-300, 0, 300])
def test_within_the_tolerance(offset: int):
    verify(BODY, signed(at=NOW + offset), SECRET, now=NOW)


def test_outside_the_tolerance():
    assert refused(BODY, signed(at=NOW - 301)) == "too_old"
    assert refused(BODY, signed(at=NOW + 301)) == "too_new"
    assert refused(BODY, signed(at=NOW - 5), tolerance=4) == "too_old"
    assert refused(BODY, signed(), now=float("nan")) == "too_old"
    verify(BODY, signed(at=NOW - 3600), SECRET, now=NOW, tolerance=3600)


@pytest.mark.parametrize("timestamp", ["now", "1.5", "-1", "+1", "1e9", "٣", "1" * 13, "1" * 70_000, "0x1", "1 1"])
def test_bad_timestamps(timestamp: str):
    assert refused(BODY, signed() | {"webhook-timestamp": timestamp}) == "bad_timestamp"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_does_not_fall_back_on_a_weaker_one(name: str):
    weaker = {"X-Hub-Signature-256": hub_signature(BODY, SECRET)}
    assert refused(BODY, {key: value for key, value in signed().items() if key != name} | weaker) == "missing_headers"
    assert refused(BODY, signed() | {name: " "} | weaker) == "missing_headers"


@pytest.mark.parametrize(
    "signature",
    [
        "garbage",
        "v1,a,b",
        "v1,abc",
        "v1,",
        ",",
        "v1a,b",
        "sha256=é",
        "v1,\ud800",
        "v1,AAAA",
        "v2," + "A" * 43 + "=",
        "v1," + "_" * 43 + "=",
        "x" * 65536,
        "v1,a " * 20_000,
    ],
)
def test_what_is_no_signature(signature: str):
    assert refused(BODY, signed() | {"webhook-signature": signature}) == "bad_signature"


def test_one_good_signature_among_ten_is_enough():
    right = signed()["webhook-signature"]
    wrong = [sign(BODY, webhook_id="msg_1", timestamp=NOW, secrets=[f"secret number {n:08}"]) for n in range(9)]
    noisy = ["v1,a,b", "v1a,xyz", *wrong[:4], right, *wrong[4:]]
    verify(BODY, signed() | {"webhook-signature": " ".join(noisy)}, SECRET, now=NOW)
    noisy.remove(right)
    assert refused(BODY, signed() | {"webhook-signature": " ".join(noisy)}) == "no_match"


def test_any_of_several_secrets_is_enough():
    verify(BODY, signed(), [OTHER, SECRET], now=NOW)
    verify(BODY, signed(secret=OTHER), (OTHER, SECRET), now=NOW)
    assert refused(BODY, signed(), [OTHER]) == "no_match"


def test_id_and_timestamp_are_signed():
    assert refused(BODY, signed() | {"webhook-id": "msg_2"}) == "no_match"
    assert refused(BODY, signed() | {"webhook-timestamp": str(NOW + 1)}) == "no_match"


# --- the shape of headers ---------------------------------------------------------------------------------------------


def message(headers: Mapping[str, str]) -> Message:
    made = Message()
    for name, value in headers.items():
        made[name] = value
    return made


@pytest.mark.parametrize(
    "shape",
    [
        lambda headers: {name.title(): value for name, value in headers.items()},
        lambda headers: {name.upper().encode(): value.encode() for name, value in headers.items()},
        lambda headers: list(headers.items()),
        lambda headers: ((name.encode(), value.encode()) for name, value in headers.items()),
        lambda headers: [*headers.items(), *headers.items()],
        lambda headers: [["Accept", None], [5, 5], *map(list, headers.items())],
        lambda headers: [*headers.items(), ("Webhook-Signature", "v1,more")],
        lambda headers: {name: f" {value}\t" for name, value in headers.items()},
        message,
    ],
)
def test_headers_come_in_many_shapes(shape):
    verify(BODY, shape(signed()), SECRET, now=NOW)


@pytest.mark.parametrize(
    "headers",
    [
        None,
        5,
        "webhook-id: 1",
        b"webhook-id",
        [("webhook-id",)],
        ["webhook-id"],
        [None],
        {"webhook-id": None},
        {"webhook-id": 5},
        [*signed().items(), ("WEBHOOK-ID", "msg_2")],
        [*signed().items(), ("webhook-timestamp", str(NOW + 1))],
    ],
)
def test_headers_that_are_none(headers):
    assert refused(BODY, headers) == "bad_headers"


@pytest.mark.parametrize("headers", [{}, [], {"content-type": "application/json"}])
def test_no_signature_at_all(headers):
    assert refused(BODY, headers) == "missing_headers"


@pytest.mark.parametrize("body", ["text", None, 5, {}, [1]])
def test_a_body_is_bytes(body):
    assert refused(body, signed()) == "not_bytes"


def test_a_body_may_be_any_kind_of_bytes():
    verify(bytearray(BODY), signed(), SECRET, now=NOW)
    verify(memoryview(BODY), signed(), SECRET, now=NOW)


@pytest.mark.parametrize("secret", [None, 5, b"bytes of 16 and more", [], [None], [b"x"], "", "short", ["whsec_?"]])
def test_secrets_that_are_none(secret):
    assert refused(BODY, signed(), secret) == "bad_secret"


# --- the vendors' signatures ------------------------------------------------------------------------------------------

VENDORS = {
    "hub": {"x-hub-signature-256": hub_signature(BODY, SECRET)},
    "prefixed": {"X-Wappcloud-Signature": wappcloud_signature(BODY, SECRET)},
    "bare": {"X-WAPPCLOUD-SIGNATURE": wappcloud_signature(BODY, SECRET, prefixed=False)},
    "upper": {"x-wappcloud-signature": wappcloud_signature(BODY, SECRET, prefixed=False).upper()},
    "one of two": {
        "x-wappcloud-signature": wappcloud_signature(BODY, OTHER),
        "x-hub-signature-256": hub_signature(BODY, SECRET),
    },
}


@pytest.mark.parametrize("name", VENDORS)
def test_vendors_signatures_count_without_standard_ones(name: str):
    verify(BODY, VENDORS[name], SECRET, now=NOW)
    verify(BODY, VENDORS[name], [OTHER * 2, SECRET], now=NOW)
    assert refused(BODY + b" ", VENDORS[name]) == "no_match"
    assert refused(BODY, VENDORS[name], OTHER * 2) == "no_match"
    assert refused(BODY, VENDORS[name], require_timestamp=True) == "missing_headers"
    assert refused(BODY, VENDORS[name], "") == "bad_secret"


def test_a_vendors_secret_may_be_short():
    verify(BODY, {"X-Wappcloud-Signature": wappcloud_signature(BODY, "abc")}, "abc", now=NOW)


@pytest.mark.parametrize(
    "value",
    ["", "sha256=", "sha256=é", "sha256=abc", "sha1=" + "a" * 40, "a" * 63, "a" * 64 + "\n0", "g" * 64, "a" * 65536],
)
def test_what_is_no_vendors_signature(value: str):
    for name in ("X-Wappcloud-Signature", "X-Hub-Signature-256"):
        assert refused(BODY, {name: value}) == "bad_signature"


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["Bearer t0k3n", "bearer t0k3n", b"Bearer  t0k3n "])
def test_a_token(value):
    verify_token([("authorization", value)], "t0k3n")


@pytest.mark.parametrize(
    ("headers", "token", "reason"),
    [
        ({}, "t", "missing_headers"),
        ({"Authorization": ""}, "t", "no_match"),
        ({"Authorization": "Bearer"}, "t", "no_match"),
        ({"Authorization": "Bearer u"}, "t", "no_match"),
        ({"Authorization": "Basic t"}, "t", "no_match"),
        ({"Authorization": "Bearer \ud800é"}, "t", "no_match"),
        ({"Authorization": "Bearer "}, "", "bad_secret"),
        ({"Authorization": "Bearer None"}, None, "bad_secret"),
        ([("Authorization", "Bearer t"), ("authorization", "Bearer u")], "t", "bad_headers"),
        (None, "t", "bad_headers"),
    ],
)
def test_tokens_that_do_not_count(headers, token, reason: str):
    with pytest.raises(WebhookError) as caught:
        verify_token(headers, token)
    assert caught.value.reason == reason


def test_a_token_is_not_a_signature():
    assert refused(BODY, {"Authorization": f"Bearer {SECRET}"}) == "missing_headers"


# --- anything ---------------------------------------------------------------------------------------------------------

names = st.sampled_from(
    ["webhook-id", "Webhook-Timestamp", b"webhook-signature", "X-Wappcloud-Signature", b"x-hub-signature-256", "Accept"]
)
values = st.one_of(
    st.text(),
    st.binary(),
    st.none(),
    st.integers(),
    st.just(str(NOW)),
    st.text(st.sampled_from("v1,= sha256abAB/+-_é"), max_size=80),
    st.binary(min_size=32, max_size=32).map(lambda digest: "sha256=" + digest.hex()),
    st.sampled_from(["v1," + "A" * 43 + "=", "sha256=é", "v1,a,b"]),
)
any_headers = st.one_of(
    st.dictionaries(names | st.text(), values),
    st.lists(st.tuples(names | st.text() | st.binary() | st.none(), values)),
    st.lists(values),
    values,
)
any_secret = st.one_of(st.just(SECRET), st.text(), st.binary(), st.none(), st.lists(st.text() | st.binary()))


@unhurried
@given(st.binary(), any_headers, any_secret, st.booleans())
def test_verify_raises_nothing_but_its_error(body: bytes, headers, secret, require_timestamp: bool):
    refused(body, headers, secret, require_timestamp=require_timestamp)


@unhurried
@given(any_headers, st.text() | st.none())
def test_verify_token_raises_nothing_but_its_error(headers, token):
    try:
        verify_token(headers, token)
    except WebhookError as error:
        assert error.reason in {"missing_headers", "bad_headers", "bad_secret", "no_match"}  # noqa: PT017
