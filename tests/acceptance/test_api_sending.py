"""POST /v1/messages: what is queued, what is refused, and once is once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.served import MISSING, Served, served
from tests.world import CUSTOMER, NUMBER, START, envelope, incoming, value

from tellwire.conversations.outgoing import Draft, account_exists, keys_of
from tellwire.formats.chat.ids import shown as chat_id
from tellwire.model.tenancy import DEFAULT_ORGANIZATION

DAY = 24 * 3600 * 1_000_000
TEXT = {"type": "text", "text": {"body": "Good morning"}}
TEMPLATE = {"type": "template", "template": {"name": "hello", "language": {"code": "en"}}}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("sending")) as running:
        with_token(running)
        yield running


def with_token(app: Served, number: str = NUMBER) -> str:
    draft = {"phone_number_id": number, "display_phone_number": "+91 91234 56789", "access_token": "an-invented-token"}
    return str(app.post("/v1/accounts", draft)["id"])


def draft(**more: Any) -> dict[str, Any]:
    return {"account": NUMBER, "to": "+" + CUSTOMER, **TEXT} | more


def send(app: Served, **more: Any) -> Any:
    return app.post("/v1/messages", draft(**more), status=202)


def test_a_message_is_queued_and_told_of(tmp_path: Path, each_store: None) -> None:
    with served(tmp_path) as app:
        with_token(app)
        queued_and_told_of(app)


def queued_and_told_of(app: Served) -> None:
    made = send(app, to="+49 170 1234567")
    assert list(made) == [
        "id",
        "conversation_id",
        "organization_id",
        "direction",
        "content",
        "status",
        "created_at",
        "updated_at",
        "to",
        "contact",
        "account_id",
        "contact_id",
        "kind",
        "send_state",
        "attempts",
        "cause",
    ]
    assert made["content"] == TEXT
    assert made["status"] == {"pending": made["created_at"]}
    assert (made["to"], made["send_state"], made["attempts"], made["cause"]) == ("491701234567", "queued", 0, "")
    read = app.get(f"/v1/messages/{made['id']}")
    assert read == made | {"statuses": []}
    events = app.get(f"/v1/events?conversation_id={made['conversation_id']}")["data"]
    assert [f"{e['entity']}/{e['action']}" for e in reversed(events)] == ["conversations/insert", "messages/insert"]
    again = send(app, to="491701234567")
    assert again["conversation_id"] == made["conversation_id"]
    assert made["id"] in [each["id"] for each in app.get("/v1/messages?send_state=queued")["data"]]
    assert app.get("/v1/messages?send_state=failed")["data"] == []


FAULTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"account": "12345"}, ["/account"]),
    ({"account": 5}, ["/account"]),
    ({"account": ""}, ["/account"]),
    ({"account": "without-a-token"}, ["/account"]),
    ({"to": "hello"}, ["/to"]),
    ({"to": 5}, ["/to"]),
    ({"to": "+49 170"}, ["/to"]),
    ({"conversation_id": MISSING}, ["/to"]),
    ({"type": "fax"}, ["/type"]),
    ({"type": 5}, ["/type"]),
    ({"type": "image"}, ["/text", "/image"]),
    ({"text": {"body": "x" * 4097}}, ["/text/body"]),
    ({"text": {"body": 5, "colour": "red"}}, ["/text/body", "/text/colour"]),
    ({"text": {"body": ""}, "to": "x", "account": "y"}, ["/account", "/to", "/text/body"]),
    ({"colour": "red"}, ["/colour"]),
    ({"image": {"id": "1"}}, ["/image"]),
    ({"context": "wamid.A"}, ["/context"]),
    ({"context": {}}, ["/context/message_id"]),
    ({"context": {"message_id": 5}}, ["/context/message_id"]),
    ({"context": {"message_id": "wamid.A", "from~/": 1}}, ["/context/from~0~1"]),
    ({"context": {"message_id": MISSING}}, ["/context/message_id"]),
    ({"context": {"message_id": "0" * 24}}, ["/context/message_id"]),
    ({"context": {"message_id": "w" * 257}}, ["/context/message_id"]),
    ({"agent_id": MISSING}, ["/agent_id"]),
    ({"agent_id": 7}, ["/agent_id"]),
    ({"scheduled_at": "tomorrow"}, ["/scheduled_at"]),
    ({"scheduled_at": 5}, ["/scheduled_at"]),
    ({"scheduled_at": "2026-05-06T03:39:23Z"}, ["/scheduled_at"]),
    ({"scheduled_at": "2027-05-07T03:39:23Z"}, ["/scheduled_at"]),
    ({"skip_window_check": 1}, ["/skip_window_check"]),
]


@pytest.mark.parametrize(("more", "pointers"), FAULTS, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_told_at_once(app: Served, more: dict[str, Any], pointers: list[str]) -> None:
    if more.get("account") == "without-a-token" and not app.get("/v1/accounts?limit=200")["data"][0]["name"]:
        app.post("/v1/accounts", {"phone_number_id": "without-a-token", "name": "x"})
    before = app.query("SELECT count(*) FROM messages")
    app.call("POST", "/v1/messages", draft(**more)).problem(422, *pointers)
    assert app.query("SELECT count(*) FROM messages") == before


@pytest.mark.parametrize("raw", [b'"x"', b"[]", b"{", b"", b'{"account":"1","type":"text","text":{"body":"\\ud800"}}'])
def test_bodies_that_are_no_messages(app: Served, raw: bytes) -> None:
    assert 400 <= app.call("POST", "/v1/messages", raw).status < 423


def test_another_organizations_account_and_conversation_are_unknown(app: Served) -> None:
    made = send(app)
    there = app.key("admin", organization=app.organization())
    app.call("POST", "/v1/messages", draft(), key=there).problem(422, "/account")
    body = draft(conversation_id=made["conversation_id"])
    del body["to"]
    app.call("POST", "/v1/messages", body, key=there).problem(422, "/account", "/conversation_id")
    app.call("GET", f"/v1/messages/{made['id']}", key=there).problem(404)


def test_conversations_are_named_by_our_id_or_by_the_chat_formats(app: Served) -> None:
    made = send(app, to="+491701234500")
    for name in (made["conversation_id"], chat_id(made["conversation_id"])):
        body = {"account": NUMBER, "conversation_id": name, **TEXT}
        again = app.post("/v1/messages", body, status=202)
        assert (again["conversation_id"], again["contact_id"], again["to"]) == (
            made["conversation_id"],
            made["contact_id"],
            "491701234500",
        )
    recipients = app.query(f"SELECT DISTINCT recipient FROM sends WHERE conversation_id='{made['conversation_id']}'")
    assert recipients == [("+491701234500",)]


def test_a_closed_conversation_is_followed_by_a_new_one(app: Served) -> None:
    assert app.meta(envelope(incoming("wamid.closed", sender="4917000000"))).status == 200
    old = app.get("/v1/conversations?contact=4917000000")["data"][0]["id"]
    app.post(f"/v1/conversations/{old}/close", status=200)
    made = app.post("/v1/messages", {"account": NUMBER, "conversation_id": old, **TEXT}, status=202)
    assert made["conversation_id"] != old
    assert made["to"] == "4917000000"


@pytest.mark.parametrize("spelling", ["+52 1 55 8839 2200", "525588392200"])
def test_another_spelling_finds_the_contact_and_is_sent_as_given(app: Served, spelling: str) -> None:
    assert app.meta(envelope(incoming("wamid.mx", sender="5215588392200"))).status == 200
    made = send(app, to=spelling)
    contact = app.get("/v1/contacts?alias=5215588392200")["data"][0]["id"]
    assert made["contact_id"] == contact
    ((recipient,),) = app.query(f"SELECT recipient FROM sends WHERE message_id='{made['id']}'")
    assert recipient == "+" + "".join(c for c in spelling if c.isdigit())


def test_a_reply_names_its_message_by_our_id_or_by_metas(app: Served) -> None:
    assert app.meta(envelope(incoming("wamid.first"))).status == 200
    first = next(m for m in app.get("/v1/messages?direction=incoming")["data"] if m["wa_id"] == "wamid.first")
    for name in (first["id"], chat_id(first["id"]), "wamid.first"):
        made = send(app, context={"message_id": name})
        assert made["content"] == TEXT | {"context": {"message_id": "wamid.first"}}
    reaction = {"type": "reaction", "reaction": {"message_id": first["id"], "emoji": "👍"}}
    body = {"account": NUMBER, "to": CUSTOMER, **reaction}
    content = app.post("/v1/messages", body, status=202)["content"]
    assert content == {"type": "reaction", "reaction": {"message_id": "wamid.first", "emoji": "👍"}}
    queued = send(app)["id"]
    problem = app.call("POST", "/v1/messages", draft(context={"message_id": queued})).problem(
        422, "/context/message_id"
    )
    assert "not accepted" in problem["errors"][0]["message"]


def test_a_scheduled_message_waits(app: Served) -> None:
    made = send(app, scheduled_at="2026-05-07T03:39:23+02:00")
    assert (made["send_state"], made["scheduled_at"]) == ("scheduled", "2026-05-07T01:39:23+00:00")


def test_an_account_that_is_deleted_during_the_check_gets_no_message(app: Served) -> None:
    gone = with_token(app, "deleted-meanwhile")
    account = app.world.store.registry().accounts["deleted-meanwhile"]
    asked = Draft(account=account, content=b'{"type":"text","text":{"body":"x"}}', to="+491701234567")
    assert app.run(app.world.store.apply(keys_of(asked), lambda ledger: account_exists(ledger, asked)))
    app.call("DELETE", f"/v1/accounts/{gone}")
    assert not app.run(app.world.store.apply(keys_of(asked), lambda ledger: account_exists(ledger, asked)))
    again = with_token(app, "deleted-meanwhile")
    assert again != gone
    assert not app.run(app.world.store.apply(keys_of(asked), lambda ledger: account_exists(ledger, asked)))


def test_once_is_once_and_the_answer_is_kept_with_the_message(app: Served) -> None:
    key = {"idempotency-key": "order-5"}
    before = app.query("SELECT count(*) FROM sends")[0][0]
    first = app.call("POST", "/v1/messages", draft(), headers=key)
    again = app.call("POST", "/v1/messages", draft(), headers=key)
    assert (first.status, again.status, again.body) == (202, 202, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert app.query("SELECT count(*) FROM sends")[0][0] == before + 1
    app.call("POST", "/v1/messages", draft(text={"body": "another"}), headers=key).problem(422)
    refused = {"idempotency-key": "order-6"}
    app.call("POST", "/v1/messages", draft(to="x"), headers=refused).problem(422, "/to")
    assert app.call("POST", "/v1/messages", draft(), headers=refused).status == 202


# --- the customer service window --------------------------------------------------------------------------------------


def test_the_window_is_closed_only_when_it_was_seen_to_run_out(tmp_path: Path, each_store: None) -> None:
    with served(tmp_path) as app:
        with_token(app)
        send(app)
        at = START // 1_000_000 - 100
        assert app.meta(envelope(incoming("wamid.1", at=at))).status == 200
        app.clock.move(DAY - 101 * 1_000_000)
        send(app)
        app.clock.move(1_000_000)
        problem = app.call("POST", "/v1/messages", draft()).problem(422, "/type")
        assert problem["type"] == "urn:tellwire:problem:window-closed"
        (conversation,) = app.get("/v1/conversations?status=open")["data"]
        body = {"account": NUMBER, "conversation_id": conversation["id"], **TEXT}
        app.call("POST", "/v1/messages", body).problem(422, "/type")
        app.call("POST", "/v1/messages", draft(to="+52 55 8839 2274")).problem(422, "/type")
        send(app, skip_window_check=True)
        app.post("/v1/messages", {"account": NUMBER, "to": CUSTOMER, **TEMPLATE}, status=202)
        other = with_token(app, "another-number")
        assert app.post("/v1/messages", draft(account=other), status=202)["send_state"] == "queued"
        call = {"id": "wacid.1", "from": CUSTOMER, "event": "connect", "direction": "USER_INITIATED"}
        assert app.meta(envelope(value(calls=[call | {"timestamp": str(at + 200)}]), field="calls")).status == 200
        send(app)
        app.clock.move(200 * 1_000_000)
        app.call("POST", "/v1/messages", draft()).problem(422, "/type")
        assert app.meta(envelope(incoming("wamid.2", at=at + 400))).status == 200
        send(app)
        assert {row[0] for row in app.query("SELECT organization_id FROM sends")} == {DEFAULT_ORGANIZATION}
