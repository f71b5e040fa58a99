"""`/v1/agents`, and agents in conversations, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.served import MISSING, Served, served
from tests.world import CUSTOMER, NUMBER, envelope, incoming

PATH = "/v1/agents"
TOOL: dict[str, Any] = {
    "name": "order_status",
    "description": "Where an order is.",
    "url": "https://api.example.com/orders/{order}",
    "method": "GET",
    "parameters": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
    "headers": {"Authorization": "Bearer a-secret-of-the-shop"},
}
AI: dict[str, Any] = {
    "name": "Ada",
    "kind": "ai",
    "instructions": "We sell shoes.\nBe kind.",
    "model": "some-model",
    "base_url": "https://models.example.com/v1",
    "api_key": "sk-an-invented-key",
    "history_messages": 12,
    "debounce_seconds": 1.5,
    "typing": False,
    "tools": [TOOL],
    "allowed_tool_origins": ["https://api.example.com"],
    "budget": {"replies_per_conversation": 5, "tokens_per_day": 100_000},
    "temperature": 0.3,
    "max_tokens": 300,
    "on_failure": "hand_over",
    "state": "paused",
}

AI_KEY = {"model": "some-model", "api_key": AI["api_key"]}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("agents")) as running:
        running.meta(envelope(incoming("wamid.1")))
        yield running


def test_create_and_read(app: Served) -> None:
    made = app.post(PATH, AI)
    same = [name for name in AI if name not in ("api_key", "tools")]
    assert {name: made[name] for name in same} == {name: AI[name] for name in same}
    assert made["has_api_key"] is True
    assert made["tools"] == [TOOL | {"headers": {"Authorization": "********"}}]
    assert app.get(f"{PATH}/{made['id']}") == made
    assert made in app.get(PATH)["data"]
    agent = app.world.store.registry().agents[made["id"]]
    assert agent.secrets == {
        "api_key": AI["api_key"],
        "tools/order_status/authorization": TOOL["headers"]["Authorization"],
    }
    stored = str(app.query("SELECT * FROM agents")) + str(app.query("SELECT * FROM audit"))
    assert AI["api_key"] not in stored
    assert "a-secret-of-the-shop" not in stored
    assert app.get(f"{PATH}/{made['id']}/runs") == {"data": [], "next_cursor": None}


def test_secrets_stay_with_the_server_that_they_were_given_for(app: Served) -> None:
    path = f"{PATH}/{app.post(PATH, AI)['id']}"
    elsewhere = {"base_url": "https://models.example.net/v1"}
    app.call("PATCH", path, elsewhere).problem(422, "/api_key")
    assert app.call("PATCH", path, {"base_url": "https://models.example.com/v2"}).status == 200
    masked = TOOL | {"headers": {"Authorization": "********"}, "url": "https://api.example.net/orders/{order}"}
    origins = {"allowed_tool_origins": ["https://api.example.com", "https://api.example.net"]}
    app.call("PATCH", path, {"tools": [masked], **origins}).problem(422, "/tools/0/headers")
    assert app.get(path)["tools"][0]["url"] == TOOL["url"]
    anew = {"tools": [masked | {"headers": {"Authorization": "Bearer another"}}], **origins}
    assert app.call("PATCH", path, anew).json["tools"][0]["url"] == masked["url"]
    assert app.call("PATCH", path, elsewhere | {"api_key": None}).json["has_api_key"] is False
    assert app.call("PATCH", path, {"model": "scripted", "base_url": None}).status == 200
    assert app.call("PATCH", path, AI_KEY | elsewhere).json["has_api_key"] is True


def test_people_have_a_name(app: Served) -> None:
    made = app.post(PATH, {"name": "Ana", "kind": "human"})
    assert (made["kind"], made["state"], made["model"]) == ("human", "active", "")
    app.call("POST", PATH, {"name": "Ana", "kind": "human", "model": "x"}).problem(422, "/model")
    app.call("PATCH", f"{PATH}/{made['id']}", {"instructions": "x"}).problem(422, "/instructions")
    assert app.call("PATCH", f"{PATH}/{made['id']}", {"name": "Eva"}).json["name"] == "Eva"


def test_change_what_is_given(app: Served) -> None:
    made = app.post(PATH, AI)
    path = f"{PATH}/{made['id']}"
    before = app.world.store.registry().version
    masked = TOOL | {"headers": {"Authorization": "********"}, "description": "Another."}
    changed = app.call("PATCH", path, {"state": "active", "temperature": None, "tools": [masked]}).json
    assert changed == made | {
        "state": "active",
        "temperature": None,
        "tools": [masked],
        "updated_at": changed["updated_at"],
    }
    agent = app.world.store.registry().agents[made["id"]]
    assert agent.secrets["api_key"] == AI["api_key"]
    assert agent.secrets["tools/order_status/authorization"] == "Bearer a-secret-of-the-shop"
    assert app.world.store.registry().version > before
    assert app.call("PATCH", path, {"api_key": None}).json["has_api_key"] is False
    app.call("PATCH", path, {"model": None}).problem(422, "/model")
    renamed = [masked | {"name": "other"}]
    app.call("PATCH", path, {"tools": renamed}).problem(422, "/tools/0/headers")
    app.call("PATCH", path, {"kind": "human"}).problem(422, "/kind")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"kind": "robot"}, "/kind"),
        ({"model": ""}, "/model"),
        ({"base_url": ""}, "/base_url"),
        ({"base_url": "http://models.example.com/v1"}, "/base_url"),
        ({"base_url": "https://models.example.com/v1?key=1"}, "/base_url"),
        ({"base_url": "https://user@models.example.com/v1"}, "/base_url"),
        ({"base_url": "ftp://x"}, "/base_url"),
        ({"history_messages": 0}, "/history_messages"),
        ({"debounce_seconds": 301}, "/debounce_seconds"),
        ({"temperature": 3}, "/temperature"),
        ({"budget": {"replies": 1}}, "/budget/replies"),
        ({"budget": {"replies_per_day": 0}}, "/budget/replies_per_day"),
        ({"on_failure": "cry"}, "/on_failure"),
        ({"allowed_tool_origins": ["https://api.example.com/path"], "tools": []}, "/allowed_tool_origins/0"),
        ({"allowed_tool_origins": []}, "/tools/0/url"),
        ({"allowed_tool_origins": ["https://api.example.com:8443"]}, "/tools/0/url"),
        ({"tools": [TOOL | {"name": "a b"}]}, "/tools/0/name"),
        ({"tools": [TOOL | {"name": "hand_over_to_human"}]}, "/tools/0/name"),
        ({"tools": [TOOL, TOOL]}, "/tools/1/name"),
        ({"tools": [TOOL | {"url": "https://{order}.example.com/"}]}, "/tools/0/url"),
        ({"tools": [TOOL | {"url": "https://api.example.com/{number}"}]}, "/tools/0/url"),
        ({"tools": [TOOL | {"parameters": {"type": "array"}}]}, "/tools/0/parameters"),
        ({"tools": [TOOL | {"method": "TRACE"}]}, "/tools/0/method"),
        ({"tools": [TOOL | {"headers": {"Host": "x"}}]}, "/tools/0/headers"),
        ({"tools": [TOOL | {"headers": {"X": "a\nb"}}]}, "/tools/0/headers"),
        ({"tools": [TOOL | {"headers": {"a b": "x"}}]}, "/tools/0/headers"),
        ({"tools": [TOOL | {"headers": {"X": "********"}}]}, "/tools/0/headers"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_bad_agents(app: Served, change: dict[str, Any], pointer: str) -> None:
    problem = app.call("POST", PATH, AI | change).json
    assert problem["status"] == 422
    assert pointer in [each["pointer"] for each in problem["errors"]], problem


def test_the_scripted_one_needs_no_address(app: Served) -> None:
    made = app.post(PATH, {"name": "Demo", "kind": "ai", "model": "scripted"})
    assert (made["base_url"], made["debounce_seconds"], made["typing"]) == ("", 3.0, True)


def test_an_account_has_an_ai_agent_of_its_organization(app: Served) -> None:
    ai, person = app.post(PATH, AI)["id"], app.post(PATH, {"name": "Ana", "kind": "human"})["id"]
    there = {"tellwire-organization": app.organization()}
    others = app.post(PATH, AI, headers=there)["id"]
    account = f"/v1/accounts/{NUMBER}"
    for wrong in (person, others, MISSING, "nonsense"):
        app.call("PATCH", account, {"agent_id": wrong}).problem(422, "/agent_id")
    app.call("POST", "/v1/accounts", {"phone_number_id": "9", "agent_id": person}).problem(422, "/agent_id")
    assert app.post("/v1/accounts", {"phone_number_id": "9", "agent_id": ai})["agent_id"] == ai
    assert app.call("PATCH", account, {"agent_id": ai}).json["agent_id"] == ai
    app.call("DELETE", f"{PATH}/{ai}").problem(409)
    assert app.call("PATCH", account, {"agent_id": None}).json["agent_id"] is None
    assert app.call("PATCH", "/v1/accounts/9", {"agent_id": ""}).json["agent_id"] is None
    assert app.call("DELETE", f"{PATH}/{ai}").status == 204
    app.call("GET", f"{PATH}/{ai}").problem(404)
    assert ai not in app.world.store.registry().agents


def test_agents_are_paused_and_resumed_in_a_conversation(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.meta(envelope(incoming("wamid.1")))
        agent = app.post(PATH, {"name": "Demo", "kind": "ai", "model": "scripted"})["id"]
        app.call("PATCH", f"/v1/accounts/{NUMBER}", {"agent_id": agent})
        [conversation] = app.get(f"/v1/conversations?contact={CUSTOMER}")["data"]
        path = f"/v1/conversations/{conversation['id']}/agent"
        calm = {
            "agent_id": agent,
            "paused": False,
            "reason": None,
            "by": None,
            "since": None,
            "usage": {"replies": 0, "input_tokens": 0, "output_tokens": 0},
        }
        assert app.get(path) == calm
        app.meta(envelope(incoming("wamid.2")))
        assert app.query("SELECT count(*) FROM agent_turns") == [(1,)]
        key = app.key("messages:write")
        paused = app.post(f"{path}/pause", {"reason": "a delicate case"}, status=200, key=key)
        assert (paused["paused"], paused["reason"]) == (True, "a delicate case")
        assert paused["by"].startswith("api-key ")
        assert paused["since"] == "2026-05-06T03:39:23+00:00"
        assert app.query("SELECT count(*) FROM agent_turns") == [(0,)]
        assert app.post(f"{path}/pause", status=200) == paused
        app.meta(envelope(incoming("wamid.3")))
        assert app.query("SELECT count(*) FROM agent_turns") == [(0,)]
        assert app.post(f"{path}/resume", status=200) == calm
        assert app.post(f"{path}/resume", status=200) == calm
        app.meta(envelope(incoming("wamid.4")))
        assert app.query("SELECT count(*) FROM agent_turns") == [(1,)]
        names = [each["name"] for each in app.get("/v1/events?entity=operational")["data"]]
        assert names == ["conversation.resumed", "conversation.handed_over"]
        app.call("POST", f"/v1/conversations/{MISSING}/agent/pause").problem(404)
        app.call("POST", f"{path}/pause", {"reason": "a\nb"}).problem(422, "/reason")


def test_the_agent_leaves_when_a_person_sends_by_the_api(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.meta(envelope(incoming("wamid.1")))
        ai = app.post(PATH, {"name": "Demo", "kind": "ai", "model": "scripted"})["id"]
        person = app.post(PATH, {"name": "Ana", "kind": "human"})["id"]
        change = {"agent_id": ai, "access_token": "an-invented-token"}
        assert app.call("PATCH", f"/v1/accounts/{NUMBER}", change).status == 200
        [conversation] = app.get(f"/v1/conversations?contact={CUSTOMER}")["data"]
        path = f"/v1/conversations/{conversation['id']}/agent"
        draft = {"account": NUMBER, "to": CUSTOMER, "type": "text", "text": {"body": "Your receipt"}}
        app.post("/v1/messages", draft, status=202)
        app.post("/v1/messages", draft | {"agent_id": ai}, status=202)
        assert app.get(path)["paused"] is False
        row = app.post("/v1/messages", draft | {"agent_id": person, "text": {"body": "I am Ana"}}, status=202)
        assert row["agent_id"] == person
        paused = app.get(path)
        assert (paused["paused"], paused["reason"], paused["by"]) == (True, "a person wrote", f"agent {person}")


def test_agents_are_paused_where_there_are_none_too(app: Served) -> None:
    [conversation] = app.get(f"/v1/conversations?contact={CUSTOMER}")["data"]
    path = f"/v1/conversations/{conversation['id']}/agent"
    assert app.post(f"{path}/pause", status=200)["paused"] is True
    assert app.get(path)["agent_id"] is None
    assert app.post(f"{path}/resume", status=200)["paused"] is False
