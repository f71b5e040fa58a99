"""Secrets are written and never shown: planted everywhere, they are looked for in everything that can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.acceptance.test_api_access import ROUTES, TEMPLATE
from tests.failing import attempted
from tests.served import SETTINGS, Served, served
from tests.world import START, envelope, incoming

from tellwire.ports.http_out import Answer
from tellwire.settings import SETTINGS as SETTINGS_BY_NAME
from tellwire.settings import AppSecret, Settings, shown
from tellwire.stores.failure_store import SqlFailureStore

PLANTED = {
    name: f"planted-{name}-7f3a9c"
    for name in (
        "access-token",
        "app-secret",
        "signing",
        "rotated",
        "token",
        "header",
        "admin",
        "meta",
        "verify",
        "model",
        "tool",
        "source",
        "resourced",
        "password",
        "repassword",
    )
}
RENDERED = {
    "event_id": "events",
    "delivery_id": "deliveries",
    "failure_id": "failures",
    "contact_id": "contacts",
    "conversation_id": "conversations",
    "message_id": "messages",
    "inbound_id": "inbound",
    "endpoint_id": "webhook-endpoints",
    "account_id": "accounts",
    "agent_id": "agents",
    "template_id": "templates",
    "key_id": "api-keys",
    "organization_id": "organizations",
    "media_id": "media",
    "source_id": "sources",
    "member_id": "members",
    "login_link_id": "login-links",
    "portal_link_id": "portal-links",
    "label_id": "labels",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("secrets"), settings=planted_settings()) as running:
        yield running


def planted_settings() -> Settings:
    return replace(
        SETTINGS,
        admin_key=PLANTED["admin"],
        meta_app_secret=(AppSecret(PLANTED["meta"]),),
        meta_verify_token=PLANTED["verify"],
    )


def planted_in(text: str) -> list[str]:
    return [name for name, secret in PLANTED.items() if secret in text]


def filled(app: Served) -> list[str]:
    """Everything that takes a secret is given one; what is answered to changes, except where a secret is new."""
    key = PLANTED["admin"]
    account = {
        "phone_number_id": "77",
        "waba_id": "78",
        "access_token": PLANTED["access-token"],
        "app_secret": PLANTED["app-secret"],
    }
    answers = [app.call("POST", "/v1/accounts", account, key=key)]
    assert app.call("POST", "/v1/api-keys", {"name": "x"}, key=key).status == 201
    assert app.call("POST", "/v1/labels", {"name": "Urgent"}, key=key).status == 201
    assert app.call("POST", "/v1/templates", {"account": "77", **TEMPLATE}, key=key).status == 201
    quoting = {"error": {"code": 190, "message": f"Malformed access token {PLANTED['access-token']}"}}
    app.outside.refused = Answer(status=401, body=json.dumps(quoting).encode())
    answers.append(app.call("POST", "/v1/templates/sync", {"account": "77"}, key=key))
    assert "Malformed access token …" in answers[-1].json["detail"]
    app.outside.refused = None
    draft = {
        "url": "https://hooks.example.com/in",
        "format": "row",
        "secret": PLANTED["signing"],
        "token": PLANTED["token"],
        "headers": {"X-Own": PLANTED["header"]},
    }
    made = app.call("POST", "/v1/webhook-endpoints", draft, key=key).json
    path = f"/v1/webhook-endpoints/{made['id']}"
    assert app.call("POST", f"{path}/rotate-secret", {"secret": PLANTED["rotated"]}, key=key).status == 200
    tool = {"name": "look", "url": "https://x.example/", "headers": {"Authorization": f"Bearer {PLANTED['tool']}"}}
    agent: dict[str, object] = {"name": "Ada", "kind": "ai", "model": "m", "base_url": "https://models.example/v1"}
    agent |= {"api_key": PLANTED["model"], "tools": [tool], "allowed_tool_origins": ["https://x.example"]}
    hired = app.call("POST", "/v1/agents", agent, key=key)
    assert hired.status == 201, hired.body
    other = {"name": "the other", "kind": "wakit", "secret": PLANTED["source"]}
    sender = app.call("POST", "/v1/sources", other, key=key)
    assert sender.status == 201, sender.body
    person = {"email": "ana@example.com", "role": "owner", "password": PLANTED["password"]}
    member = app.call("POST", "/v1/members", person, key=key)
    assert member.status == 201, member.body
    changed = {"password": PLANTED["repassword"]}
    assert app.call("PATCH", f"/v1/members/{member.json['id']}", changed, key=key).status == 200
    for noun, about in (("login-links", {"email": "ana@example.com"}), ("portal-links", {"name": "guests"})):
        assert app.call("POST", f"/v1/{noun}", about, key=key).status == 201
    answers += [
        member,
        app.call("POST", "/v1/members", person, key=key),
        app.call("PATCH", f"/v1/sources/{sender.json['id']}", {"secret": PLANTED["resourced"]}, key=key),
        app.call("POST", "/v1/sources", other | {"name": ""}, key=key),
        hired,
        app.call("PATCH", f"/v1/agents/{hired.json['id']}", {"api_key": PLANTED["model"]}, key=key),
        app.call("POST", "/v1/agents", agent | {"model": "", "base_url": PLANTED["model"] + "\n"}, key=key),
        app.call("PATCH", path, {"token": PLANTED["token"], "description": "x"}, key=key),
        app.call("PATCH", "/v1/accounts/77", {"app_secret": PLANTED["app-secret"]}, key=key),
        app.call("POST", f"{path}/pause", key=key),
        app.call("POST", f"{path}/resume", key=key),
    ]
    assert app.meta(envelope(incoming("wamid.1")), secret=PLANTED["meta"]).status == 200
    assert app.upload(b"a picture", ("account", "77"), key=key).status == 201
    delivery = app.get("/v1/deliveries", key=key)["data"][0]
    attempted(app, delivery["id"])
    app.run(SqlFailureStore(app.world.store).take_stock(START))
    return [answer.body.decode() for answer in answers]


def test_nothing_planted_is_read_anywhere(app: Served) -> None:
    key = PLANTED["admin"]
    read = filled(app)
    rows = {name: app.get(f"/v1/{noun}", key=key)["data"] for name, noun in RENDERED.items()}
    empty = [RENDERED[name] for name, listed in rows.items() if not listed]
    assert not empty, f"`filled` of tests/acceptance/test_api_secrets.py makes no row of {empty}: let it make one"
    ids = {name: listed[0]["id"] for name, listed in rows.items()}
    ids["format_name"] = "row"
    since = {"since": "2026-05-01T00:00:00Z", "include": "all"}
    job = app.call("POST", f"/v1/webhook-endpoints/{ids['endpoint_id']}/recover", since, key=key)
    assert job.status == 202, job.body
    ids["job_id"] = job.json["id"]
    note = app.call("POST", f"/v1/conversations/{ids['conversation_id']}/notes", {"text": "Call back."}, key=key)
    ids["note_id"] = note.json["id"]
    unknown = {name for _, path, _ in ROUTES for name in re.findall(r"\{(\w+):str\}", path)} - ids.keys()
    assert not unknown, (
        f"nobody has said which noun has the ids {sorted(unknown)} of paths: add a row each to RENDERED of "
        "tests/acceptance/test_api_secrets.py, and make such a row in `filled`"
    )
    pulled = app.call("POST", "/v1/webhook-endpoints", {"pull": True, "format": "row"}, key=key).json["id"]
    paths = [
        re.sub(r"\{(\w+):str\}", lambda found: ids[found[1]], path.replace("{endpoint_id:str}/pull", f"{pulled}/pull"))
        for method, path, _ in ROUTES
        if method == "GET" and not path.endswith(("/stream", "/erasure", "/members/me"))
    ]
    paths = [f"{path}?q=planted" if path == "/v1/why" else path for path in paths]
    for path in [*paths, "/login", "/metrics", "/version", "/readyz", "/openapi.json"]:
        answer = app.call("GET", path, key=key)
        assert answer.status == 200, (path, answer.body)
        read.append(f"{path}\n{answer.headers}\n{answer.body.decode()}")
    for method, path, body in (
        ("POST", "/v1/accounts", {"phone_number_id": "77", "access_token": PLANTED["access-token"]}),
        ("POST", "/v1/accounts", {"phone_number_id": 1, "access_token": PLANTED["access-token"] + "\n"}),
        ("POST", "/v1/webhook-endpoints", {"url": "x", "format": "row", "secret": PLANTED["signing"], "token": "a b"}),
        ("GET", "/v1/nothing", None),
    ):
        read.append(app.call(method, path, body, key=key).body.decode())
    assert [planted_in(text) for text in read if planted_in(text)] == []
    assert len(paths) > 20


def test_nothing_planted_is_stored_in_the_clear(tmp_path: Path) -> None:
    with served(tmp_path, settings=planted_settings()) as app:
        filled(app)
        app.run(app.world.store.purge_erased())
        files = b"".join(each.read_bytes() for each in tmp_path.glob("served.db*")).decode("latin-1")
    assert planted_in(files) == []


def test_nothing_planted_is_in_settings_as_they_are_shown() -> None:
    settings = planted_settings()
    assert planted_in(repr(settings) + "".join(shown(settings, name) for name in SETTINGS_BY_NAME)) == []
