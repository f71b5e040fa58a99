"""Who runs the installation, and what every other key has to prove before a number is its."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from tests.served import SETTINGS, Served, served
from tests.world import CUSTOMER, NUMBER, WABA, envelope, incoming, value

from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.ports.http_out import Answer

PATH = "/v1/accounts"
TOKEN = "an-invented-token"
MINE = {
    "1001": {"id": "1001", "display_phone_number": "+52 55 1234-5678", "verified_name": "x"},
    "9001": {"id": "9001"},
}
"""What Meta shows to the token."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, settings=replace(SETTINGS, auto_accounts=False)) as running:
        running.outside.shows = {TOKEN: MINE, "another-token": {"2002": {"id": "2002"}}}
        yield running


# --- operators --------------------------------------------------------------------------------------------------------


def test_no_scope_runs_the_installation(app: Served) -> None:
    other = app.organization()
    for organization in (DEFAULT_ORGANIZATION, other):
        key = app.key("admin", organization=organization)
        elsewhere = other if organization == DEFAULT_ORGANIZATION else DEFAULT_ORGANIZATION
        app.call("GET", PATH, key=key, headers={"tellwire-organization": elsewhere}).problem(403)
        assert [each["id"] for each in app.get("/v1/organizations", key=key)["data"]] == [organization]
        app.call("GET", f"/v1/organizations/{elsewhere}", key=key).problem(404)
        app.call("POST", "/v1/organizations", {"name": "More"}, key=key).problem(403)
        app.call("POST", "/v1/api-keys", {"operator": True}, key=key).problem(403)
        draft = {"organization_id": elsewhere}
        app.call("POST", "/v1/api-keys", draft, key=key).problem(422, "/organization_id")
        app.call("POST", PATH, {"phone_number_id": "1001"}, key=key).problem(422, "/access_token")
        assert app.call("POST", "/v1/api-keys", {"scopes": ["admin"]}, key=key).status == 201


def test_an_operators_key_does_what_admin_key_does(app: Served) -> None:
    made = app.post("/v1/api-keys", {"operator": True})
    assert (made["operator"], made["scopes"]) == (True, ["admin"])
    other = app.organization()
    there = {"tellwire-organization": other}
    assert app.post(PATH, {"phone_number_id": "5"}, key=made["key"], headers=there)["organization_id"] == other
    assert app.post("/v1/organizations", {"name": "More"}, key=made["key"])["name"] == "More"
    assert app.post("/v1/api-keys", {"operator": True}, key=made["key"])["operator"] is True
    assert app.outside.asked == []


def test_an_operators_key_with_other_scopes_has_these_in_every_organization(app: Served) -> None:
    key = app.key("read", operator=True)
    there = {"tellwire-organization": app.organization()}
    assert app.call("GET", PATH, key=key, headers=there).status == 200
    app.call("POST", PATH, {"phone_number_id": "5"}, key=key, headers=there).problem(403)


def test_only_operators_see_and_revoke_operators_keys(app: Served) -> None:
    made = app.post("/v1/api-keys", {"operator": True, "name": "of an operator"})
    path, admin = f"/v1/api-keys/{made['id']}", app.key("admin")
    assert made["id"] not in [each["id"] for each in app.get("/v1/api-keys", key=admin)["data"]]
    assert all(each["operator"] is False for each in app.get("/v1/api-keys", key=admin)["data"])
    app.call("GET", path, key=admin).problem(404)
    app.call("DELETE", path, key=admin).problem(404)
    assert app.get(path)["operator"] is True
    assert made["id"] in [each["id"] for each in app.get("/v1/api-keys")["data"]]
    assert app.call("DELETE", path, key=app.key("admin", operator=True)).json["revoked_at"]
    app.call("GET", PATH, key=made["key"]).problem(401)


def test_what_an_operator_was_told_is_not_told_again_to_others(app: Served) -> None:
    again, theirs = {"idempotency-key": "the-same"}, app.organization()
    for draft, status in (({"operator": True}, 403), ({"organization_id": theirs}, 422)):
        made = app.post("/v1/api-keys", draft, headers=again)
        assert app.post("/v1/api-keys", draft, headers=again) == made
        reply = app.call("POST", "/v1/api-keys", draft, key=app.key("admin"), headers=again)
        assert reply.status == status
        assert made["key"].encode() not in reply.body
        app.write(lambda c: c.execute(text("DELETE FROM idempotency_keys")))


# --- claims -----------------------------------------------------------------------------------------------------------

CLAIM = {"phone_number_id": "1001", "waba_id": "9001", "access_token": TOKEN, "display_phone_number": "+525512345678"}


@pytest.mark.parametrize("scope", ["admin", "accounts:manage"])
@pytest.mark.parametrize("organization", ["the default one", "another"])
@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({}, None),
        ({"waba_id": ""}, None),
        ({"display_phone_number": ""}, None),
        ({"access_token": ""}, ["/access_token"]),
        ({"access_token": "nobodys-token"}, []),
        ({"access_token": "another-token"}, []),
        ({"phone_number_id": "2002"}, []),
        ({"waba_id": "9002"}, []),
        ({"display_phone_number": "+525587654321"}, ["/display_phone_number"]),
        ({"phone_number_id": "019df000-0000-7000-8000-000000000001"}, ["/phone_number_id"]),
        ({"waba_id": "019df000-0000-7000-8000-000000000001"}, ["/waba_id"]),
    ],
    ids=str,
)
def test_a_number_is_had_by_who_proves_it(
    app: Served, scope: str, organization: str, change: dict[str, str], pointers: list[str] | None
) -> None:
    theirs = DEFAULT_ORGANIZATION if organization == "the default one" else app.organization()
    app.outside.shows["nobodys-token"] = {}
    draft = CLAIM | change
    reply = app.call("POST", PATH, draft, key=app.key(scope, organization=theirs))
    if pointers is None:
        assert reply.status == 201
        assert reply.json["organization_id"] == theirs
        return
    problem = reply.problem(422, *pointers)
    assert draft["access_token"] == "" or draft["access_token"] not in json.dumps(problem)
    assert app.query("SELECT * FROM accounts") == []


@pytest.mark.parametrize(
    "change",
    [{"waba_id": "9002"}, {"access_token": "another-token"}, {"display_phone_number": "+525587654321"}],
    ids=str,
)
def test_what_a_change_claims_is_proven_too(app: Served, change: dict[str, str]) -> None:
    theirs = app.organization()
    for key in (app.key("admin", organization=theirs), app.key("accounts:manage", organization=theirs)):
        app.call("POST", PATH, CLAIM, key=key)
        before = app.query("SELECT * FROM accounts")
        app.call("PATCH", f"{PATH}/1001", change, key=key).problem(
            422, *[f"/{name}" for name in change if name.startswith("display")]
        )
        assert app.query("SELECT * FROM accounts") == before
        for free in ({"name": "x"}, {"waba_id": "9001"}, {"app_secret": "an-invented-secret"}):
            asked = len(app.outside.asked)
            assert app.call("PATCH", f"{PATH}/1001", free, key=key).status == 200
            assert len(app.outside.asked) == asked  # nothing new is claimed


def test_an_account_that_an_operator_made_is_proven_when_its_token_changes(app: Served) -> None:
    theirs = app.organization()
    there, key = {"tellwire-organization": theirs}, app.key("admin", organization=theirs)
    app.post(PATH, {"phone_number_id": "1001", "waba_id": "9009"}, headers=there)
    app.call("PATCH", f"{PATH}/1001", {"access_token": TOKEN}, key=key).problem(422)
    assert app.call("PATCH", f"{PATH}/1001", {"access_token": TOKEN, "waba_id": "9001"}, key=key).status == 200
    assert app.call("PATCH", f"{PATH}/1001", {"access_token": None}, key=key).status == 200
    app.call("PATCH", f"{PATH}/1001", {"waba_id": "9002"}, key=key).problem(422, "/access_token")
    assert app.call("PATCH", f"{PATH}/1001", {"waba_id": "9002"}, headers=there).status == 200


def test_nothing_is_claimed_while_meta_does_not_answer(app: Served) -> None:
    key = app.key("admin")
    app.outside.shows = {}
    for answer in (Answer(failure="refused", cause="connection refused"), Answer(status=500, body=b"{}")):
        app.outside.refused = answer
        problem = app.call("POST", PATH, CLAIM, key=key, headers={"idempotency-key": "once"}).problem(502)
        assert "Meta did not answer" in problem["detail"]
        assert app.query("SELECT * FROM accounts") == []
        assert app.query("SELECT * FROM idempotency_keys") == []
    app.outside.refused, app.outside.shows = None, {TOKEN: MINE}
    assert app.call("POST", PATH, CLAIM, key=key, headers={"idempotency-key": "once"}).status == 201


def test_whether_a_number_is_taken_learns_only_who_proves_it(app: Served) -> None:
    theirs = app.organization("A name that nobody else may learn")
    app.post(PATH, {"phone_number_id": "1001"}, headers={"tellwire-organization": theirs})
    key = app.key("admin")
    app.call("POST", PATH, {"phone_number_id": "1001"}, key=key).problem(422, "/access_token")
    problem = app.call("POST", PATH, CLAIM, key=key).problem(409, "/phone_number_id")
    assert theirs not in json.dumps(problem)
    assert "learn" not in json.dumps(problem)


def test_of_two_organizations_that_claim_a_number_at_once_one_has_it(app: Served) -> None:
    keys = [app.key("admin", organization=app.organization(name)) for name in ("first", "second", "third", "fourth")]
    with ThreadPoolExecutor(len(keys)) as pool:
        statuses = list(pool.map(lambda key: app.call("POST", PATH, CLAIM, key=key).status, keys))
    assert sorted(statuses) == [201, 409, 409, 409]
    assert len(app.query("SELECT * FROM accounts")) == 1


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_the_secret_of_an_account_makes_no_account(tmp_path: Path) -> None:
    """An account's secret speaks for that account alone, whatever ids of ours a body names."""
    with served(tmp_path, settings=replace(SETTINGS, auto_accounts=True)) as app:
        theirs = app.organization()
        there = {"tellwire-organization": theirs}
        mine = app.post(PATH, {"phone_number_id": "1001", "app_secret": "a-tenants-secret"}, headers=there)
        for name in (mine["id"], theirs, DEFAULT_ORGANIZATION, "1001"):
            body = envelope(incoming("wamid.forged", "1001"))
            body["entry"][0]["id"] = name
            assert app.meta(body, "a-tenants-secret").status == 200
        posts = app.get("/v1/inbound")["data"]
        assert [post["outcome"] for post in posts] == ["unrouted"] * 4
        assert [row[0] for row in app.query("SELECT phone_number_id FROM accounts")] == ["1001"]
        assert app.query("SELECT * FROM messages") == []


@pytest.mark.parametrize("field", ["phone_number_id", "entry id"])
def test_no_account_is_made_under_an_id_of_ours(tmp_path: Path, field: str) -> None:
    with served(tmp_path) as app:
        known = app.post(PATH, {"phone_number_id": "1001", "name": "the first"})
        body = envelope(incoming("wamid.1"))
        if field == "entry id":
            body["entry"][0]["id"] = known["id"]
        else:
            body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = known["id"]
        assert app.meta(body).status == 200
        assert app.get(f"{PATH}/{known['id']}")["name"] == "the first"
        made = {"1001", NUMBER} if field == "entry id" else {"1001"}
        assert {each["phone_number_id"] for each in app.get(PATH)["data"]} == made


def test_what_came_for_one_organization_is_not_applied_to_who_has_its_number_next(app: Served) -> None:
    first, second = app.organization("first"), app.organization("second")
    account = {"phone_number_id": NUMBER, "waba_id": WABA}
    app.post(PATH, account | {"unknown_statuses": "hold"}, headers={"tellwire-organization": first})
    app.meta(envelope(incoming("wamid.of-the-first")))
    revoke = {"id": "wamid.revoke", "from": CUSTOMER, "timestamp": "1778038771", "type": "revoke"}
    app.meta(envelope(value(messages=[revoke | {"revoke": {"original_message_id": "wamid.later"}}])))
    posts = app.get("/v1/inbound", headers={"tellwire-organization": first})["data"]
    assert [post["outcome"] for post in posts] == ["held", "applied"]
    assert app.call("DELETE", f"{PATH}/{NUMBER}", headers={"tellwire-organization": first}).status == 204
    app.post(PATH, account, headers={"tellwire-organization": second})
    for post in posts:
        pointers = [item["pointer"] for item in post["items"]]
        again = app.post(
            f"/v1/inbound/{post['id']}/reapply",
            {"pointers": pointers},
            status=202,
            key=app.key("deliveries:replay", organization=first),
        )
        assert again["outcome"] == "unrouted"
    app.meta(envelope(incoming("wamid.later")))
    assert {row[0] for row in app.query(f"SELECT wamid FROM messages WHERE organization_id = '{second}'")} == {
        "wamid.later"
    }
    assert app.query(f"SELECT * FROM events WHERE organization_id = '{second}' AND name = 'messages.update'") == []
