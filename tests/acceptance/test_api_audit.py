"""Every change of keys, endpoints, accounts and people leaves a line in the audit, by REST and by the command line."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.acceptance.test_api_access import ROUTES, TEMPLATE
from tests.acceptance.test_cli import run
from tests.failing import attempted, stock
from tests.served import HOOK, Served, served
from tests.world import CUSTOMER, envelope, incoming

Change = Callable[[Served], Any]


def endpoint(app: Served) -> str:
    return f"/v1/webhook-endpoints/{app.post('/v1/webhook-endpoints', {'url': HOOK, 'format': 'row'})['id']}"


def pulled(app: Served) -> str:
    return f"/v1/webhook-endpoints/{app.post('/v1/webhook-endpoints', {'pull': True, 'format': 'row'})['id']}"


def account(app: Served) -> str:
    return f"/v1/accounts/{app.post('/v1/accounts', {'phone_number_id': '1'})['id']}"


def resumption(app: Served) -> str:
    path = account(app)
    app.write(lambda c: c.execute(text("UPDATE accounts SET sending_paused = 'a reason'")))
    return f"{path}/resume-sending"


def key(app: Served) -> str:
    return f"/v1/api-keys/{app.post('/v1/api-keys', {'name': 'x'})['id']}"


def agent(app: Served) -> str:
    return f"/v1/agents/{app.post('/v1/agents', AGENT)['id']}"


def source(app: Served) -> str:
    return f"/v1/sources/{app.post('/v1/sources', SOURCE)['id']}"


def member(app: Served) -> str:
    return f"/v1/members/{app.post('/v1/members', MEMBER)['id']}"


def login_link(app: Served) -> str:
    return f"/v1/login-links/{app.post('/v1/login-links', {})['id']}"


def portal_link(app: Served) -> str:
    return f"/v1/portal-links/{app.post('/v1/portal-links', {'name': 'x'})['id']}"


MEMBER = {"email": "ana@example.com", "role": "viewer"}


def label(app: Served) -> str:
    return f"/v1/labels/{app.post('/v1/labels', {'name': 'Urgent'})['id']}"


def conversation(app: Served) -> str:
    assert app.meta(envelope(incoming("wamid.1"))).status == 200
    return f"/v1/conversations/{app.get('/v1/conversations')['data'][0]['id']}"


def labelled(app: Served) -> str:
    path = f"{conversation(app)}/labels/{label(app).rpartition('/')[2]}"
    app.post(path, status=200)
    return path


def noted(app: Served) -> str:
    path = f"{conversation(app)}/notes"
    return f"{path}/{app.post(path, NOTE)['id']}"


def assigned(app: Served) -> str:
    path = f"{conversation(app)}/assign"
    app.post(path, {"agent_id": agent(app).rpartition("/")[2]}, status=200)
    return path


NOTE = {"text": "Call back."}
SOURCE = {"name": "the other", "kind": "wakit"}
AGENT = {"name": "Ada", "kind": "ai", "model": "scripted"}
RECOVERY = {"since": "2026-05-01T00:00:00Z", "include": "failed"}


def recovery(app: Served) -> str:
    path = f"{endpoint(app)}/recover"
    return f"{path}/{app.post(path, RECOVERY, status=202)['id']}"


def contact(app: Served) -> str:
    assert app.meta(envelope(incoming("wamid.1"))).status == 200
    return f"/v1/contacts/{app.get(f'/v1/contacts?alias={CUSTOMER}')['data'][0]['id']}"


def delivery(app: Served) -> str:
    endpoint(app)
    assert app.meta(envelope(incoming("wamid.1"))).status == 200
    return str(app.get("/v1/deliveries")["data"][0]["id"])


def failure(app: Served) -> str:
    attempted(app, delivery(app))
    return f"/v1/failures/{stock(app)[0]['id']}"


def file(app: Served) -> str:
    account(app)
    return f"/v1/media/{app.upload(b'a picture', ('account', '1')).json['id']}"


def account_with_token(app: Served) -> str:
    draft = {"phone_number_id": "1", "waba_id": "2", "access_token": "an-invented-token"}
    app.post("/v1/accounts", draft)
    return "/v1/templates"


def template(app: Served) -> str:
    return f"{account_with_token(app)}/{app.post('/v1/templates', {'account': '1', **TEMPLATE})['id']}"


CHANGES: dict[tuple[str, str], tuple[Callable[[Served], str], Any, str]] = {
    ("POST", "/v1/api-keys"): (lambda _: "/v1/api-keys", {"name": "x"}, "api_key.created"),
    ("DELETE", "/v1/api-keys/{key_id:str}"): (key, None, "api_key.revoked"),
    ("POST", "/v1/accounts"): (lambda _: "/v1/accounts", {"phone_number_id": "1"}, "account.created"),
    ("PATCH", "/v1/accounts/{account_id:str}"): (account, {"name": "x"}, "account.changed"),
    ("DELETE", "/v1/accounts/{account_id:str}"): (account, None, "account.deleted"),
    ("POST", "/v1/accounts/{account_id:str}/resume-sending"): (resumption, None, "account.resumed"),
    ("POST", "/v1/webhook-endpoints"): (
        lambda _: "/v1/webhook-endpoints",
        {"url": HOOK, "format": "row"},
        "endpoint.created",
    ),
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id:str}"): (endpoint, {"description": "x"}, "endpoint.changed"),
    ("DELETE", "/v1/webhook-endpoints/{endpoint_id:str}"): (endpoint, None, "endpoint.deleted"),
    ("POST", "/v1/webhook-endpoints/{endpoint_id:str}/pause"): (
        lambda app: f"{endpoint(app)}/pause",
        None,
        "endpoint.paused",
    ),
    ("POST", "/v1/webhook-endpoints/{endpoint_id:str}/resume"): (
        lambda app: f"{paused(app)}/resume",
        None,
        "endpoint.resumed",
    ),
    ("POST", "/v1/webhook-endpoints/{endpoint_id:str}/rotate-secret"): (
        lambda app: f"{endpoint(app)}/rotate-secret",
        {},
        "endpoint.secret_rotated",
    ),
    ("POST", "/v1/webhook-endpoints/{endpoint_id:str}/recover"): (
        lambda app: f"{endpoint(app)}/recover",
        RECOVERY,
        "endpoint.recover",
    ),
    ("POST", "/v1/webhook-endpoints/{endpoint_id:str}/recover/{job_id:str}/cancel"): (
        lambda app: f"{recovery(app)}/cancel",
        None,
        "endpoint.recover_cancelled",
    ),
    ("POST", "/v1/webhook-endpoints/{endpoint_id:str}/pull/skip"): (
        lambda app: f"{pulled(app)}/pull/skip",
        None,
        "endpoint.deliveries_skipped",
    ),
    ("POST", "/v1/deliveries/replay"): (
        lambda _: "/v1/deliveries/replay",
        lambda app: {"ids": [delivery(app)]},
        "endpoint.deliveries_replayed",
    ),
    ("POST", "/v1/failures/{failure_id:str}/acknowledge"): (
        lambda app: f"{failure(app)}/acknowledge",
        {"note": "x"},
        "failure.acknowledged",
    ),
    ("POST", "/v1/failures/{failure_id:str}/resolve"): (
        lambda app: f"{failure(app)}/resolve",
        None,
        "failure.resolved",
    ),
    ("POST", "/v1/failures/{failure_id:str}/replay"): (lambda app: f"{failure(app)}/replay", None, "failure.replayed"),
    ("POST", "/v1/agents"): (lambda _: "/v1/agents", AGENT, "agent.created"),
    ("PATCH", "/v1/agents/{agent_id:str}"): (agent, {"name": "x"}, "agent.changed"),
    ("DELETE", "/v1/agents/{agent_id:str}"): (agent, None, "agent.deleted"),
    ("POST", "/v1/members"): (lambda _: "/v1/members", MEMBER, "member.created"),
    ("PATCH", "/v1/members/{member_id:str}"): (member, {"role": "agent"}, "member.changed"),
    ("DELETE", "/v1/members/{member_id:str}"): (member, None, "member.deleted"),
    ("POST", "/v1/members/{member_id:str}/end-sessions"): (
        lambda app: f"{member(app)}/end-sessions",
        None,
        "member.logged_out",
    ),
    ("POST", "/v1/login-links"): (lambda _: "/v1/login-links", {}, "login_link.created"),
    ("DELETE", "/v1/login-links/{login_link_id:str}"): (login_link, None, "login_link.revoked"),
    ("POST", "/v1/portal-links"): (lambda _: "/v1/portal-links", {"name": "x"}, "portal_link.created"),
    ("DELETE", "/v1/portal-links/{portal_link_id:str}"): (portal_link, None, "portal_link.revoked"),
    ("POST", "/v1/sources"): (lambda _: "/v1/sources", SOURCE, "source.created"),
    ("PATCH", "/v1/sources/{source_id:str}"): (source, {"name": "x"}, "source.changed"),
    ("DELETE", "/v1/sources/{source_id:str}"): (source, None, "source.deleted"),
    ("PATCH", "/v1/contacts/{contact_id:str}"): (contact, {"name": "x"}, "contact.changed"),
    ("DELETE", "/v1/contacts/{contact_id:str}"): (contact, None, "contact.erased"),
    ("DELETE", "/v1/media/{media_id:str}"): (file, None, "media.deleted"),
    ("POST", "/v1/labels"): (lambda _: "/v1/labels", {"name": "Urgent"}, "label.created"),
    ("PATCH", "/v1/labels/{label_id:str}"): (label, {"name": "x"}, "label.changed"),
    ("DELETE", "/v1/labels/{label_id:str}"): (label, None, "label.deleted"),
    ("POST", "/v1/conversations/{conversation_id:str}/labels/{label_id:str}"): (
        lambda app: f"{conversation(app)}/labels/{label(app).rpartition('/')[2]}",
        None,
        "conversation.labelled",
    ),
    ("DELETE", "/v1/conversations/{conversation_id:str}/labels/{label_id:str}"): (
        labelled,
        None,
        "conversation.unlabelled",
    ),
    ("POST", "/v1/conversations/{conversation_id:str}/notes"): (
        lambda app: f"{conversation(app)}/notes",
        NOTE,
        "note.created",
    ),
    ("DELETE", "/v1/conversations/{conversation_id:str}/notes/{note_id:str}"): (noted, None, "note.deleted"),
    ("POST", "/v1/conversations/{conversation_id:str}/assign"): (assigned, {}, "conversation.assigned"),
    ("POST", "/v1/templates"): (account_with_token, {"account": "1", **TEMPLATE}, "template.created"),
    ("DELETE", "/v1/templates/{template_id:str}"): (template, None, "template.deleted"),
}
"""Every route that changes one of them → where to call it, with what, and the action that it notes."""


def paused(app: Served) -> str:
    path = endpoint(app)
    app.post(f"{path}/pause", status=200)
    return path


@pytest.mark.parametrize("route", CHANGES, ids=" ".join)
def test_a_change_is_noted_once_with_who_made_it(tmp_path: Path, route: tuple[str, str]) -> None:
    where, body, action = CHANGES[route]
    with served(tmp_path) as app:
        path = where(app)
        body = body(app) if callable(body) else body
        by = app.key("admin", operator=True)
        before = len(app.get("/v1/audit?limit=200")["data"])
        assert app.call(route[0], path, body, key=by).status < 300
        entries = app.get("/v1/audit?limit=200")["data"]
        noted = [each["action"] for each in entries[: len(entries) - before]]
        assert noted == [action], f"{' '.join(route)} is to note {action} once (`note` of stores/queries/audit.py)"
        assert entries[0]["actor"].startswith("api-key ")
        assert entries[0]["subject"]


def test_every_route_that_changes_something_is_in_a_table() -> None:
    changing = {(method, path) for method, path, _ in ROUTES if method != "GET"}
    missing = sorted(changing - CHANGES.keys() - NOT_NOTED)
    assert not missing, (
        f"nobody has said whether these leave a line in the audit: {missing}. Add a row each to CHANGES of "
        "tests/acceptance/test_api_audit.py, or to NOT_NOTED there"
    )
    assert changing >= CHANGES.keys() | NOT_NOTED, "a route in CHANGES or NOT_NOTED is no longer there"


NOT_NOTED = {
    # they change nothing of ours
    ("POST", "/v1/webhook-endpoints/{endpoint_id:str}/test"),
    ("POST", "/v1/templates/sync"),
    ("POST", "/v1/agents/{agent_id:str}/try"),
    ("POST", "/v1/accounts/{account_id:str}/check"),
    ("POST", "/v1/doctor"),
    ("POST", "/v1/alerts/test"),
    # members do these with themselves, by a session (tests/console/test_members.py)
    ("POST", "/v1/members/me/password"),
    ("POST", "/v1/members/me/end-sessions"),
    # the line is in the audit of the organization that is made
    ("POST", "/v1/organizations"),
    # what is written, read and delivered is told by rows and events of their own
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/{message_id:str}/cancel"),
    ("POST", "/v1/messages/{message_id:str}/mark-failed"),
    ("POST", "/v1/messages/{message_id:str}/resend"),
    ("POST", "/v1/messages/{message_id:str}/read"),
    ("POST", "/v1/conversations/{conversation_id:str}/read"),
    ("POST", "/v1/conversations/{conversation_id:str}/close"),
    ("POST", "/v1/conversations/{conversation_id:str}/reopen"),
    ("POST", "/v1/conversations/{conversation_id:str}/agent/pause"),
    ("POST", "/v1/conversations/{conversation_id:str}/agent/resume"),
    ("POST", "/v1/media"),
    ("POST", "/v1/media/{media_id:str}/retry"),
    ("POST", "/v1/deliveries/{delivery_id:str}/replay"),
    ("POST", "/v1/webhook-endpoints/{endpoint_id:str}/pull/answers"),
    ("POST", "/v1/inbound/{inbound_id:str}/reapply"),
}
"""Routes that leave no line in the audit of their organization."""


def test_what_changes_nothing_is_not_noted(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        path = paused(app)
        before = app.get("/v1/audit")["data"]
        app.post(f"{path}/pause", status=200)
        app.call("POST", "/v1/accounts", {"phone_number_id": ""}).problem(422, "/phone_number_id")
        assert app.get("/v1/audit")["data"] == before


def test_the_command_line_is_noted_too(tmp_path: Path) -> None:
    run("accounts", "create", "77", cwd=tmp_path)
    made = run("keys", "create", cwd=tmp_path)
    run("keys", "revoke", made["id"], cwd=tmp_path)
    with sqlite3.connect(tmp_path / "tellwire.db") as db:
        noted = [row[0] for row in db.execute("SELECT action FROM audit ORDER BY id")]
    assert noted == ["account.created", "api_key.created", "api_key.revoked"]
