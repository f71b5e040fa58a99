"""`/v1/accounts` over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from tests.served import HOOK, MISSING, SETTINGS, Served, served
from tests.world import NUMBER, envelope, incoming

PATH = "/v1/accounts"
FULL = {
    "display_phone_number": "+52 1 55 0000 0001",
    "name": "Support",
    "waba_id": "102290129340398",
    "unknown_statuses": "hold",
    "on_revoke": "erase",
    "send_rate": 250,
}
DEFAULTS = {
    "display_phone_number": "",
    "name": "",
    "waba_id": "",
    "unknown_statuses": "create",
    "on_revoke": "keep",
    "send_rate": 80,
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("accounts"), settings=replace(SETTINGS, auto_accounts=False)) as running:
        yield running


def test_create_and_read(app: Served) -> None:
    secrets = {"access_token": "EAA-an-invented-token", "app_secret": "an-invented-secret"}
    made = app.post(PATH, {"phone_number_id": "1001"} | FULL | secrets)
    assert {name: made[name] for name in FULL} == FULL
    assert (made["has_access_token"], made["has_app_secret"]) == (True, True)
    assert app.get(f"{PATH}/{made['id']}") == app.get(f"{PATH}/1001") == made | {"templates": None}
    assert made in app.get(f"{PATH}?limit=200")["data"]
    shown = json.dumps([made, app.get(PATH), app.get("/v1/audit")]) + str(app.query("SELECT * FROM accounts"))
    assert all(secret not in shown for secret in secrets.values())
    account = app.world.store.registry().accounts["1001"]
    assert (account.access_token, account.app_secret) == tuple(secrets.values())


def test_defaults(app: Served) -> None:
    made = app.post(PATH, {"phone_number_id": "1002"})
    assert {name: made[name] for name in DEFAULTS} == DEFAULTS
    assert (made["has_access_token"], made["has_app_secret"]) == (False, False)


def test_phone_number_id_is_unique_in_the_installation(app: Served) -> None:
    app.post(PATH, {"phone_number_id": "1003"})
    app.call("POST", PATH, {"phone_number_id": "1003"}).problem(409, "/phone_number_id")
    there = {"tellwire-organization": app.organization()}
    app.call("POST", PATH, {"phone_number_id": "1003"}, headers=there).problem(409, "/phone_number_id")


def test_conflict_undoes_nothing_of_others(app: Served) -> None:
    app.post(PATH, {"phone_number_id": "1004"})
    before = app.query("SELECT count(*) FROM audit")
    app.call("POST", PATH, {"phone_number_id": "1004"}, headers={"idempotency-key": "conflict"}).problem(
        409, "/phone_number_id"
    )
    assert app.query("SELECT count(*) FROM audit") == before
    assert app.call("POST", PATH, {"phone_number_id": "1005"}, headers={"idempotency-key": "conflict"}).status == 201


BAD: list[tuple[dict[str, Any], str]] = [
    ({"display_phone_number": 5}, "/display_phone_number"),
    ({"display_phone_number": "x" * 257}, "/display_phone_number"),
    ({"name": "a\nb"}, "/name"),
    ({"name": "a\x00"}, "/name"),
    ({"waba_id": "a b"}, "/waba_id"),
    ({"waba_id": "123\n"}, "/waba_id"),
    ({"access_token": "a\r\nb"}, "/access_token"),
    ({"access_token": "x" * 4097}, "/access_token"),
    ({"app_secret": ["x"]}, "/app_secret"),
    ({"unknown_statuses": "drop"}, "/unknown_statuses"),
    ({"on_revoke": "delete"}, "/on_revoke"),
    ({"send_rate": 0}, "/send_rate"),
    ({"send_rate": 1001}, "/send_rate"),
    ({"send_rate": "80"}, "/send_rate"),
    ({"sending_paused": "no"}, "/sending_paused"),
    ({"has_app_secret": True}, "/has_app_secret"),
    ({"id": MISSING}, "/id"),
]


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        *BAD,
        ({"phone_number_id": ""}, "/phone_number_id"),
        ({"phone_number_id": None}, "/phone_number_id"),
        ({"phone_number_id": 375446602312881}, "/phone_number_id"),
        ({"phone_number_id": "1 2"}, "/phone_number_id"),
        ({"phone_number_id": "12\n"}, "/phone_number_id"),
        ({"phone_number_id": "x" * 65}, "/phone_number_id"),
    ],
    ids=str,
)
def test_bad_accounts(app: Served, more: dict[str, Any], pointer: str) -> None:
    app.call("POST", PATH, {"phone_number_id": "1999"} | more).problem(422, pointer)
    assert "1999" not in app.world.store.registry().accounts


def test_change(app: Served) -> None:
    made = app.post(PATH, {"phone_number_id": "1006", "access_token": "EAA-x"})
    changed = app.call("PATCH", f"{PATH}/1006", FULL).json
    assert {name: changed[name] for name in FULL} == FULL
    assert changed["has_access_token"] is True
    assert changed["updated_at"] > made["updated_at"]
    again = app.call("PATCH", f"{PATH}/{made['id']}", {"access_token": None, "name": None}).json
    assert (again["has_access_token"], again["name"], again["waba_id"]) == (False, "", FULL["waba_id"])
    assert app.world.store.registry().accounts["1006"].access_token == ""


@pytest.mark.parametrize(("more", "pointer"), [*BAD, ({"phone_number_id": "1"}, "/phone_number_id")], ids=str)
def test_bad_changes(app: Served, more: dict[str, Any], pointer: str) -> None:
    app.call("POST", PATH, {"phone_number_id": "1007"})
    before = app.get(f"{PATH}/1007")
    app.call("PATCH", f"{PATH}/1007", more).problem(422, pointer)
    assert app.get(f"{PATH}/1007") == before


def test_delete(app: Served) -> None:
    made = app.post(PATH, {"phone_number_id": "1008"})
    assert app.call("DELETE", f"{PATH}/1008").status == 204
    app.call("GET", f"{PATH}/{made['id']}").problem(404)
    app.call("DELETE", f"{PATH}/{made['id']}").problem(404)
    assert "1008" not in app.world.store.registry().accounts
    assert app.call("POST", PATH, {"phone_number_id": "1008"}).status == 201


def test_what_waited_is_applied_when_the_account_comes(tmp_path: Path) -> None:
    with served(tmp_path, settings=replace(SETTINGS, auto_accounts=False)) as app:
        assert app.meta(envelope(incoming("wamid.early"))).status == 200
        (waiting,) = app.get("/v1/inbound?outcome=unrouted")["data"]
        assert waiting["organization_id"] is None
        assert app.get("/v1/inbound", key=app.key("read"))["data"] == []
        app.call("GET", f"/v1/inbound/{waiting['id']}", key=app.key("read")).problem(404)
        app.post(PATH, {"phone_number_id": NUMBER})
        (message,) = app.get("/v1/messages")["data"]
        assert message["wa_id"] == "wamid.early"
        assert app.get(f"/v1/inbound/{waiting['id']}")["outcome"] == "applied"


def test_an_account_is_there_even_if_what_waited_cannot_be_applied(tmp_path: Path) -> None:
    async def stumble(phone_number_id: str) -> None:
        raise RuntimeError(phone_number_id)

    with served(tmp_path, route_unrouted=stumble) as app:
        assert app.call("POST", PATH, {"phone_number_id": NUMBER}).status == 201


def test_changes_are_audited(app: Served) -> None:
    made = app.post(PATH, {"phone_number_id": "1009"})
    app.call("PATCH", f"{PATH}/1009", {"name": "x"})
    app.call("DELETE", f"{PATH}/1009")
    entries = [each["action"] for each in app.get("/v1/audit")["data"] if each["subject"] == made["id"]]
    assert entries == ["account.deleted", "account.changed", "account.created"]


def paused(app: Served, number: str) -> dict[str, Any]:
    """A paused account, and an endpoint that hears of it."""
    made: dict[str, Any] = app.post(PATH, {"phone_number_id": number, "access_token": "an-invented-token"})
    assert made["sending_paused"] is None
    app.write(
        lambda c: c.execute(text("UPDATE accounts SET sending_paused = 'a reason' WHERE id = :id"), {"id": made["id"]})
    )
    shown = app.get(f"{PATH}/{number}")
    assert (shown["sending_paused"], shown["problems"]) == ("a reason", ["Nothing is sent (a reason)."])
    return made


def resumptions(app: Served, account_id: str) -> list[str]:
    rows = app.query("SELECT account_id FROM events WHERE name = 'account.resumed'")
    return [row[0] for row in rows if row[0] == account_id]


def test_sending_is_resumed_once(app: Served) -> None:
    made = paused(app, "1101")
    for _ in range(2):
        assert app.post(f"{PATH}/1101/resume-sending", status=200)["sending_paused"] is None
    assert resumptions(app, made["id"]) == [made["id"]]
    app.call("POST", f"{PATH}/nobody/resume-sending").problem(404)


def test_a_new_token_resumes_sending_and_another_change_does_not(app: Served) -> None:
    made = paused(app, "1102")
    for same in ({"name": "x"}, {"access_token": "an-invented-token"}):
        assert app.call("PATCH", f"{PATH}/1102", same).json["sending_paused"] == "a reason"
    assert app.call("PATCH", f"{PATH}/1102", {"access_token": "another"}).json["sending_paused"] is None
    assert resumptions(app, made["id"]) == [made["id"]]


def test_deleting_an_account_cancels_what_is_still_to_be_sent(app: Served) -> None:
    app.post(PATH, {"phone_number_id": "1103", "access_token": "an-invented-token"})
    draft = {"account": "1103", "to": "+525500000001", "type": "text", "text": {"body": "Hello!"}}
    sent = app.post("/v1/messages", draft, status=202)
    assert app.call("DELETE", f"{PATH}/1103").status == 204
    assert app.query(f"SELECT state FROM sends WHERE message_id = '{sent['id']}'") == [("cancelled",)]


@pytest.mark.parametrize("pasted", ["Bearer EAAG-as-meant", " EAAG-as-meant ", "bearer  EAAG-as-meant"])
def test_tokens_are_taken_as_they_are_meant_wherever_they_are_given(tmp_path: Path, pasted: str) -> None:
    with served(tmp_path) as app:
        made = app.post("/v1/accounts", {"phone_number_id": "900000000000077", "access_token": pasted})
        account = app.world.store.registry().accounts["900000000000077"]
        assert account.access_token == "EAAG-as-meant"
        app.call("PATCH", f"/v1/accounts/{made['id']}", {"access_token": "another", "app_secret": " a secret "})
        app.call("PATCH", f"/v1/accounts/{made['id']}", {"access_token": pasted})
        account = app.world.store.registry().accounts["900000000000077"]
        assert (account.access_token, account.app_secret) == ("EAAG-as-meant", "a secret")
        endpoint = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "token": pasted})
        app.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", {}, status=200)
        assert ("Authorization", "Bearer EAAG-as-meant") in app.outside.sent[-1].headers
        app.call("PATCH", f"/v1/webhook-endpoints/{endpoint['id']}", {"token": "another"})
        app.call("PATCH", f"/v1/webhook-endpoints/{endpoint['id']}", {"token": pasted})
        app.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", {}, status=200)
        assert ("Authorization", "Bearer EAAG-as-meant") in app.outside.sent[-1].headers
        draft = {"name": "Ada", "kind": "ai", "model": "m", "base_url": "https://models.example.com/v1"}
        agent = app.post("/v1/agents", draft | {"api_key": pasted})
        assert app.world.store.registry().agents[agent["id"]].secrets["api_key"] == "EAAG-as-meant"


@pytest.mark.parametrize("pasted", ["EAAG\u00e9", "EA AG", "Bearer ", "   "])
def test_tokens_that_no_header_takes_are_refused_wherever_they_are_given(tmp_path: Path, pasted: str) -> None:
    with served(tmp_path) as app:
        number = {"phone_number_id": "900000000000078"}
        app.call("POST", "/v1/accounts", number | {"access_token": pasted}).problem(422, "/access_token")
        made = app.post("/v1/accounts", number)
        app.call("PATCH", f"/v1/accounts/{made['id']}", {"access_token": pasted}).problem(422, "/access_token")
        hook = {"url": HOOK, "format": "row"}
        app.call("POST", "/v1/webhook-endpoints", hook | {"token": pasted}).problem(422, "/token")
        endpoint = app.post("/v1/webhook-endpoints", hook)
        app.call("PATCH", f"/v1/webhook-endpoints/{endpoint['id']}", {"token": pasted}).problem(422, "/token")
        app.call("POST", "/v1/webhook-endpoints", hook | {"secret": " a secret of sixteen "}).problem(422, "/secret")
        draft = {"name": "Ada", "kind": "ai", "model": "m", "base_url": "https://models.example.com/v1"}
        app.call("POST", "/v1/agents", draft | {"api_key": pasted}).problem(422, "/api_key")
