"""`/v1/members`, `/v1/login-links` and `/v1/portal-links`, field by field, over both stores."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace
from tests.console.visitor import Visitor
from tests.served import MISSING, SETTINGS, Served, served

from tellwire.stores.queries import members
from tellwire.stores.queries.members import MOST_FAILED

PASSWORD = "an invented password"


@pytest.fixture(scope="module")
def app(each_store: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = replace(SETTINGS, quota_members=1000)
    with served(tmp_path_factory.mktemp("members"), settings=settings) as running:
        yield running


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        ({"email": ""}, "/email"),
        ({"email": "ana"}, "/email"),
        ({"email": "ana@example.com\n"}, "/email"),
        ({"email": "a b@example.com"}, "/email"),
        ({"email": "\u0430na@example.com"}, "/email"),
        ({"email": "a" * 250 + "@b.example"}, "/email"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "a" * 257}, "/name"),
        ({"role": "boss"}, "/role"),
        ({"role": "portal"}, "/role"),
        ({"role": None}, "/role"),
        ({"password": "short"}, "/password"),
        ({"password": ""}, "/password"),
        ({"password": "a" * 257}, "/password"),
        ({"password": "aaaaaaaaaaaa"}, "/password"),
        ({"password": "new@example.com"}, "/password"),
        ({"password_hash": "x"}, "/password_hash"),
    ],
)
def test_a_member_that_cannot_be_meant_is_422(app: Served, draft: dict[str, Any], pointer: str) -> None:
    app.call("POST", "/v1/members", {"email": "new@example.com", "role": "viewer"} | draft).problem(422, pointer)


def test_a_member_is_made_read_changed_and_deleted(app: Served) -> None:
    draft = {"email": "Ana@Example.com", "name": "Ana", "role": "operator", "password": PASSWORD}
    made = app.post("/v1/members", draft)
    assert (made["email"], made["role"], made["has_password"]) == ("ana@example.com", "operator", True)
    assert "argon2" not in str(made)
    path = f"/v1/members/{made['id']}"
    assert app.get(path) == made
    changed = app.call("PATCH", path, {"role": "agent", "name": "A."}).json
    assert (changed["role"], changed["name"], changed["email"]) == ("agent", "A.", "ana@example.com")
    assert made["id"] in [each["id"] for each in app.get("/v1/members")["data"]]
    assert app.call("DELETE", path).status == 204
    app.call("GET", path).problem(404)
    app.call("DELETE", path).problem(404)


def test_an_address_is_one_members(app: Served) -> None:
    app.post("/v1/members", {"email": "one@example.com", "role": "viewer"})
    for again in ("one@example.com", "ONE@example.com"):
        app.call("POST", "/v1/members", {"email": again, "role": "viewer"}).problem(409, "/email")
    key = app.key("admin", organization=app.organization())
    app.call("POST", "/v1/members", {"email": "one@example.com", "role": "viewer"}, key=key).problem(409, "/email")


def test_the_last_owner_stays(app: Served) -> None:
    key = app.key("admin", organization=app.organization())
    one = app.post("/v1/members", {"email": "last-1@example.com", "role": "owner"}, key=key)["id"]
    app.call("DELETE", f"/v1/members/{one}", key=key).problem(409)
    app.call("PATCH", f"/v1/members/{one}", {"role": "viewer"}, key=key).problem(409)
    assert app.call("PATCH", f"/v1/members/{one}", {"role": "owner"}, key=key).status == 200
    two = app.post("/v1/members", {"email": "last-2@example.com", "role": "owner"}, key=key)["id"]
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda each: app.call("DELETE", f"/v1/members/{each}", key=key).status, (one, two)))
    assert sorted(replies) == [204, 409], "whatever comes at the same time, one is left"


def test_guesses_at_the_same_time_are_counted_one_by_one(app: Served) -> None:
    made = app.post("/v1/members", {"email": "guessed@example.com", "role": "viewer", "password": PASSWORD})
    tries = ["a wrong password"] * MOST_FAILED + [PASSWORD] * 4

    def attempt(password: str) -> int:
        return Visitor(app).post("/login", {"email": "guessed@example.com", "password": password}).status

    with ThreadPoolExecutor(len(tries)) as pool:
        wrong = list(pool.map(attempt, tries[:MOST_FAILED]))
    assert set(wrong) == {401}
    assert app.get(f"/v1/members/{made['id']}")["locked_until"]
    assert attempt(PASSWORD) == 401


def test_a_login_link_is_listed_until_it_is_used_or_revoked(app: Served) -> None:
    app.post("/v1/members", {"email": "link@example.com", "role": "viewer"})
    made = app.post("/v1/login-links", {"email": " Link@example.com"})
    shown = {name: value for name, value in made.items() if name != "url"}
    assert shown in app.get("/v1/login-links")["data"]
    with ThreadPoolExecutor(4) as pool:
        path = urlsplit(made["url"]).path
        statuses = sorted(pool.map(lambda _: Visitor(app).post(path, {}).status, range(4)))
    assert statuses == [303, 410, 410, 410], "a link works once, also for some who click at the same time"
    assert shown not in app.get("/v1/login-links")["data"]
    other = app.post("/v1/login-links", {"email": "link@example.com"})
    assert app.call("DELETE", f"/v1/login-links/{other['id']}").status == 204
    app.call("DELETE", f"/v1/login-links/{other['id']}").problem(404)
    assert Visitor(app).post(urlsplit(other["url"]).path, {}).status == 410


def test_only_operators_make_links_for_operators(app: Served) -> None:
    key = app.key("admin")
    app.call("POST", "/v1/login-links", {}, key=key).problem(403)
    made = app.post("/v1/login-links", {})
    assert made["member_id"] is None
    assert made["id"] not in str(app.get("/v1/login-links", key=key))
    app.call("DELETE", f"/v1/login-links/{made['id']}", key=key).problem(404)


def test_a_portal_link_is_made_read_and_revoked(app: Served) -> None:
    draft = {"name": "Shop", "may": ["replay", "replay", "test"], "origins": ["https://agency.example:8443"]}
    made = app.post("/v1/portal-links", draft)
    assert (made["may"], made["origins"], made["endpoint_id"]) == (["replay", "test"], draft["origins"], None)
    path = f"/v1/portal-links/{made['id']}"
    assert app.get(path) == {name: value for name, value in made.items() if name != "url"}
    assert app.call("DELETE", path).status == 204
    app.call("GET", path).problem(404)
    app.call("DELETE", f"/v1/portal-links/{MISSING}").problem(404)


def test_settings_are_shown_masked_to_who_runs_the_installation(app: Served) -> None:
    rows = {row["name"]: row for row in app.get("/v1/settings")["data"]}
    assert rows["TELLWIRE_ADMIN_KEY"]["value"] not in ("", SETTINGS.admin_key)
    assert SETTINGS.meta_app_secret[0].value not in str(rows)
    assert rows["TELLWIRE_AUTO_ACCOUNTS"]["value"] == "true"
    app.call("GET", "/v1/settings", key=app.key("admin")).problem(403)


def test_a_password_that_was_changed_while_it_was_checked_lets_nobody_in(app: Served) -> None:
    made = app.post("/v1/members", {"email": "raced@example.com", "role": "viewer", "password": PASSWORD})
    before = app.write(lambda c: members.of_email(c, made["email"]))
    assert before is not None
    assert app.write(lambda c: members.password_was_right(c, before)) is not None
    assert app.call("PATCH", f"/v1/members/{made['id']}", {"password": "another password"}).status == 200
    assert app.write(lambda c: members.password_was_right(c, before)) is None
    assert app.call("DELETE", f"/v1/members/{made['id']}").status == 204
    assert app.write(lambda c: members.password_was_right(c, before)) is None
    assert not app.write(lambda c: members.password_tried(c, before, app.clock.now()))
