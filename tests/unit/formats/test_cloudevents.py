"""The `cloudevents` format, as the official package reads it, and the permission that its receiver is asked for."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.v1.event import CloudEvent
from msgspec import Raw
from msgspec.structs import replace
from tests.golden.formats.cases import EVENTS, ROWS, WRITTEN, Case
from tests.golden.formats.events import CONVERSATION, MESSAGE, ORGANIZATION, PHONE_NUMBER_ID, SECRET, endpoint

import tellwire
import tellwire_sdk
from tellwire.formats import cloudevents, row
from tellwire.formats.cloudevents import Permission
from tellwire.model.deliveries import Event, SentAs
from tellwire.ports.formats import Registration
from tellwire.ports.http_out import Answer, without_what_was_said

SENT = SentAs("msg_1", 7)
SOURCE = Path(tellwire.__file__).parent
CASES = [case for case in WRITTEN if case.endpoint.format == "cloudevents"]
ASKED = Registration(endpoint=endpoint("cloudevents"), token="", origin="https://Hooks.example:8443/x")


def read(body: bytes) -> CloudEvent:
    message = HTTPMessage(headers={"content-type": cloudevents.CONTENT_TYPE}, body=body)
    event = from_http_event(message)
    assert isinstance(event, CloudEvent)
    return event


def encoded(event: Event, sent: SentAs = SENT, updates: str = "full") -> bytes:
    body = cloudevents.encode(event, endpoint("cloudevents", updates=updates), sent)
    assert body is not None
    return body


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_official_package_reads_every_golden_file(case: Case) -> None:
    body = case.path.read_bytes()
    event = read(body)
    assert (event.get_specversion(), event.get_id()) == ("1.0", "an id")
    assert event.get_type() == f"io.tellwire.{case.event.name}.v1"
    assert event.get_subject() == (case.event.message_id or case.event.conversation_id or None)
    assert event.get_data() == json.loads(bytes(case.event.snapshot.row))
    signature = tellwire_sdk.sign(body, webhook_id="an id", timestamp=1, secrets=[SECRET])
    headers = {"webhook-id": "an id", "webhook-timestamp": "1", "webhook-signature": signature}
    tellwire_sdk.verify(body, headers, SECRET, now=1)


def test_there_are_golden_files() -> None:
    assert len(CASES) == len(ROWS)


def test_an_event_of_a_message_has_every_attribute_in_order() -> None:
    event = replace(EVENTS["status_sent"], created_at=1_778_038_763_000_500)
    assert list(json.loads(encoded(event)).items())[:-1] == [
        ("specversion", "1.0"),
        ("id", "msg_1"),
        ("source", f"/organizations/{ORGANIZATION}/accounts/{PHONE_NUMBER_ID}"),
        ("type", "io.tellwire.messages.update.v1"),
        ("subject", MESSAGE),
        ("time", "2026-05-06T03:39:23.0005+00:00"),
        ("sequence", "7"),
        ("datacontenttype", "application/json"),
    ]


def test_what_is_not_there_is_left_out() -> None:
    body = read(encoded(EVENTS["contact.erased"], SentAs("msg_1")))
    assert body.get_source() == f"/organizations/{ORGANIZATION}"
    assert body.get_subject() is None
    assert body.get_extension("sequence") is None


def test_a_conversation_is_the_subject_of_its_own_events() -> None:
    assert read(encoded(EVENTS["conversation_opened"])).get_subject() == CONVERSATION


@pytest.mark.parametrize("updates", ["full", "changed"])
@pytest.mark.parametrize("name", ["status_sent", "conversation_closed", "text"])
def test_data_is_the_row_that_the_row_format_sends(name: str, updates: str) -> None:
    other = row.encode(EVENTS[name], endpoint("row", updates=updates), SENT)
    assert other is not None
    assert json.loads(encoded(EVENTS[name], updates=updates))["data"] == json.loads(other)["data"]


def test_a_source_is_a_uri_whatever_the_ids_hold() -> None:
    snapshot = replace(EVENTS["text"].snapshot, row=Raw(b"{}"), phone_number_id="1/2 é?#")
    source = read(encoded(replace(EVENTS["text"], snapshot=snapshot))).get_source()
    assert source == f"/organizations/{ORGANIZATION}/accounts/1%2F2%20%C3%A9%3F%23"
    assert urlsplit(source).path == source


def test_an_operational_event_of_an_account_names_its_number_wherever_it_is_made() -> None:
    made = [call for path in SOURCE.rglob("*.py") for call in _made_in(path.read_text())]
    assert sum("account_id" in names for names in made) >= 8
    assert [names for names in made if "account_id" in names and "phone_number_id" not in names] == []


def _made_in(source: str) -> list[set[str]]:
    """The arguments of each `OperationalEvent` that a module makes."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [call for call in calls if ast.unparse(call.func).endswith("OperationalEvent")]
    return [{str(keyword.arg) for keyword in call.keywords} for call in named]


# --- permission -------------------------------------------------------------------------------------------------------


def test_permission_is_asked_of_the_url_in_the_name_of_this_host() -> None:
    request = Permission().request(ASKED)
    assert (request.method, request.url, request.body) == ("OPTIONS", ASKED.endpoint.url, b"")
    assert request.headers == (("WebHook-Request-Origin", "hooks.example"),)


ALLOWED = [
    Answer(status=200, headers=(("webhook-allowed-origin", "*"),)),
    Answer(status=204, headers=(("WebHook-Allowed-Origin", " Hooks.Example "), ("WebHook-Allowed-Rate", "120"))),
    without_what_was_said(Answer(status=200, headers=(("webhook-allowed-origin", "hooks.example"),))),
]
REFUSED = [
    (Answer(status=200), "the answer has no header WebHook-Allowed-Origin"),
    (
        Answer(status=200, headers=(("webhook-allowed-origin", "other.example"),)),
        "the answer does not say WebHook-Allowed-Origin: * or hooks.example",
    ),
    (Answer(status=200, headers=(("webhook-allowed-origin", ""),)), "the answer does not say"),
    (without_what_was_said(Answer(status=200)), "the answer does not say"),
    (Answer(status=405, headers=(("webhook-allowed-origin", "*"),)), "your server answered 405"),
    (Answer(failure="refused", cause="connection refused"), "connection refused"),
]


@pytest.mark.parametrize("answer", ALLOWED)
def test_permission_is_given_to_all_or_to_this_host(answer: Answer) -> None:
    assert Permission().refusal(ASKED, answer) == ""


@pytest.mark.parametrize(("answer", "reason"), REFUSED)
def test_anything_else_is_no_permission(answer: Answer, reason: str) -> None:
    assert reason in Permission().refusal(ASKED, answer)


def test_the_receiver_of_dev_permits_whoever_says_who_asks() -> None:
    permission = Permission()
    given = permission.consent("OPTIONS", "/cloudevents", {"webhook-request-origin": "a.example"})
    assert given == Answer(status=200, headers=(("WebHook-Allowed-Origin", "a.example"),))
    assert permission.consent("OPTIONS", "/cloudevents", {}) == Answer(status=400)
    assert permission.consent("GET", "/cloudevents", {}) is None
