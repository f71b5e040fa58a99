"""`POST /graph/vNN.N/{phone_number_id}/messages`: Meta's answer, or Meta's error and nothing sent."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.graph_site import ADMIN, CUSTOMER, NUMBER, TOKEN, Site, site, text
from tests.acceptance.processes import until

from tellwire.simulator import number_for

QUIET = {"throttle_rate": 0, "timeout_rate": 0, "latency": 0, "error_rate": 0, "error_accept_rate": 0, "pair_burst": 45}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("sending")) as found:
        yield found


@pytest.fixture
def at(running: Site) -> Site:
    """The site with a Meta without trouble, and nothing of the test before it on its way."""
    running.control("knobs", **QUIET)
    until(lambda: not running.messages("queued") and not running.messages("sending"), what="the end of what was sent")
    until(lambda: running.send("5215500009999")[0] == 200, what="a message that goes out")
    return running


def error(answer: tuple[int, Any], status: int, code: int) -> Any:
    """The error that an answer must be: what every Graph client reads of it is there."""
    assert answer[0] == status, answer
    found = answer[1]["error"]
    assert found["code"] == code, found
    assert {type(found[name]) for name in ("message", "type", "fbtrace_id")} == {str}
    return found


def details(found: Any) -> str:
    assert found["error_data"]["messaging_product"] == "whatsapp"
    return str(found["error_data"]["details"])


MEDIA = ("image", "video", "audio", "document", "sticker")
INTERACTIVE = {
    "type": "button",
    "body": {"text": "Yes?"},
    "action": {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]},
}
TYPES: dict[str, Any] = {
    "text": {"body": "Hola", "preview_url": False},
    **{kind: {"link": f"https://example.com/a.{kind}"} for kind in MEDIA},
    "location": {"latitude": 19.4, "longitude": -99.1},
    "contacts": [{"name": {"formatted_name": "Ana", "first_name": "Ana", "last_name": None}}],
    "reaction": {"message_id": "wamid.HBgNNTIxNTUwMDAwMDAwMRUCABEYEjFC", "emoji": "👍"},
    "interactive": INTERACTIVE,
    "template": {"name": "hello_world", "language": {"code": "en_US"}},
}


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_goes_out_and_the_answer_is_metas(at: Site, kind: str) -> None:
    payload = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": CUSTOMER, "type": kind}
    status, answer = at.call("POST", f"/{NUMBER}/messages", payload | {kind: TYPES[kind]})
    assert status == 200, answer
    last = at.accepted()[-1]
    assert answer["messaging_product"] == "whatsapp"
    assert answer["contacts"][0] | {"user_id": ""} == {"input": CUSTOMER, "wa_id": CUSTOMER, "user_id": ""}
    assert answer["messages"] == [{"id": last["id"]} | ({"message_status": "accepted"} if kind == "template" else {})]
    row = at.rest("GET", f"/v1/messages/{last['callback_data']}")
    assert (row["send_state"], row["wa_id"], row["content"]["type"]) == ("accepted", last["id"], kind)


def test_the_ways_in_which_clients_write_a_message_and_their_token(at: Site) -> None:
    """A form, objects as texts, a token in the query, in the body, under Meta's older scheme, any version, a slash."""
    path = f"/{NUMBER}/messages"
    token = {"access_token": ADMIN}
    answers = [
        at.form(path, messaging_product="whatsapp", to=CUSTOMER, type="text", text='{"body":"form"}'),
        at.call("POST", f"{path}?access_token={ADMIN}", text(), key=""),
        at.call("POST", path, text() | token, key=""),
        at.call("POST", path, text(text='{"body":"a text"}')),
        at.call("POST", path, text(), key="", headers={"Authorization": f"OAuth {ADMIN}"}),
        at.call("POST", path, text(), version="v99.7"),
        at.call("POST", f"{path}/", text()),
        at.call("POST", path, {"messaging_product": "whatsapp", "to": CUSTOMER, "text": {"body": "no type"}}),
        at.call("POST", path, text(context={"message_id": "wamid.HBgNNTIxNTUwMDAwMDAwMRUCABEYEjFC"})),
        at.call("POST", path, text(biz_opaque_callback_data="order-1", context=None)),
        at.call("POST", path, text(preview_url=False)),
    ]
    assert [status for status, _ in answers] == [200] * len(answers), answers
    user = answers[0][1]["contacts"][0]["user_id"]
    status, answer = at.call("POST", path, {k: v for k, v in text(recipient=user).items() if k != "to"})
    assert (status, answer["contacts"][0]) == (200, {"input": user, "user_id": user})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"messaging_product": None}, "/messaging_product"),
    ({"messaging_product": "telegram"}, "/messaging_product"),
    ({"to": None}, "/to"),
    ({"to": "0049"}, "/to"),
    ({"to": 5}, "/to"),
    ({"type": "nonsense"}, "/type"),
    ({"type": 5}, "/type"),
    ({"text": None}, "/text"),
    ({"text": "not an object"}, "/text"),
    ({"text": {"body": ""}}, "/text/body"),
    ({"text": {"body": "x" * 4097}}, "/text/body"),
    ({"image": {"link": "https://example.com/a.png"}}, "/image"),
    ({"recipient_type": "everybody"}, "/recipient_type"),
    ({"recipient_type": "group", "to": "a-group-nobody-knows"}, "/to"),
    ({"context": {"message": "x"}}, "/context/message_id"),
    ({"biz_opaque_callback_data": "x" * 513}, "/biz_opaque_callback_data"),
    ({"recipient_identity_key_hash": "x"}, "/recipient_identity_key_hash"),
    ({"type": "image", "text": None, "image": {"id": "1" * 36}}, "/image/id"),
    ({"status": "delivered"}, "/status"),
    ({"status": "read"}, "/message_id"),
    ({"status": "read", "message_id": "wamid.x", "typing_indicator": {"type": "audio"}}, "/typing_indicator"),
]


@pytest.mark.parametrize(("change", "place"), REFUSED, ids=[f"{place} {n}" for n, (_, place) in enumerate(REFUSED)])
def test_a_wrong_field_is_code_100_and_named(running: Site, change: dict[str, Any], place: str) -> None:
    before = running.control("counts")["sends"]
    body = {name: value for name, value in (text() | change).items() if value is not None}
    found = error(running.call("POST", f"/{NUMBER}/messages", body), 400, 100)
    assert place in details(found)
    assert running.control("counts")["sends"] == before


@pytest.mark.parametrize("body", [b"{", b"[]", b"nonsense", b'{"a":' * 2000, b"\xff", b"5", b'{"to":"\\ud800"}'])
def test_a_body_that_cannot_be_read_is_code_100(running: Site, body: bytes) -> None:
    error(running.call("POST", f"/{NUMBER}/messages", body), 400, 100)


def test_a_body_that_is_too_large_is_refused(running: Site) -> None:
    error(running.call("POST", f"/{NUMBER}/messages", b"[" + b" " * 1_100_000), 400, 131053)


def test_an_idempotency_key_sends_once_and_gets_the_same_answer(at: Site) -> None:
    before = len(at.accepted())
    first = at.send(once="a-key")
    assert first[0] == 200
    assert at.send(once="a-key") == first
    assert len(at.accepted()) == before + 1
    assert "came with another request" in details(error(at.send(once="a-key", text={"body": "x"}), 400, 100))
    refused = at.send(number_for(132001), once="another-key")
    assert error(refused, 404, 132001)
    assert at.send(number_for(132001), once="another-key") == refused
    assert len(at.accepted()) == before + 1


def test_the_same_key_while_the_first_is_in_flight_is_409(at: Site) -> None:
    before = len(at.accepted())
    at.control("knobs", latency=1.0)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: at.send(once="in-flight"), range(4)))
    at.control("knobs", latency=0)
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409]
    for answer in answers:
        if answer[0] == 409:
            assert error(answer, 409, 2)["is_transient"] is True
    assert len(at.accepted()) == before + 1


@pytest.mark.parametrize(("code", "status"), [(132001, 404), (131009, 400), (131000, 500), (368, 403), (131056, 400)])
def test_what_meta_refuses_is_answered_as_it_came_and_tried_once(at: Site, code: int, status: int) -> None:
    sends = at.control("counts")["sends"]
    found = error(at.send(number_for(code, "answer")), status, code)
    assert found["fbtrace_id"].startswith("A")  # Meta's own
    assert details(found) == "as was asked of the simulator"
    row = at.messages("failed")[0]
    assert row["status"]["errors"][0]["code"] == code
    assert at.control("counts")["sends"] == sends + 1


def test_a_callers_own_data_goes_with_a_copy_and_is_exported(at: Site) -> None:
    to = number_for(131026, "answer")
    assert at.send(to, biz_opaque_callback_data="order-7")[0] == 400
    failed = next(row for row in at.messages("failed") if row["to"] == to)
    copy = at.rest("POST", f"/v1/messages/{failed['id']}/resend", {}, status=202)
    person = next(each for each in at.rest("GET", "/v1/contacts?limit=200")["data"] if each["phone"] == to)
    exported = at.rest("GET", f"/v1/contacts/{person['id']}/export")["messages"]
    assert {each["id"]: each["callback_data"] for each in exported} == dict.fromkeys(
        (failed["id"], copy["id"]), "order-7"
    )
    until(lambda: not at.messages("queued") and not at.messages("sending"), what="the end of the copy")


def test_a_limit_that_is_reached_is_metas_throttling_error_and_nothing_is_sent(at: Site) -> None:
    at.account(send_rate=1)
    try:
        until(lambda: at.send()[0] == 200, what="a message within the limit")
        before, rows = len(at.accepted()), len(at.messages())
        found = error(at.send(), 400, 130429)
        assert found["is_transient"] is True
        assert "Not sent" in details(found)
        assert (len(at.accepted()), len(at.messages())) == (before, rows)
    finally:
        at.account(send_rate=80)


def test_many_at_once_are_sent_within_the_limit_or_not_at_all(at: Site) -> None:
    at.account(send_rate=3)
    try:
        before = {each["id"] for each in at.accepted()}
        with ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda number: at.send(f"52155100000{number:02}"), range(24)))
        sent = [answer["messages"][0]["id"] for status, answer in answers if status == 200]
        for answer in answers:
            if answer[0] != 200:
                error(answer, 400, 130429)
        assert 1 <= len(sent) < 24
        assert {*sent} == {each["id"] for each in at.accepted()} - before
        assert not at.messages("queued")
    finally:
        at.account(send_rate=80)


def test_what_waits_ahead_in_the_conversation_is_the_pair_error(at: Site) -> None:
    to = "5215500000044"
    at.control("fail", code=131016, count=3, how="answer")
    made = at.rest("POST", "/v1/messages", {"account": NUMBER, "to": f"+{to}", "type": "text", "text": {"body": "1"}})
    until(lambda: at.rest("GET", f"/v1/messages/{made['id']}")["attempts"] == 2, what="the second try")
    rows = len(at.messages())
    assert "to this recipient" in details(error(at.send(to), 400, 131056))
    assert len(at.messages()) == rows
    at.rest("POST", f"/v1/messages/{made['id']}/cancel")
    at.control("clear", x=1)
    assert at.send(to)[0] == 200


def test_a_refused_token_pauses_the_account_which_answers_as_throttled(at: Site) -> None:
    at.control("invalidate", token=TOKEN)
    found = error(at.send(), 401, 190)
    assert found["fbtrace_id"].startswith("A")
    rows = len(at.messages())
    assert "190" in details(error(at.send(), 400, 130429))
    assert len(at.messages()) == rows
    at.control("token", token="another-simulated-token")
    at.account(access_token="another-simulated-token")
    assert at.send()[0] == 200
    at.control("token", token=TOKEN)
    at.account(access_token=TOKEN)


@pytest.mark.parametrize("how", ["it hangs", "it breaks", "a 5xx without a body"])
def test_an_unknown_outcome_names_our_message_and_is_not_sent_again(at: Site, how: str) -> None:
    """By turns the simulator hangs and breaks; every other 5xx has a body of Meta's, which is a refusal."""
    trouble = {"error_rate": 1, "error_accept_rate": 1} if "5xx" in how else {"timeout_rate": 1, "hang_seconds": 0.1}
    at.control("knobs", loss_rate=1, **trouble)
    before, number, answer = len(at.accepted()), 0, at.send("5215500000055", once=f"{how} 0".replace(" ", "-"))
    while answer[1]["error"].get("is_transient") is not False:
        until(lambda: not at.messages("queued"), what="the end of a wait")
        number += 1
        answer = at.send(f"52155000001{number:02}", once=f"{how} {number}".replace(" ", "-"))
    again = at.send(
        "5215500000055" if not number else f"52155000001{number:02}", once=f"{how} {number}".replace(" ", "-")
    )
    at.control("knobs", loss_rate=0, **QUIET)
    found = error(answer, 400, 131000)
    assert error(again, 400, 131000)["error_data"] == found["error_data"]
    identifier = found["error_data"]["message_id"]
    assert identifier in details(found)
    assert at.rest("GET", f"/v1/messages/{identifier}")["send_state"] == "unknown"
    assert [each["callback_data"] for each in at.accepted()[before:]].count(identifier) == 1


def test_a_status_that_comes_before_the_answer_is_one(at: Site) -> None:
    """Meta's answer hangs for long, but a status tells that the message was accepted, and its id."""
    at.control("knobs", timeout_rate=1, hang_seconds=15)
    answers = [at.send("5215500000077"), at.send("5215500000078")]  # by turns it hangs and breaks
    at.control("knobs", **QUIET)
    taken = {each["id"] for each in at.accepted()[-2:]}
    told = {answer["messages"][0]["id"] for status, answer in answers if status == 200}
    assert told  # what hung; of what broke a status may have told in time
    assert told <= taken


def test_a_closed_window_is_131047_and_a_template_still_goes(at: Site) -> None:
    to = "5215500000066"
    at.heard(to, hours_ago=25)
    rows = len(at.messages())
    assert "24 hours" in details(error(at.send(to), 400, 131047))
    assert len(at.messages()) == rows
    assert at.send(to, type="template", text=None, template=TYPES["template"])[0] == 200
    at.heard(to, hours_ago=1)
    assert at.send(to)[0] == 200


def test_the_caller_may_leave(at: Site) -> None:
    before = len(at.accepted())
    at.control("knobs", latency=0.3)
    host, port = at.url.removeprefix("http://").split(":")
    body = json.dumps(text()).encode()
    head = (
        f"POST /graph/v24.0/{NUMBER}/messages HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {ADMIN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(head.encode() + body)
        until(lambda: at.messages("sending"), what="the claim")
    until(lambda: len(at.accepted()) == before + 1, what="Meta's acceptance")
    until(lambda: at.messages("accepted")[0]["id"] == at.accepted()[-1]["callback_data"], what="its row")


def test_who_may_send(at: Site) -> None:
    error(at.send(key="tw_wrong"), 401, 190)
    error(at.send(key=""), 401, 190)
    reader = at.rest("POST", "/v1/api-keys", {"name": "r", "scopes": ["read"]})["key"]
    assert "messages:write" in details(error(at.send(key=reader), 403, 10))
    sender = at.rest("POST", "/v1/api-keys", {"name": "s", "scopes": ["messages:write"]})["key"]
    assert at.send(key=sender)[0] == 200


def test_a_server_that_stops_says_what_it_knows(tmp_path: Path) -> None:
    """Not "try again": the message has left, so whoever sends it again may send it twice."""
    with site(tmp_path, timeout_rate=1, hang_seconds=30, loss_rate=1) as here, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(here.send)
        until(here.accepted, what="Meta's acceptance")
        assert here.deployment.processes.pop("all").stop() == 0
        found = error(answer.result(), 400, 131000)
        assert found["error_data"]["message_id"] == here.accepted()[0]["callback_data"]
