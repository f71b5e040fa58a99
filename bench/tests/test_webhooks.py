"""The bodies that the load sends, and what the sink makes of a delivery."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from bench.webhooks import body, number_in, request, verifies
from hypothesis import given
from hypothesis import strategies as st

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def _delivery(payload: bytes, *, key: bytes = KEY) -> bytes:
    signature = base64.b64encode(hmac.new(key, b"msg_1.1700000000." + payload, hashlib.sha256).digest()).decode()
    head = (
        "POST /hook HTTP/1.1\r\nWebhook-Id: msg_1\r\nwebhook-timestamp:1700000000\r\n"
        f"webhook-signature: v1,{'A' * 44} v1,{signature}"
    )
    return head.encode()


@given(st.integers(min_value=0, max_value=10**10 - 1), st.integers(min_value=1, max_value=5000))
def test_the_number_survives_the_journey(number: int, contacts: int) -> None:
    content = body([number], contacts=contacts, sent_at=1_700_000_000, pad=560)
    assert number_in(content) == number
    assert 900 < len(content) < 1200
    message = json.loads(content)["entry"][0]["changes"][0]["value"]["messages"][0]
    assert message["from"] == str(5215500000001 + number % contacts)


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=1, max_value=20))
def test_accounts_and_contacts_take_turns_together(number: int, accounts: int) -> None:
    content = body(
        range(number, number + 3), contacts=accounts * 5, sent_at=0, pad=1, accounts=accounts, first_account=7
    )
    changes = [change["value"] for change in json.loads(content)["entry"][0]["changes"]]
    pairs = [(int(value["messages"][0]["from"]), int(value["metadata"]["phone_number_id"])) for value in changes]
    assert len(set(pairs)) == min(3, accounts * 5)
    assert all((phone - 5215500000001) % accounts == account - 100000000000008 for phone, account in pairs)


@given(st.binary())
def test_foreign_payloads_have_no_number(payload: bytes) -> None:
    assert number_in(payload) is None


def test_the_request_is_signed_as_meta_signs() -> None:
    sent = request(b"{}", host="127.0.0.1:1", path="/meta/webhook", app_secret="s")
    assert b"X-Hub-Signature-256: sha256=" + hmac.new(b"s", b"{}", hashlib.sha256).hexdigest().encode() in sent
    assert sent.endswith(b"Content-Length: 2\r\n\r\n{}")


def test_one_good_signature_among_several_is_enough() -> None:
    assert verifies(_delivery(b"body"), b"body", SECRET)


def test_a_changed_body_another_key_and_no_signature_do_not_verify() -> None:
    assert not verifies(_delivery(b"body"), b"bodY", SECRET)
    assert not verifies(_delivery(b"body", key=b"other"), b"body", SECRET)
    assert not verifies(b"POST /hook HTTP/1.1", b"body", SECRET)
