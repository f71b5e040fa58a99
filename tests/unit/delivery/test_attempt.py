"""The request of an attempt, header by header, and what its answer makes of the delivery."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace
from tests.unit.delivery.own_format import OwnFormat

from tellwire import __version__
from tellwire.delivery.attempt import Try, Wire, cancelled, conclude, overtaken, request, restated, settle
from tellwire.delivery.buffering import group_id, joined
from tellwire.delivery.retry import Attribution, Delivered, Disable, Exhausted, RetryAt
from tellwire.model.deliveries import (
    Delivery,
    DeliveryState,
    Endpoint,
    Event,
    ReplayEdit,
    Secret,
    SentAs,
    Snapshot,
    Work,
)
from tellwire.model.units import MICROS
from tellwire.ports.http_out import Answer, Request, without_what_was_said

NOW = 1_778_038_763_123_456
EVENT = Event(
    id="e1",
    organization_id="o1",
    account_id="a1",
    entity="messages",
    action="insert",
    name="messages.insert",
    order_key="k1",
    snapshot=Snapshot(row=Raw(b'{"id":"m1"}')),
    message_id="m1",
    conversation_id="c1",
)
DELIVERY = Delivery(
    id="d1",
    organization_id="o1",
    event_id="e1",
    endpoint_id="ep1",
    order_key="k1",
    sequence=7,
    webhook_id="msg_d1",
    due_at=NOW,
)
ENDPOINT = Endpoint(
    id="ep1", organization_id="o1", url="https://a.example/hook", format="tiny", secrets=(Secret("current"),)
)


class Tiny(OwnFormat):
    """A format of the tests' own."""

    def encode(self, event: Event, endpoint: Endpoint, sent: SentAs) -> bytes | None:
        return None if event.history else b'{"data":' + bytes(event.snapshot.row) + b"}"

    def headers(self, event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:
        return (("x-tiny", str(len(body))), ("x-tiny-secrets", "+".join(each.value for each in endpoint.secrets)))


def _sign(body: bytes, *, webhook_id: str, timestamp: int, secrets: Sequence[str]) -> str:
    return f"{webhook_id}/{timestamp}/{len(body)}/{'+'.join(secrets)}"


WIRE = Wire(formats={"tiny": Tiny()}, sign=_sign, hub_signature=lambda body, secret: f"hub {len(body)} {secret}")


def _made(delivery: Delivery = DELIVERY, event: Event = EVENT, **settings: Any) -> Request:
    made = request(Work(delivery, event), replace(ENDPOINT, **settings), now=NOW, wire=WIRE)
    assert made is not None
    return made


def _headers(made: Request) -> dict[str, str]:
    names = [name.lower() for name, _ in made.headers]
    assert len(names) == len(set(names))
    return {name.lower(): value for name, value in made.headers}


def test_a_request_carries_the_body_and_every_header_of_the_contract() -> None:
    made = _made()
    assert (made.method, made.url, made.body) == ("POST", "https://a.example/hook", b'{"data":{"id":"m1"}}')
    assert made.timeout == 15
    assert _headers(made) == {
        "content-type": "application/json",
        "user-agent": f"Tellwire/{__version__}",
        "webhook-id": "msg_d1",
        "webhook-timestamp": "1778038763",
        "webhook-signature": "msg_d1/1778038763/20/current",
        "tellwire-event": "messages.insert",
        "tellwire-message-id": "m1",
        "tellwire-conversation-id": "c1",
        "tellwire-sequence": "7",
        "tellwire-attempt": "1",
        "x-tiny": "20",
        "x-tiny-secrets": "current",
    }


def test_canonical_json_is_what_is_sent_and_signed() -> None:
    event = replace(EVENT, snapshot=Snapshot(row=Raw(b'{"1":"\\u00e9\\/", "0":1.50}')))
    made = _made(event=event, json="canonical")
    assert made.body == '{"data":{"0":1.5,"1":"é/"}}'.encode()
    headers = _headers(made)
    assert headers["x-tiny"] == headers["webhook-signature"].split("/")[2] == str(len(made.body))
    assert b" " in _made(event=event).body


def test_the_body_of_an_edited_replay_is_sent_as_it_was_asked_for() -> None:
    work, edit = Work(DELIVERY, EVENT), ReplayEdit(body=b'{ "a": 1.0 }')
    made = request(work, replace(ENDPOINT, json="canonical"), now=NOW, wire=WIRE, edit=edit)
    assert made is not None
    assert made.body == b'{ "a": 1.0 }'


class Joins:
    def takes(self, event: Event, types: Collection[str]) -> bool:
        return True

    def encode(self, events: Sequence[Event], endpoint: Endpoint, sent: SentAs) -> bytes:
        return f"{[event.message_id for event in events]} as {sent.webhook_id}, {sent.sequence}".encode()


class TinyTogether(Tiny):
    JOINING = Joins()


TOGETHER = replace(WIRE, formats={"tiny": TinyTogether()})


def _several() -> Work:
    return joined([Work(_numbered(DELIVERY, n), replace(EVENT, message_id=f"m{n}")) for n in (1, 2, 3)])


def _numbered(delivery: Delivery, number: int) -> Delivery:
    return replace(delivery, id=f"d{number}", webhook_id=f"msg_d{number}", sequence=6 + number)


def test_several_are_one_request_under_an_id_of_their_own() -> None:
    several = _several()
    made = request(several, ENDPOINT, now=NOW, wire=TOGETHER)
    assert made is not None
    headers = _headers(made)
    name = headers["webhook-id"]
    assert name == several.delivery.together
    assert re.fullmatch(r"msg_d1_[0-9a-f]{16}", name)
    assert made.body == f"['m1', 'm2', 'm3'] as {name}, 9".encode()
    assert headers["webhook-signature"] == f"{name}/1778038763/{len(made.body)}/current"
    assert (headers["tellwire-count"], headers["tellwire-sequence"], headers["tellwire-message-id"]) == ("3", "9", "m1")


def test_of_other_members_the_id_is_another() -> None:
    several = _several()
    ids = {group_id(several.members), group_id(several.members[:2]), group_id(several.members[1:])}
    ids |= {group_id((several.members[0], several.members[2])), group_id(several.members[:1])}
    assert len(ids) == 5
    assert group_id(several.members[:1]) == "msg_d1"


def test_a_format_that_joins_nothing_sends_nothing_together() -> None:
    with pytest.raises(ValueError, match="puts no events together"):
        request(_several(), ENDPOINT, now=NOW, wire=WIRE)


def test_what_is_not_there_is_left_out() -> None:
    event = replace(EVENT, message_id="", conversation_id="")
    headers = _headers(_made(replace(DELIVERY, sequence=0), event))
    assert not {"tellwire-message-id", "tellwire-conversation-id", "tellwire-sequence", "tellwire-replay"} & set(
        headers
    )


def test_attempts_count_on_and_replays_are_numbered() -> None:
    headers = _headers(_made(replace(DELIVERY, attempts=11, replay=2)))
    assert headers["tellwire-attempt"] == "12"
    assert headers["tellwire-replay"] == "2"


def test_only_live_secrets_sign_the_current_one_first() -> None:
    secrets = (
        Secret("gone", expires_at=NOW),
        Secret("old", expires_at=NOW + 1),
        Secret("younger", expires_at=NOW + 2),
        Secret("current"),
    )
    headers = _headers(_made(secrets=secrets, hub_signature=True))
    assert headers["webhook-signature"].rsplit("/", 1)[1] == "current+younger+old"


OLD, YOUNGER, CURRENT = Secret("old", expires_at=NOW + 1), Secret("younger", expires_at=NOW + 2), Secret("current")
GONE = Secret("gone", expires_at=NOW)


@pytest.mark.parametrize(
    ("secrets", "by_old", "by_new"),
    [
        ((CURRENT,), "current", "current"),
        ((CURRENT, YOUNGER), "younger", "current"),
        ((CURRENT, YOUNGER, OLD), "old", "current"),
        ((OLD, CURRENT, YOUNGER), "old", "current"),
        ((CURRENT, YOUNGER, GONE), "younger", "current"),
        ((CURRENT, GONE), "current", "current"),
        ((OLD,), "old", "old"),
    ],
)
def test_a_signature_of_one_value_keeps_the_oldest_live_secret_unless_told_otherwise(
    secrets: tuple[Secret, ...], by_old: str, by_new: str
) -> None:
    given: list[tuple[dict[str, Any], str]] = [
        ({}, by_old),
        ({"rotating_signature": "old"}, by_old),
        ({"rotating_signature": "new"}, by_new),
    ]
    for settings, signer in given:
        headers = _headers(_made(secrets=secrets, hub_signature=True, **settings))
        assert headers["x-hub-signature-256"] == f"hub 20 {signer}"
        assert headers["x-tiny-secrets"] == signer


def test_without_a_live_secret_nothing_is_signed() -> None:
    headers = _headers(_made(secrets=(Secret("gone", expires_at=NOW - 1),), hub_signature=True))
    assert "webhook-signature" not in headers
    assert "x-hub-signature-256" not in headers
    assert headers["x-tiny-secrets"] == ""


def test_token_custom_headers_and_deadline_are_the_endpoints() -> None:
    made = _made(token="t0ken", headers={"X-Tenant": "7"}, timeout_seconds=3.5)
    headers = _headers(made)
    assert (headers["authorization"], headers["x-tenant"], made.timeout) == ("Bearer t0ken", "7", 3.5)


def test_what_the_format_has_no_place_for_is_cancelled_without_an_attempt() -> None:
    work = Work(DELIVERY, replace(EVENT, history=True))
    assert request(work, ENDPOINT, now=NOW, wire=WIRE) is None
    result = cancelled(DELIVERY, NOW)
    assert result.attempt is None
    assert result.delivery == replace(DELIVERY, state=DeliveryState.CANCELLED, updated_at=NOW)


def _settled(decision: Any, answer: Answer, *, before: Delivery = DELIVERY, **more: Any):
    endpoint = more.pop("endpoint", ENDPOINT)
    made = request(Work(before, EVENT), endpoint, now=NOW, wire=WIRE, edit=more.get("edit"))
    assert made is not None
    tried = Try(
        work=Work(before, EVENT),
        endpoint=endpoint,
        request=made,
        answer=answer,
        started_at=NOW,
        ended_at=NOW + 5,
        edit=more.pop("edit", None),
    )
    (result,) = settle(tried, decision=decision, attribution=more.pop("attribution", Attribution(counted=True)), **more)
    return result


def test_all_of_a_group_have_the_result_and_the_first_one_what_was_answered() -> None:
    several = _several()
    tried = Try(
        work=several,
        endpoint=ENDPOINT,
        request=Request(url=ENDPOINT.url),
        answer=Answer(status=500, body=b"no", cause="your server answered 500"),
        started_at=NOW,
        ended_at=NOW + 5,
    )
    results = settle(tried, decision=RetryAt(NOW + 9, counted=True), attribution=Attribution(counted=True))
    assert [r.delivery.id for r in results] == ["d1", "d2", "d3"]
    assert {(r.delivery.state, r.delivery.due_at, r.delivery.attempts, r.delivery.together) for r in results} == {
        (DeliveryState.RETRYING, NOW + 9, 1, several.delivery.together)
    }
    kept = [r.attempt for r in results if r.attempt is not None]
    assert [(a.delivery_id, a.number, a.response_status) for a in kept] == [(f"d{n}", 1, 500) for n in (1, 2, 3)]
    assert [a.response_body for a in kept] == [b"no", b"", b""]


def test_a_success_is_settled() -> None:
    answer = Answer(status=204, headers=(("server", "x"),), body=b"ok", durations={"total": 1.5})
    result = _settled(Delivered(NOW + 5), answer)
    assert result.delivery == replace(
        DELIVERY,
        state=DeliveryState.DELIVERED,
        attempts=1,
        first_attempt_at=NOW,
        delivered_at=NOW + 5,
        updated_at=NOW + 5,
    )
    attempt = result.attempt
    assert attempt is not None
    assert (attempt.outcome, attempt.cause, attempt.number, attempt.started_at) == ("delivered", "", 1, NOW)
    assert (attempt.delivery_id, attempt.organization_id, attempt.url) == ("d1", "o1", "https://a.example/hook")
    assert (attempt.response_status, attempt.response_headers) == (204, (("server", "x"),))
    assert (attempt.response_body, attempt.durations) == (b"ok", {"total": 1.5})
    assert ("webhook-id", "msg_d1") in attempt.request_headers


def test_a_failure_waits_for_its_next_attempt_and_keeps_its_first() -> None:
    before = replace(DELIVERY, attempts=3, counted_attempts=2, first_attempt_at=NOW - 99)
    result = _settled(
        RetryAt(NOW + 70, counted=True), Answer(status=500, cause="your server answered 500"), before=before
    )
    assert result.delivery == replace(
        before,
        state=DeliveryState.RETRYING,
        attempts=4,
        counted_attempts=3,
        due_at=NOW + 70,
        updated_at=NOW + 5,
        failure="500",
    )
    assert result.attempt is not None
    assert (result.attempt.outcome, result.attempt.cause) == ("failed", "your server answered 500")


@pytest.mark.parametrize(
    ("answer", "ours", "aside"),
    [
        (Answer(status=503), "503", "404"),
        (Answer(failure="timeout"), "timeout", "404"),
        (Answer(status=200, failure="protocol"), "protocol", "404"),
        (Answer(status=204), "", ""),
    ],
)
def test_a_delivery_tells_why_its_last_attempt_failed_unless_that_went_elsewhere(
    answer: Answer, ours: str, aside: str
) -> None:
    before = replace(DELIVERY, failure="404")
    decision = RetryAt(NOW + 70, counted=True) if ours else Delivered(NOW)
    assert _settled(decision, answer, before=before).delivery.failure == ours
    elsewhere = ReplayEdit(url="https://other.example/in")
    assert _settled(decision, answer, before=before, edit=elsewhere).delivery.failure == aside


def test_a_failure_that_uses_up_no_gap_is_an_attempt() -> None:
    result = _settled(RetryAt(NOW + 70, counted=False), Answer(failure="refused", cause="connection refused"))
    assert (result.delivery.attempts, result.delivery.counted_attempts) == (1, 0)


@pytest.mark.parametrize("followed", [True, False])
def test_a_head_that_is_overtaken_while_it_fails_is_marked(followed: bool) -> None:
    attribution = Attribution(counted=True, late=True, out_of_order=followed)
    result = _settled(RetryAt(NOW + 70, counted=True), Answer(status=500), attribution=attribution)
    assert (result.delivery.lane, result.delivery.out_of_order) == ("late", followed)


def test_states_follow_the_decision_and_the_endpoint() -> None:
    bad = Answer(status=500)
    assert _settled(Exhausted(counted=True), bad).delivery.state is DeliveryState.FAILED
    retry = RetryAt(NOW + 70, counted=True)
    assert _settled(retry, bad, otherwise=DeliveryState.PARKED).delivery.state is DeliveryState.PARKED
    assert _settled(Disable("gone"), Answer(status=410)).delivery.state is DeliveryState.RETRYING
    ok = _settled(Delivered(NOW), Answer(status=200), otherwise=DeliveryState.PARKED)
    assert ok.delivery.state is DeliveryState.DELIVERED


def test_state_only_results_have_no_attempt() -> None:
    moved = overtaken(DELIVERY, NOW, followed=True)
    assert moved.attempt is None
    assert moved.delivery == replace(DELIVERY, lane="late", out_of_order=True, updated_at=NOW)
    parked = restated(DELIVERY, DeliveryState.PARKED, NOW)
    assert parked.attempt is None
    assert parked.delivery == replace(DELIVERY, state=DeliveryState.PARKED, updated_at=NOW)


def test_secrets_are_masked_in_attempts() -> None:
    endpoint = replace(ENDPOINT, token="t0ken-x", headers={"X-Api-Key": "k3y-y"})
    attempt = _settled(Delivered(NOW), Answer(status=200), endpoint=endpoint).attempt
    assert attempt is not None
    headers = dict(attempt.request_headers)
    assert (headers["Authorization"], headers["X-Api-Key"]) == ("Bearer ****", "****")
    assert headers["webhook-id"] == "msg_d1"
    assert not {"t0ken-x", "k3y-y"} & set(headers.values())


def test_response_headers_are_bounded() -> None:
    answer = Answer(status=200, headers=tuple((f"h{n}", "v" * 5000) for n in range(500)))
    attempt = _settled(Delivered(NOW), answer).attempt
    assert attempt is not None
    assert len(attempt.response_headers) == 64
    assert max(len(value) for _, value in attempt.response_headers) == 1024


def test_a_conclusion_attributes_only_failures() -> None:
    asked: list[tuple[str, int | None, int]] = []

    def attribute(kind: str, *, now: int, pace: int | None, wait: int) -> Attribution:
        asked.append((kind, pace, wait))
        return Attribution(counted=False)

    def concluded(answer: Answer, **settings: Any):
        tried = Try(
            work=Work(DELIVERY, EVENT),
            endpoint=replace(ENDPOINT, **settings),
            request=Request(url=ENDPOINT.url),
            answer=answer,
            started_at=NOW,
            ended_at=NOW,
        )
        return conclude(tried, schedule=(7.0,), jitter=0, attribute=attribute)

    assert concluded(Answer(status=200)) == (Delivered(NOW), Attribution(counted=False))
    assert concluded(Answer(status=410))[0] == Disable("it answered 410 Gone")
    assert asked == []
    slow = Answer(status=503, headers=(("Retry-After", "30"),))
    assert concluded(slow)[0] == RetryAt(NOW + 30 * MICROS, counted=False)
    assert concluded(without_what_was_said(slow))[0] == RetryAt(NOW + 30 * MICROS, counted=False)
    asked.pop()
    assert concluded(Answer(failure="dns"), retry_schedule=(2.0, 3.0))[0] == RetryAt(NOW + 2 * MICROS, counted=False)
    assert asked == [("slow", 7 * MICROS, 30 * MICROS), ("whole", 2 * MICROS, 0)]


# --- edited replays ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://a.example/other", True),
        ("https://A.example:443/other?x=1", True),
        ("https://a.example:8443/hook", False),
        ("http://a.example/hook", False),
        ("https://b.example/hook", False),
        ("https://a.example.b.example/hook", False),
    ],
)
def test_only_the_endpoints_own_server_gets_its_token_and_headers(url: str, same: bool) -> None:
    endpoint = replace(ENDPOINT, token="secret-token", headers={"X-Key": "secret-value"})
    made = request(Work(DELIVERY, EVENT), endpoint, now=NOW, wire=WIRE, edit=ReplayEdit(url=url))
    assert made is not None
    headers = _headers(made)
    assert made.url == url
    assert ("authorization" in headers, "x-key" in headers) == (same, same)
    assert headers["tellwire-replay-edited"] == "url"
    assert headers["webhook-signature"].endswith("/current")


def test_an_edited_body_is_what_is_signed_and_sent() -> None:
    made = request(Work(DELIVERY, EVENT), ENDPOINT, now=NOW, wire=WIRE, edit=ReplayEdit(body=b"[1]"))
    assert made is not None
    assert made.body == b"[1]"
    headers = _headers(made)
    assert headers["x-tiny"] == "3"
    assert headers["webhook-signature"].split("/")[2] == "3"
    assert headers["tellwire-replay-edited"] == "body"


def test_a_usual_delivery_is_not_marked_as_edited() -> None:
    assert "tellwire-replay-edited" not in _headers(_made())
