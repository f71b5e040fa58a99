"""Who may call, and what they see: keys, scopes, organizations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import replace
from tests.failing import attempted, stock
from tests.served import ADMIN, HOOK, MISSING, SETTINGS, Served, served
from tests.world import NUMBER, envelope, incoming

from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.security.api_keys import Scope
from tellwire.web.api import NOUNS

HOUR = 3600 * 1_000_000
OPERATORS_ONLY = {"/v1/settings", "/v1/doctor", "/v1/alerts", "/v1/alerts/test"}
NO_ROWS = {"alerts", "doctor", "settings", "traffic", "verdict", "why"}
"""Nouns that are no rows of an organization."""
TEMPLATE = {
    "name": "order_ready",
    "language": "en_US",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "Your order is ready."}],
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = replace(SETTINGS, quota_api_keys=1000)  # each test makes some
    with served(tmp_path_factory.mktemp("access"), settings=settings) as running:
        yield running


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        f"Bearer {ADMIN} {ADMIN}",
        f"Bearer {ADMIN}x",
        "Bearer tw_" + "a" * 43,
        "Bearer tw_short",
        "Bearer " + "x" * 5000,
        "Bearer \xe9\xe8",
        "Token " + ADMIN,
    ],
)
def test_other_keys_are_401(app: Served, given: str) -> None:
    reply = app.send("GET", "/v1/accounts", None, {"authorization": given})
    problem = reply.problem(401)
    assert reply.headers["www-authenticate"] == 'Bearer realm="tellwire", error="invalid_token"'
    assert ADMIN not in str(problem)


def test_no_key_is_401(app: Served) -> None:
    reply = app.call("GET", "/v1/accounts", key=None)
    reply.problem(401)
    assert reply.headers["www-authenticate"] == 'Bearer realm="tellwire"'


def test_two_keys_are_401(app: Served) -> None:
    connection = app.connection()
    connection.putrequest("GET", "/v1/accounts")
    connection.putheader("authorization", f"Bearer {ADMIN}")
    connection.putheader("authorization", f"Bearer {ADMIN}")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_the_scheme_is_case_insensitive(app: Served) -> None:
    assert app.send("GET", "/v1/accounts", None, {"authorization": f"bEARER {ADMIN}"}).status == 200


def test_no_admin_key_admits_nobody(tmp_path: Path) -> None:
    with served(tmp_path, settings=replace(SETTINGS, admin_key="")) as bare:
        bare.send("GET", "/v1/accounts", None, {"authorization": "Bearer "}).problem(401)
        bare.call("GET", "/v1/accounts").problem(401)


def test_key_is_shown_once_and_kept_as_its_hash(app: Served) -> None:
    made = app.post("/v1/api-keys", {"name": "for the CRM", "scopes": ["read"]})
    key = made["key"]
    assert re.fullmatch(r"tw_[A-Za-z0-9_-]{43}", key)
    assert made["prefix"] == key[:10]
    read = app.get(f"/v1/api-keys/{made['id']}")
    assert read == {name: value for name, value in made.items() if name != "key"}
    assert read["scopes"] == ["read"]
    everything = str(app.query("SELECT * FROM api_keys")) + str(app.query("SELECT * FROM audit"))
    assert key not in everything
    assert app.get("/v1/accounts", key=key) is not None


def test_key_without_scopes_gets_all_but_admin(app: Served) -> None:
    assert "admin" not in app.post("/v1/api-keys", {})["scopes"]


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"scopes": "read"}, "/scopes"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "x" * 257}, "/name"),
        ({"expires_at": "tomorrow"}, "/expires_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": 5}, "/expires_at"),
        ({"organization_id": MISSING}, "/organization_id"),
        ({"organization_id": ""}, "/organization_id"),
        ({"key": "tw_mine"}, "/key"),
    ],
)
def test_bad_key_drafts(app: Served, draft: dict[str, Any], pointer: str) -> None:
    app.call("POST", "/v1/api-keys", draft).problem(422, pointer)


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_times_that_leave_the_calendar_are_no_expiry(app: Served, at: str) -> None:
    app.call("POST", "/v1/api-keys", {"expires_at": at}).problem(422, "/expires_at")


def test_revoked_key_works_no_longer_at_once(app: Served) -> None:
    made = app.post("/v1/api-keys", {})
    assert app.call("GET", "/v1/accounts", key=made["key"]).status == 200
    revoked = app.call("DELETE", f"/v1/api-keys/{made['id']}")
    assert revoked.status == 200
    assert revoked.json["revoked_at"]
    app.call("GET", "/v1/accounts", key=made["key"]).problem(401)
    again = app.call("DELETE", f"/v1/api-keys/{made['id']}")
    assert again.json == revoked.json
    assert made["id"] in [key["id"] for key in app.get("/v1/api-keys?limit=200")["data"]]


def test_key_expires(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        key = app.post("/v1/api-keys", {"expires_at": "2026-05-06T04:39:23Z"})["key"]
        assert app.call("GET", "/v1/accounts", key=key).status == 200
        app.clock.move(HOUR)
        app.call("GET", "/v1/accounts", key=key).problem(401)


def test_last_use_is_noted_at_most_once_a_minute(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        made = app.post("/v1/api-keys", {})

        def used() -> Any:
            app.call("GET", "/v1/accounts", key=made["key"])
            app.run(app.world.store.write(lambda _: None))  # behind the note in the same queue
            return app.get(f"/v1/api-keys/{made['id']}")["last_used_at"]

        first = used()
        assert first == "2026-05-06T03:39:23+00:00"
        app.clock.move(59_000_000)
        assert used() == first
        app.clock.move(1_000_000)
        assert used() == "2026-05-06T03:40:23+00:00"


# --- scopes -----------------------------------------------------------------------------------------------------------

ROUTES = [
    (min(handler.http_methods), "/v1" + path, handler.opt.get("scopes", ()))
    for noun in NOUNS.values()
    for handler in noun.HANDLERS
    for path in handler.paths
]


def concrete(path: str, identifier: str = MISSING) -> str:
    return re.sub(r"\{(\w+):str\}", lambda found: "row" if found[1] == "format_name" else identifier, path)


@pytest.mark.parametrize(("method", "path", "scopes"), ROUTES)
def test_every_route_wants_its_scope(app: Served, method: str, path: str, scopes: tuple[str, ...]) -> None:
    every = set(get_args(Scope)) - {"admin"}
    lacking = every - set(scopes)
    app.call(method, concrete(path), key=app.key(*sorted(lacking))).problem(403)
    app.call(method, concrete(path), key=None).problem(401)
    for scope in (*scopes, "admin"):
        key = app.key(scope, operator=path in OPERATORS_ONLY)
        if path.endswith("/stream"):
            continue
        assert app.call(method, concrete(path), key=key).status not in {401, 403} or (method, scope, path) == (
            "POST",
            "accounts:manage",
            "/v1/accounts",
        )


@pytest.mark.parametrize("path", sorted({path for _, path, _ in ROUTES}))
def test_options_tells_any_key_what_a_path_takes(app: Served, path: str) -> None:
    app.call("OPTIONS", concrete(path), key=None).problem(401)
    for key in (ADMIN, app.key("messages:write")):
        reply = app.call("OPTIONS", concrete(path), key=key)
        assert reply.status == 204
        assert "OPTIONS" in reply.headers["allow"]


# --- organizations ----------------------------------------------------------------------------------------------------


def test_admin_key_acts_in_the_organization_that_it_names(app: Served) -> None:
    other = app.organization()
    there = {"tellwire-organization": other}
    made = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"}, headers=there)
    assert made["organization_id"] == other
    assert [each["id"] for each in app.get("/v1/webhook-endpoints", headers=there)["data"]] == [made["id"]]
    app.call("GET", f"/v1/webhook-endpoints/{made['id']}").problem(404)
    assert app.call("GET", f"/v1/webhook-endpoints/{made['id']}", headers=there).status == 200


@pytest.mark.parametrize("name", [MISSING, "nonsense", "", "\xe9"])
def test_unknown_organization_is_404(app: Served, name: str) -> None:
    app.call("GET", "/v1/accounts", headers={"tellwire-organization": name}).problem(404)


def test_stored_keys_act_in_their_own_organization_only(app: Served) -> None:
    other = app.organization()
    key = app.key("admin", organization=other)
    app.call("GET", "/v1/accounts", key=key, headers={"tellwire-organization": DEFAULT_ORGANIZATION}).problem(403)
    assert app.call("GET", "/v1/accounts", key=key, headers={"tellwire-organization": other}).status == 200
    assert [each["id"] for each in app.get("/v1/organizations", key=key)["data"]] == [other]
    app.call("GET", f"/v1/organizations/{DEFAULT_ORGANIZATION}", key=key).problem(404)
    app.call("POST", "/v1/organizations", {"name": "More"}, key=key).problem(403)
    draft = {"organization_id": DEFAULT_ORGANIZATION}
    app.call("POST", "/v1/api-keys", draft, key=key).problem(422, "/organization_id")


@pytest.mark.parametrize("draft", [{}, {"name": ""}, {"name": 5}, {"name": "a\x00b"}, {"name": "x" * 257}])
def test_bad_organizations(app: Served, draft: dict[str, Any]) -> None:
    app.call("POST", "/v1/organizations", draft).problem(422, "/name")


# --- tenancy ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def populated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str, dict[str, str]]]:
    """An app in which the default organization has one row of everything, and another's key."""
    with served(tmp_path_factory.mktemp("tenancy")) as running:
        running.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
        running.post("/v1/agents", {"name": "Ada", "kind": "human"})
        running.post("/v1/sources", {"name": "the other", "kind": "wakit"})
        running.post("/v1/labels", {"name": "Urgent"})
        running.key()
        running.post("/v1/members", {"email": "ana@example.com", "role": "owner"})
        running.post("/v1/members", {"email": "bob@example.com", "role": "owner"})
        running.post("/v1/login-links", {"email": "ana@example.com"})
        running.post("/v1/portal-links", {"name": "guests"})
        assert running.meta(envelope(incoming("wamid.A"))).status == 200
        assert running.upload(b"a picture", ("account", NUMBER)).status == 201
        assert running.call("PATCH", f"/v1/accounts/{NUMBER}", {"access_token": "an-invented-token"}).status == 200
        running.post("/v1/templates", {"account": NUMBER, **TEMPLATE})
        attempted(running, running.get("/v1/deliveries")["data"][0]["id"])
        stock(running)
        rows = {
            noun: running.get(f"/v1/{noun}")["data"]
            for noun in NOUNS
            if noun not in {"audit", "organizations", *NO_ROWS}
        }
        ids = {noun: listed[0]["id"] for noun, listed in rows.items() if listed}
        ids["pulled"] = running.post("/v1/webhook-endpoints", {"pull": True, "format": "row"})["id"]
        yield running, running.key("admin", organization=running.organization()), ids


def test_there_is_one_row_of_everything_to_be_looked_for(populated: tuple[Served, str, dict[str, str]]) -> None:
    missing = NOUNS.keys() - populated[2].keys() - {"audit", "organizations", *NO_ROWS}
    assert not missing, (
        f"the tests of tenancy have no row of {sorted(missing)} to look for: make one of each in `populated` of "
        "tests/acceptance/test_api_access.py"
    )


OF_NOBODY = {"/v1/events/samples/{format_name:str}"}
"""Paths about something that is no organization's."""


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for method, path, _ in ROUTES if "{" in path and path not in OF_NOBODY]
)
def test_what_is_anothers_is_404(populated: tuple[Served, str, dict[str, str]], method: str, path: str) -> None:
    app, key, ids = populated
    noun = "pulled" if "/pull" in path else path.split("/")[2]
    target = concrete(path, ids.get(noun, DEFAULT_ORGANIZATION))
    body: dict[str, Any] | None = {} if method == "PATCH" else None
    if path.endswith("/recover"):
        body = {"since": "2026-05-01T00:00:00Z", "include": "failed"}
    answers = {"answers": [{"delivery_id": DEFAULT_ORGANIZATION, "receipt": "1.0.0", "status": 200}]}
    bodies: dict[str, Any] = {"/notes": {"text": "Call back."}, "/assign": {}, "/answers": answers}
    body = bodies.get(path[path.rindex("/") :], body)
    app.call(method, target, body, key=key).problem(404)
    if method == "GET" and not path.endswith(("/erasure", "/{job_id:str}")):
        assert app.call(method, target).status == 200


@pytest.mark.parametrize("noun", [noun for noun in NOUNS if noun not in {"organizations", *NO_ROWS}])
def test_lists_show_nothing_of_anothers(populated: tuple[Served, str, dict[str, str]], noun: str) -> None:
    app, key, ids = populated
    seen = {each["id"] for each in app.get(f"/v1/{noun}", key=key)["data"]}
    assert ids.get(noun) not in seen
    assert {each["organization_id"] for each in app.get(f"/v1/{noun}", key=key)["data"]} <= {
        each["id"] for each in app.get("/v1/organizations", key=key)["data"]
    }


@pytest.mark.parametrize(
    "query",
    [
        "events?conversation_id={conversations}",
        "deliveries?endpoint_id={webhook-endpoints}",
        "deliveries?event_id={events}",
        "deliveries?contact={contacts}",
        "deliveries?message_id={messages}",
        "deliveries?webhook_id={webhook-id}",
        "deliveries?failure_id={failures}",
        "failures?endpoint_id={webhook-endpoints}",
        "messages?conversation_id={conversations}",
        "conversations?contact={contacts}",
        f"events?account={NUMBER}",
    ],
)
def test_filters_find_nothing_of_anothers(populated: tuple[Served, str, dict[str, str]], query: str) -> None:
    app, key, ids = populated
    ids |= {"webhook-id": f"msg_{ids['deliveries'].replace('-', '')}"}
    path = "/v1/" + re.sub(r"\{([\w-]+)\}", lambda found: ids[found[1]], query)
    assert app.get(path)["data"] != []
    assert app.get(path, key=key)["data"] == []


def test_phone_number_ids_are_nobody_elses_either(populated: tuple[Served, str, dict[str, str]]) -> None:
    app, key, _ = populated
    assert app.get(f"/v1/accounts/{NUMBER}")["phone_number_id"] == NUMBER
    app.call("GET", f"/v1/accounts/{NUMBER}", key=key).problem(404)
    app.call("DELETE", f"/v1/accounts/{NUMBER}", key=key).problem(404)
    app.call("POST", "/v1/accounts", {"phone_number_id": NUMBER}, key=key).problem(422, "/access_token")
