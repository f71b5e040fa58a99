"""What an attempt keeps of an exchange."""

from __future__ import annotations

from tests.golden.formats.events import ORGANIZATION, SECRET, endpoint, incoming

from tellwire.delivery.attempt import NO_BLAME, Try, settle
from tellwire.delivery.retry import Delivered
from tellwire.model.deliveries import Attempt, Delivery, Endpoint, Work
from tellwire.ports.http_out import Answer, Request

TOKEN = "an-invented-token"
VALUE = "an-invented-value"


def attempt_of(settings: Endpoint, answer: Answer) -> Attempt:
    event = incoming({"type": "text", "text": {"body": "Hello!"}})
    delivery = Delivery(
        id="delivery", organization_id=ORGANIZATION, event_id=event.id, endpoint_id=settings.id, order_key="key"
    )
    tried = Try(
        work=Work(delivery, event),
        endpoint=settings,
        request=Request(url=settings.url, headers=(("Authorization", f"Bearer {TOKEN}"), ("X-Own", VALUE))),
        answer=answer,
        started_at=1,
        ended_at=2,
    )
    (result,) = settle(tried, decision=Delivered(2), attribution=NO_BLAME)
    assert result.attempt is not None
    return result.attempt


def test_no_secret_is_kept_though_the_receiver_echoes_it() -> None:
    settings = endpoint("row", token=TOKEN, headers={"X-Own": VALUE, "X-Short": "1"})
    answer = Answer(
        status=200,
        headers=(("x-echo", f"Bearer {TOKEN}"), ("set-cookie", "session=1"), ("x-count", "1")),
        body=f'{{"own": "{VALUE}", "secret": "{SECRET}", "n": 1}}'.encode() + b"\xff",
    )
    attempt = attempt_of(settings, answer)
    assert attempt.request_headers == (("Authorization", "Bearer ****"), ("X-Own", "****"))
    assert attempt.response_headers == (("x-echo", "Bearer ****"), ("set-cookie", "****"), ("x-count", "1"))
    assert attempt.response_body == b'{"own": "****", "secret": "****", "n": 1}\xff'


def test_an_answer_without_secrets_is_kept_as_it_came() -> None:
    answer = Answer(status=200, headers=(("x-echo", "Bearer"),), body=b"\x00\xff")
    attempt = attempt_of(endpoint("row"), answer)
    assert (attempt.response_headers, attempt.response_body) == (answer.headers, answer.body)
