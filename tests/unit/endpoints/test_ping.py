"""Test events: of every format and name, marked as tests, signed as deliveries are."""

from __future__ import annotations

import asyncio
import json

import pytest
from jsonschema import Draft202012Validator
from tests.golden.formats.events import SECRET, endpoint

import tellwire_sdk
from tellwire.delivery.attempt import Wire
from tellwire.endpoints.ping import send_test
from tellwire.errors import Invalid
from tellwire.formats import FORMATS
from tellwire.ids import IdMaker
from tellwire.model.deliveries import Attempt, Endpoint
from tellwire.ports.http_out import Answer, Request, without_what_was_said

NOW = 1_778_038_763_123_456
WIRE = Wire(formats=FORMATS, sign=tellwire_sdk.sign, hub_signature=tellwire_sdk.hub_signature)
NAMES = [(name, event) for name in ("row", "chat") for event in FORMATS[name].EVENTS]
NO_PLACE = [("chat", "conversations.insert"), ("chat", "conversations.update")]


class OneAnswer:
    """A sender that gives one answer to everything."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.sent: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.sent.append(request)
        return self.answer

    async def close(self) -> None: ...


def send(
    form: str = "row", event: str = "", answer: Answer | None = None, subscriber: Endpoint | None = None
) -> tuple[str, Attempt, Request]:
    sender, ids = OneAnswer(answer or Answer(status=200)), IdMaker()
    name, attempt = asyncio.run(
        send_test(
            sender,
            subscriber or endpoint(form),
            event,
            formats=FORMATS,
            wire=WIRE,
            now=NOW,
            new_id=lambda: ids.make(NOW),
        )
    )
    return name, attempt, sender.sent[0]


@pytest.mark.parametrize(("form", "event"), [each for each in NAMES if each not in NO_PLACE])
def test_every_event_can_be_tested(form: str, event: str) -> None:
    name, _, request = send(form, event)
    headers = dict(request.headers)
    assert headers["tellwire-test"] == "true"
    assert headers["webhook-id"].startswith("msg_test_")
    assert headers["tellwire-event"] == name
    assert event in (name, "incoming_message", "status_update")
    tellwire_sdk.verify(request.body, headers, SECRET, now=NOW // 1_000_000)
    tellwire_sdk.parse(request.body)
    payload = json.loads(request.body)
    fits = [key for key, schema in FORMATS[form].SCHEMAS.items() if Draft202012Validator(schema).is_valid(payload)]
    assert len(fits) == 1
    if event != "status_update" and "conversations" not in event and form == "row":
        assert b"test event of Tellwire" in request.body


@pytest.mark.parametrize(("form", "event"), [*NO_PLACE, ("row", "incoming_message"), ("row", "nonsense")])
def test_what_the_format_has_no_place_for_is_refused(form: str, event: str) -> None:
    with pytest.raises(Invalid) as refusal:
        send(form, event)
    assert refusal.value.fields[0][0] == "/event"
    assert "messages.insert" in refusal.value.fields[0][1]


@pytest.mark.parametrize(
    ("events", "name"),
    [
        ((), "messages.insert"),
        (("endpoint.disabled", "messages.update"), "endpoint.disabled"),
        (("conversations.update",), "messages.insert"),
    ],
)
def test_unless_named_it_is_the_first_that_the_endpoint_subscribes_to(events: tuple[str, ...], name: str) -> None:
    assert send(subscriber=endpoint("chat", events=events))[0] == name


def test_what_came_back_is_cut_and_hides_secrets() -> None:
    answer = Answer(status=401, cause="your server answered 401", body=SECRET.encode() + b"x" * 5000)
    _, attempt, _ = send(answer=answer, subscriber=endpoint("row", token="a-secret-token"))
    assert attempt.response_body == (b"****" + b"x" * 5000)[:2048]
    assert dict(attempt.request_headers)["Authorization"] == "Bearer ****"
    assert (attempt.outcome, attempt.cause, attempt.response_status) == ("failed", "your server answered 401", 401)


def test_the_answer_of_an_allow_listed_address_is_not_shown() -> None:
    _, attempt, _ = send(answer=without_what_was_said(Answer(status=200, body=b"inside")))
    assert attempt.response_body == b""
