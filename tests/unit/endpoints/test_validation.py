"""What an endpoint's fields may hold: whatever is let through is safe to send."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tellwire.endpoints.validation import faults, secret_fault
from tellwire.formats import FORMATS
from tellwire.http_client.connection import encode_request
from tellwire.model.deliveries import Buffer, Endpoint
from tellwire.ports.http_out import Request
from tellwire.security.addresses import Reach, check_url

EVENTS = ("messages.insert", "messages.update")
RESERVED = tuple(beginning for form in FORMATS.values() for beginning in form.RESERVED)


def endpoint(**fields: object) -> Endpoint:
    return Endpoint(id="", organization_id="", url="", format="row", **fields)  # type: ignore[arg-type]


def test_nothing_given_is_right() -> None:
    assert faults(endpoint(), EVENTS, RESERVED) == []


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=4))
def test_headers_that_pass_make_one_line_each(headers: dict[str, str]) -> None:
    if faults(endpoint(headers=headers), EVENTS, RESERVED):
        return
    sent = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")
    assert sent.count(b"\r\n") == len(headers)
    assert sent.count(b"\r") == sent.count(b"\n") == len(headers)
    assert b"\x00" not in sent
    assert len({name.lower() for name in headers}) == len(headers)


@given(
    st.dictionaries(
        st.text(max_size=20)
        | st.sampled_from(["X-Own", "Host", "Content-Length", "Connection", "Webhook-Id", "Cookie", "Keep-Alive"])
        | st.from_regex(r"[A-Za-z-]{1,12}[\r\n:]?", fullmatch=True),
        st.text(max_size=40) | st.sampled_from(["a\r\nHost: evil", "a\nb", "\u010a", "\u560a", "x\x00", "caf\u00e9"]),
        max_size=4,
    )
)
def test_headers_that_pass_leave_the_request_as_it_would_be_without_them(headers: dict[str, str]) -> None:
    if faults(endpoint(headers=headers), EVENTS, RESERVED):
        return
    ours = (("content-type", "application/json"), ("user-agent", "us"), ("webhook-id", "msg_1"))
    target = check_url("https://hooks.example.com/in", Reach())
    plain = encode_request(Request(url="", headers=ours, body=b"{}"), target)
    sent = encode_request(Request(url="", headers=(*ours, *headers.items()), body=b"{}"), target)
    added = [line for line in sent.split(b"\r\n") if line not in plain.split(b"\r\n")]
    lines = plain.split(b"\r\n")
    assert [line for line in sent.split(b"\r\n") if line in lines] == lines
    assert sorted(added) == sorted(f"{name}: {value}".encode() for name, value in headers.items())
    names = [line.partition(b":")[0].lower() for line in sent.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
    assert len(set(names)) == len(names)


TAKEN = [
    "authorization", "connection", "content-length", "content-type", "cookie", "expect", "host", "keep-alive",
    "proxy-authorization", "proxy-connection", "te", "tellwire-attempt", "trailer", "transfer-encoding", "upgrade",
    "user-agent", "webhook-id", "webhook-signature", "x-hub-signature", "x-hub-signature-256", "x-wappcloud-signature",
]  # fmt: skip


@given(st.sampled_from(TAKEN).flatmap(lambda name: st.tuples(*[st.sampled_from([c, c.upper()]) for c in name])))
def test_headers_of_ours_are_refused_however_spelled(letters: tuple[str, ...]) -> None:
    name = "".join(letters)
    assert [pointer for pointer, _ in faults(endpoint(headers={name: "x"}), EVENTS, RESERVED)] == [f"/headers/{name}"]


@given(st.text(max_size=60))
def test_tokens_that_pass_fit_a_header(token: str) -> None:
    if not faults(endpoint(token=token), EVENTS, RESERVED):
        assert re.fullmatch(r"[\x21-\x7e]*", token)


@given(st.lists(st.sampled_from([*EVENTS, "other"]), max_size=4))
def test_events_are_known_and_there_once(events: list[str]) -> None:
    right = len(set(events)) == len(events) and set(events) <= set(EVENTS)
    assert (faults(endpoint(events=tuple(events)), EVENTS, RESERVED) == []) == right


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, ""),
        ({"ordering": "strict"}, ""),
        ({"ordering": "none"}, "needs the ordering keyed or strict"),
        ({"format": "chat"}, "is an option of the format row, not of chat"),
    ],
)
def test_a_buffer_needs_an_order_and_a_format_that_joins(fields: dict[str, str], says: str) -> None:
    buffered = replace(endpoint(buffer=Buffer(seconds=1, most=2)), **fields)
    found = faults(buffered, EVENTS, RESERVED, (), {"buffer": ["row"]})
    assert [pointer for pointer, _ in found] == (["/buffer"] if says else [])
    assert not says or found[0][1].startswith(says)


@given(st.text(max_size=150))
def test_secrets_that_pass_have_the_right_length_and_can_be_shown(secret: str) -> None:
    if not secret_fault(secret):
        assert 16 <= len(secret) <= 128
        assert secret.isprintable()
        secret.encode()


@given(st.binary(max_size=80))
def test_whsec_secrets_hold_24_to_64_bytes(key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    assert (secret_fault(secret) == "") == (24 <= len(key) <= 64)


@pytest.mark.parametrize("tail", ["A" * 33, "A" * 32 + "==", "A" * 31 + "-", "A" * 31 + " ", "é" * 32, ""])
def test_whsec_with_bad_base64_is_refused(tail: str) -> None:
    assert secret_fault("whsec_" + tail)
