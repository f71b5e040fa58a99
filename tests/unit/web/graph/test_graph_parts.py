"""The parts of the Graph façade that decide without I/O."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.ids import IdMaker
from tellwire.model.messaging import Message, Send
from tellwire.model.tenancy import Account
from tellwire.sending.answers import MetaAnswer
from tellwire.sending.outcomes import PAIR_IS_FULL, TOO_LATE
from tellwire.stores.queries.messages import MessageEntry
from tellwire.web.graph import replies
from tellwire.web.graph.calls import unfolded, without_nulls
from tellwire.web.graph.media_ids import of_shown, shown, with_our_ids
from tellwire.web.graph.waiting import Outcome

ACCOUNT = Account(id="a", organization_id="o", phone_number_id="1", access_token="EAA-invented")
ERRORS = b'[{"code":131016,"title":"Service unavailable","message":"x","error_data":{"details":"Not sent."}}]'


def entry(state: Any, *, content: bytes = b'{"type":"text"}', cause: str = "", **more: Any) -> MessageEntry:
    message = Message(
        id="m", organization_id="o", account_id="a", conversation_id="c", content=content, wamid="wamid.1", **more
    )
    send = Send(
        message_id="m",
        organization_id="o",
        account_id="a",
        conversation_id="c",
        order_key="k",
        partition=0,
        recipient="+4915112345671",
        state=state,
        cause=cause,
    )
    return MessageEntry(message, None, send)


@pytest.mark.parametrize(
    ("found", "status", "code"),
    [
        (Outcome(entry=entry("failed", errors=ERRORS)), 503, 131016),
        (Outcome(entry=entry("failed")), 500, 131000),
        (Outcome(entry=entry("cancelled", cause=TOO_LATE)), 400, 130429),
        (Outcome(entry=entry("cancelled", cause=PAIR_IS_FULL)), 400, 131056),
        (Outcome(entry=entry("cancelled", cause=TOO_LATE), ahead=True), 400, 131056),
        (Outcome(entry=entry("unknown")), 400, 131000),
        (Outcome(entry=entry("sending")), 400, 131000),
        (Outcome(MetaAnswer("failed", 404, b'{"error":{"code":132001,"message":"No"}}')), 404, 132001),
        (Outcome(MetaAnswer("failed", 200, b'{"error":{"code":132001,"message":"No"}}')), 404, 132001),
    ],
)
def test_an_error_from_what_was_found(found: Outcome, status: int, code: int) -> None:
    reply = replies.of(found, ACCOUNT, "our-id", "+49 151")
    assert reply is not None
    assert reply.status == status
    error = json.loads(reply.body("t"))["error"]
    assert error["code"] == code
    if status == 400 and code == 131000:
        assert (error["is_transient"], error["error_data"]["message_id"]) == (False, "our-id")
        assert not reply.final


def test_a_success_has_the_recipient_as_it_was_given() -> None:
    body = b'{"messaging_product":"whatsapp","contacts":[{"input":"+491","wa_id":"491"}],"messages":[{"id":"w"}]}'
    reply = replies.of(Outcome(MetaAnswer("accepted", 200, body)), ACCOUNT, "our-id", "0049 1")
    assert reply is not None
    assert reply.final
    assert json.loads(reply.body(""))["contacts"] == [{"input": "0049 1", "wa_id": "491"}]
    content, status = b'{"type":"template","template":{}}', {"held_for_quality_assessment": 1}
    reply = replies.of(Outcome(entry=entry("accepted", content=content, status=status)), ACCOUNT, "our-id", "x")
    assert reply is not None
    assert json.loads(reply.body("")) == {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "x", "wa_id": "4915112345671"}],
        "messages": [{"id": "wamid.1", "message_status": "held_for_quality_assessment"}],
    }


@pytest.mark.parametrize("answer", [MetaAnswer("failed"), MetaAnswer("failed", 502, b"<html>"), MetaAnswer("unknown")])
def test_an_answer_that_says_nothing_sends_one_to_the_row(answer: MetaAnswer) -> None:
    assert replies.of(Outcome(answer), ACCOUNT, "our-id", "x") is None


def test_metas_error_is_passed_on_without_the_token() -> None:
    body = b'{"error":{"code":190,"message":"Malformed access token EAA-invented","fbtrace_id":"A1"}}'
    told = replies.passed_on(401, body, ACCOUNT).body("ours")
    assert b"EAA-invented" not in told
    assert b'"fbtrace_id":"A1"' in told


@given(st.integers(0, 2**41))
def test_an_id_in_digits_leads_back(at: int) -> None:
    identifier = IdMaker().make(at * 1000)
    digits = shown(identifier)
    assert digits.isdecimal()
    assert of_shown(digits) in (identifier, "")
    if at > 2**40:  # the year 2004
        assert of_shown(digits) == identifier


@given(st.text())
def test_any_text_is_an_id_or_none(text: str) -> None:
    found = of_shown(text)
    assert not found or str(uuid.UUID(found)) == found


def test_our_files_are_named_by_our_ids_wherever_they_stand() -> None:
    ours = "01a22def-c7d9-7ad7-8b15-df170d9bf711"
    image = json.dumps({"id": shown(ours), "caption": "1.0"}).encode()
    assert json.loads(with_our_ids("image", image)) == {"id": ours, "caption": "1.0"}
    header = {"type": "image", "image": {"id": shown(ours)}}
    nested = json.dumps({"type": "button", "header": header}).encode()
    assert json.loads(with_our_ids("interactive", nested))["header"]["image"]["id"] == ours
    for other in (b'{"id":"1234567890"}', b'{"id":5}', b"[]", b'"x"', b'{"link":"https://example.com"}'):
        assert with_our_ids("image", other) == other


@pytest.mark.parametrize(
    ("given_", "value"),
    [
        (b'"{\\"a\\": 1}"', {"a": 1}),
        (b'"[1]"', [1]),
        (b'"{broken"', "{broken"),
        (b'"plain"', "plain"),
        (b'{"a":1}', {"a": 1}),
    ],
)
def test_an_object_may_be_a_text(given_: bytes, value: object) -> None:
    assert json.loads(unfolded(given_)) == value


def test_what_is_null_is_missing() -> None:
    given_ = b'[{"a":null,"b":{"c":null,"d":[null,1.50]}},"null"]'
    assert json.loads(without_nulls(given_)) == [{"b": {"d": [None, 1.5]}}, "null"]
    assert without_nulls(b'{"a":1.50}') == b'{"a":1.50}'
