"""What can be decided about a message: cancel, mark-failed, resend, read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.acceptance.test_api_sending import draft, send, with_token
from tests.served import MISSING, Served, served
from tests.world import CUSTOMER, NUMBER, envelope, incoming, status, statuses, value

from tellwire.accounts.templates import TemplateStatus
from tellwire.conversations import outgoing
from tellwire.formats.chat.ids import shown as chat_id
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.ports.http_out import Answer
from tellwire.stores.queries import templates

NUMBERS = iter(range(10_000))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("calls")) as running:
        with_token(running)
        yield running


def own(app: Served, message_id: str, decide: Callable[[Ledger], Any]) -> None:
    app.run(app.world.store.apply(Keys(own={(NUMBER, message_id)}), decide))


def standing(app: Served, state: str) -> str:
    """A message of ours in a state."""
    made: str = send(app, to=f"+4915155{next(NUMBERS):06}", text={"body": state})["id"]
    account = app.world.store.registry().accounts[NUMBER]
    if state in ("sending", "unknown", "accepted"):
        own(
            app,
            made,
            lambda ledger: outgoing.claim(ledger, ledger.registry.accounts[NUMBER], made, epoch=1, tries_until=2**60),
        )
    match state:
        case "cancelled":
            own(app, made, lambda ledger: outgoing.cancel(ledger, account, made))
        case "unknown":
            own(app, made, lambda ledger: outgoing.mark_unknown(ledger, made, epoch=1, cause="a timeout"))
        case "accepted":
            own(app, made, lambda ledger: outgoing.accept(ledger, account, made, f"wamid.{made}"))
        case "failed":
            own(app, made, lambda ledger: outgoing.fail(ledger, account, made, (), "131026: undeliverable"))
        case _:
            pass
    assert app.get(f"/v1/messages/{made}")["send_state"] == state
    return made


STATES = ("queued", "sending", "accepted", "unknown", "failed", "cancelled")


@pytest.mark.parametrize("state", STATES)
def test_what_is_not_sent_yet_can_be_cancelled(app: Served, state: str) -> None:
    made = standing(app, state)
    reply = app.call("POST", f"/v1/messages/{made}/cancel")
    if state in ("queued", "cancelled"):
        assert (reply.status, reply.json["send_state"]) == (200, "cancelled")
        assert reply.json["cause"] == "cancelled before it was sent"
    else:
        assert state in reply.problem(409)["detail"]
        assert app.get(f"/v1/messages/{made}")["send_state"] == state


@pytest.mark.parametrize("state", STATES)
def test_an_unknown_outcome_is_for_a_person_to_decide(app: Served, state: str) -> None:
    made = standing(app, state)
    reply = app.call("POST", f"/v1/messages/{made}/mark-failed")
    if state not in ("unknown", "failed"):
        reply.problem(409)
        return
    assert (reply.status, reply.json["send_state"]) == (200, "failed")
    if state == "unknown":
        assert reply.json["cause"] == "marked as failed by ADMIN_KEY, after: a timeout"
        (error,) = reply.json["status"]["errors"]
        assert list(error) == ["code", "title", "message", "error_data"]
        assert error["code"] == 990001
        event = app.get(f"/v1/events?conversation_id={reply.json['conversation_id']}")["data"][0]
        chat = app.get(f"/v1/events/{event['id']}/payloads/chat")
        assert chat["statuses"][0]["status"] == "failed"


@pytest.mark.parametrize("state", STATES)
def test_what_was_not_sent_can_be_sent_again(app: Served, state: str) -> None:
    made = standing(app, state)
    reply = app.call("POST", f"/v1/messages/{made}/resend", headers={"idempotency-key": f"again-{made}"})
    if state not in ("failed", "cancelled", "unknown"):
        assert state in reply.problem(409)["detail"]
        return
    assert reply.status == 202
    copy, old = reply.json, app.get(f"/v1/messages/{made}")
    assert copy["id"] != made
    assert (copy["content"], copy["to"], copy["send_state"]) == (old["content"], old["to"], "queued")
    assert (old["resent_as"], old["send_state"]) == (copy["id"], state)
    again = app.call("POST", f"/v1/messages/{made}/resend", headers={"idempotency-key": f"again-{made}"})
    assert again.body == reply.body
    assert copy["id"] in app.call("POST", f"/v1/messages/{made}/resend").problem(409)["detail"]


def test_what_waits_for_another_try_says_when(app: Served) -> None:
    made = standing(app, "sending")
    due_at = 1_778_038_799 * 1_000_000
    own(app, made, lambda ledger: outgoing.retry(ledger, made, epoch=1, due_at=due_at, cause="130429: Rate limit hit"))
    shown = app.get(f"/v1/messages/{made}")
    assert (shown["send_state"], shown["attempts"], shown["cause"]) == ("queued", 1, "130429: Rate limit hit")
    assert shown["next_attempt_at"] == "2026-05-06T03:39:59+00:00"
    assert app.post(f"/v1/messages/{made}/cancel", status=200).get("next_attempt_at") is None


def test_masked_parameters_are_not_sent_again(app: Served) -> None:
    component = {"type": "body", "parameters": [{"type": "text", "text": "****"}]}
    template = {"name": "code", "language": {"code": "en"}, "components": [component]}
    body = {"account": NUMBER, "to": "+4915155900000", "type": "template", "template": template}
    made = app.post("/v1/messages", json.dumps(body, separators=(",", ":")).encode(), status=202)["id"]
    account = app.world.store.registry().accounts[NUMBER]
    own(app, made, lambda ledger: outgoing.accept(ledger, account, made, "wamid.code"))
    assert app.meta(envelope(statuses(status("wamid.code", "failed", to="4915155900000")))).status == 200
    problem = app.call("POST", f"/v1/messages/{made}/resend").problem(409)
    assert problem["type"].endswith(":masked")


def test_what_failed_after_meta_had_taken_it_can_be_sent_again(app: Served) -> None:
    made = standing(app, "accepted")
    to = app.get(f"/v1/messages/{made}")["to"]
    assert app.meta(envelope(statuses(status(f"wamid.{made}", "failed", to=to)))).status == 200
    copy = app.post(f"/v1/messages/{made}/resend", status=202)
    assert app.get(f"/v1/messages/{made}")["resent_as"] == copy["id"]


def test_messages_are_named_by_the_chat_formats_id_too(app: Served) -> None:
    made = standing(app, "queued")
    assert app.post(f"/v1/messages/{chat_id(made)}/cancel", status=200)["id"] == made


@pytest.mark.parametrize("call", ["cancel", "resend", "mark-failed"])
def test_messages_of_others_are_not_ours_to_decide(app: Served, call: str) -> None:
    assert app.meta(envelope(incoming(f"wamid.{call}"))).status == 200
    theirs = next(m for m in app.get("/v1/messages?direction=incoming")["data"] if m["wa_id"] == f"wamid.{call}")
    assert "send_state" not in theirs
    app.call("POST", f"/v1/messages/{theirs['id']}/{call}").problem(409)
    app.call("POST", f"/v1/messages/{MISSING}/{call}").problem(404)


# --- read -------------------------------------------------------------------------------------------------------------


def customers(app: Served, wamid: str) -> Any:
    assert app.meta(envelope(incoming(wamid))).status == 200
    return next(m for m in app.get("/v1/messages?direction=incoming&limit=200")["data"] if m["wa_id"] == wamid)


def test_marking_as_read_asks_meta_and_then_tells(app: Served) -> None:
    message = customers(app, "wamid.read")
    app.outside.asked.clear()
    read = app.post(f"/v1/messages/{message['id']}/read", {"typing": True}, status=200)
    assert list(read["status"])[-1] == "read"
    ((method, path, _, body),) = app.outside.asked
    assert (method, path) == ("POST", f"{NUMBER}/messages")
    assert json.loads(body) == {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": "wamid.read",
        "typing_indicator": {"type": "text"},
    }
    events = app.get(f"/v1/events?conversation_id={message['conversation_id']}&action=update")["data"]
    count = len(events)
    app.post(f"/v1/messages/{message['id']}/read", status=200)
    assert len(app.outside.asked) == 2
    assert len(app.get(f"/v1/events?conversation_id={message['conversation_id']}&action=update")["data"]) == count


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(status=400, body=b'{"error":{"code":100,"message":"Invalid parameter"}}'), 422),
        (Answer(status=401, body=b'{"error":{"code":190,"message":"bad an-invented-token"}}'), 422),
        (Answer(status=500, body=b"oops"), 502),
        (Answer(failure="timeout", cause="no answer within 20 s", written=True), 502),
    ],
)
def test_when_meta_refuses_nothing_changes(app: Served, answer: Answer, status: int) -> None:
    message = customers(app, f"wamid.refused.{answer.status}.{answer.cause[:2]}")
    app.outside.refused = answer
    try:
        problem = app.call("POST", f"/v1/messages/{message['id']}/read").problem(status)
    finally:
        app.outside.refused = None
    assert "an-invented-token" not in problem["detail"]
    assert app.get(f"/v1/messages/{message['id']}")["status"] == message["status"]


def test_only_what_came_in_is_read(app: Served) -> None:
    app.call("POST", f"/v1/messages/{standing(app, 'queued')}/read").problem(409)
    app.call("POST", f"/v1/messages/{MISSING}/read").problem(404)
    message = customers(app, "wamid.strange")
    app.call("POST", f"/v1/messages/{message['id']}/read", {"typing": 1}).problem(422, "/typing")
    app.call("POST", f"/v1/messages/{message['id']}/read", {"seen": True}).problem(422, "/seen")


# --- conversations ----------------------------------------------------------------------------------------------------


def test_a_conversation_is_not_closed_while_something_is_to_be_sent(app: Served) -> None:
    made = app.get(f"/v1/messages/{standing(app, 'queued')}")
    path = f"/v1/conversations/{made['conversation_id']}/close"
    assert app.call("POST", path).problem(409)["type"].endswith(":unsent")
    app.post(f"/v1/messages/{made['id']}/cancel", status=200)
    assert app.post(path, status=200)["status"] == "closed"


def test_a_template_is_held_against_what_meta_lists(app: Served) -> None:
    waba = "4455"
    app.post("/v1/accounts", {"phone_number_id": "4456", "waba_id": waba, "access_token": "an-invented-token"})
    template = {"name": "hello", "language": {"code": "en"}}
    body = draft(account="4456", type="template", template=template)
    del body["text"]
    assert app.call("POST", "/v1/messages", body).status == 202
    app.write(lambda c: synchronised(c, waba))
    app.call("POST", "/v1/messages", body).problem(422, "/template/name")


def synchronised(connection: Any, waba: str) -> None:
    standing = TemplateStatus(organization_id=DEFAULT_ORGANIZATION, waba_id=waba, synchronised_at=1)
    templates.put_sync_status(connection, standing)


# --- erasure ----------------------------------------------------------------------------------------------------------


def test_an_erased_persons_messages_are_taken_back_and_statuses_bring_nothing_back(
    tmp_path: Path, each_store: None
) -> None:
    with served(tmp_path) as app:
        with_token(app)
        waits = send(app)
        exported = app.get(f"/v1/contacts/{waits['contact_id']}/export")
        assert exported["messages"][0]["send"]["state"] == "queued"
        assert exported["messages"][0]["send"]["recipient"] == "+" + CUSTOMER
        path = f"/v1/contacts/{waits['contact_id']}"
        call = {"id": "wacid.1", "from": CUSTOMER, "event": "connect", "direction": "USER_INITIATED"}
        app.meta(envelope(value(calls=[call | {"timestamp": "1778038000"}]), field="calls"))
        assert app.query("SELECT count(*) FROM windows") == [(1,)]
        unknown = send(app)["id"]
        own(
            app,
            unknown,
            lambda ledger: outgoing.claim(
                ledger, ledger.registry.accounts[NUMBER], unknown, epoch=1, tries_until=2**60
            ),
        )
        plant(app, waits["conversation_id"])
        assert app.call("DELETE", path).json["state"] == "done"
        for table in ("messages", "sends", "windows", "handovers", "agent_turns", "agent_runs", "conversations"):
            assert app.query(f"SELECT count(*) FROM {table}") == [(0,)], table
        late = status("wamid.late", "delivered", 1_778_039_999, biz_opaque_callback_data=unknown)
        app.meta(envelope(statuses(late)))
        app.meta(envelope(statuses(status("wamid.late", "read", 1_778_040_000))))
        assert app.query("SELECT count(*) FROM messages") == [(0,)]
        assert app.query("SELECT count(*) FROM contacts") == [(0,)]
        assert app.post("/v1/messages", draft(), status=202)["contact_id"] != waits["contact_id"]


def plant(app: Served, conversation_id: str) -> None:
    """What an agent keeps of a conversation."""
    known = {"o": DEFAULT_ORGANIZATION, "c": conversation_id}
    columns = "organization_id, conversation_id"
    app.write(
        lambda c: [
            c.execute(text(statement), known)
            for statement in (
                f"INSERT INTO handovers({columns}, reason, handed_by, created_at) VALUES (:o, :c, 'x', 'y', 1)",
                (
                    f"INSERT INTO agent_turns({columns}, account_id, agent_id, message_id, due_at, attempts,"
                    " created_at) VALUES (:o, :c, 'a', 'b', 'm', 1, 0, 1)"
                ),
                (
                    f"INSERT INTO agent_runs(id, {columns}, agent_id, message_id, outcome, detail, model, input_tokens,"
                    " output_tokens, tool_calls, started_at, finished_at)"
                    " VALUES ('r', :o, :c, 'a', '', 'x', 'x', 'x', 1, 1, 0, 1, 1)"
                ),
            )
        ]
    )
