"""How members come in: password, lock, login link, and when their sessions end. The clock is set."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.console.visitor import Visitor
from tests.served import SETTINGS, Reply, Served, served, services_of
from tests.world import START, SetClock

from tellwire.model.units import DAY, HOUR, MINUTE
from tellwire.stores.queries.console_sessions import IDLE
from tellwire.stores.queries.members import LOCKED_FOR, MOST_FAILED
from tellwire.web import WebApp, create_app
from tellwire.web.console.api_calls import fetched
from tellwire.web.console.sessions import LASTS, LASTS_WITHOUT_MEMBER
from tellwire.web.password_work import PasswordWork

PASSWORD = "an invented password"


@pytest.fixture(scope="module")
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, clock: SetClock) -> Iterator[Served]:
    settings = replace(SETTINGS, quota_members=1000)
    with served(tmp_path_factory.mktemp("members"), settings=settings, clock=clock) as running:
        yield running


_made = iter(range(1000))


def member(app: Served, role: str = "viewer", **more: object) -> dict[str, str]:
    email = f"person-{next(_made)}@example.com"
    made: dict[str, str] = app.post("/v1/members", {"email": email, "role": role, "password": PASSWORD, **more})
    return made


def log_in(app: Served, email: str, password: str = PASSWORD, cookie: str = "", **fields: str) -> tuple[Visitor, Reply]:
    app.clock.move(MINUTE)  # so that the throttle of the peer is not in the way
    visitor = Visitor(app, cookie)
    return visitor, visitor.post("/login", {"email": email, "password": password, **fields})


def is_in(visitor: Visitor) -> bool:
    return visitor.get("/settings/me").status == 200


def test_a_password_lets_in_however_the_address_is_written(app: Served) -> None:
    made = member(app)
    visitor, reply = log_in(app, f" {made['email'].upper()} ")
    assert reply.status == 303
    assert is_in(visitor)
    assert app.get(f"/v1/members/{made['id']}")["last_login_at"] is not None


def test_a_lock_keeps_guesses_out_and_a_login_link_still_lets_in(app: Served, clock: SetClock) -> None:
    made = member(app)
    for _ in range(MOST_FAILED):
        assert log_in(app, made["email"], "a wrong password")[1].status == 401
    assert app.get(f"/v1/members/{made['id']}")["locked_until"] is not None
    assert log_in(app, made["email"])[1].status == 401, "the right password does not open a lock"
    assert is_in(Visitor.entered(app, email=made["email"])), "a stranger locks nobody out of a login link"
    clock.move(LOCKED_FOR)
    assert log_in(app, made["email"])[1].status == 303


def test_an_owner_unlocks(app: Served) -> None:
    made = member(app)
    for _ in range(MOST_FAILED):
        log_in(app, made["email"], "a wrong password")
    assert app.call("PATCH", f"/v1/members/{made['id']}", {"unlock": True}).json["locked_until"] is None
    assert log_in(app, made["email"])[1].status == 303


def test_a_right_password_forgets_the_wrong_ones(app: Served) -> None:
    made = member(app)
    for _ in range(2):
        for _ in range(MOST_FAILED - 1):
            log_in(app, made["email"], "a wrong password")
        assert log_in(app, made["email"])[1].status == 303


def test_a_peer_that_tries_too_much_is_throttled(app: Served, clock: SetClock) -> None:
    replies = [Visitor(app).post("/login", {"email": f"x{n}@example.com", "password": "x"}) for n in range(40)]
    assert {reply.status for reply in replies} == {401, 429}
    assert replies[-1].headers["retry-after"]
    clock.move(2 * MINUTE)
    assert log_in(app, "x@example.com")[1].status == 401


def test_who_is_unknown_locked_without_password_or_wrong_gets_the_same_answer(app: Served) -> None:
    locked, bare = member(app), app.post("/v1/members", {"email": "bare@example.com", "role": "viewer"})
    for _ in range(MOST_FAILED):
        log_in(app, locked["email"], "a wrong password")
    answers = set()
    for email in (member(app)["email"], locked["email"], bare["email"], "nobody@example.com"):
        _, reply = log_in(app, email, "another wrong password")
        answers.add((reply.status, reply.body.decode().replace(email, "…"), reply.headers.get("set-cookie")))
    assert len(answers) == 1


def test_a_cookie_from_before_the_login_is_never_taken_over(app: Served) -> None:
    made, planted = member(app), "p" * 43
    visitor, reply = log_in(app, made["email"], cookie=planted)
    assert reply.status == 303
    assert visitor.cookie != planted
    assert not is_in(Visitor(app, planted))
    before = visitor.cookie
    again, _ = log_in(app, made["email"], cookie=before)
    assert again.cookie != before
    assert not is_in(Visitor(app, before)), "a new login ends the session that the browser had"


def test_a_session_ends_when_it_is_not_used_and_at_the_latest_after_two_weeks(app: Served, clock: SetClock) -> None:
    made = member(app)
    visitor, _ = log_in(app, made["email"])
    for _ in range(LASTS // DAY - 1):
        clock.move(DAY)
        assert is_in(visitor)
    clock.move(DAY)
    assert not is_in(visitor)
    visitor, _ = log_in(app, made["email"])
    clock.move(IDLE)
    assert not is_in(visitor)


@pytest.mark.parametrize("change", [{"role": "agent"}, {"password": "another password"}, {"bodies": False}])
def test_sessions_end_when_what_they_may_do_changes(app: Served, change: dict[str, object]) -> None:
    made = member(app)
    visitor, _ = log_in(app, made["email"])
    link = app.post("/v1/login-links", {"email": made["email"]})["url"]
    assert app.call("PATCH", f"/v1/members/{made['id']}", change).status == 200
    assert not is_in(visitor)
    assert Visitor(app).post(urlsplit(link).path, {}).status == 410


def test_a_new_name_ends_no_session(app: Served) -> None:
    made = member(app)
    visitor, _ = log_in(app, made["email"])
    assert app.call("PATCH", f"/v1/members/{made['id']}", {"name": "Ana"}).status == 200
    assert is_in(visitor)


def test_sessions_and_links_end_with_their_member(app: Served) -> None:
    made = member(app)
    visitor, _ = log_in(app, made["email"])
    link = app.post("/v1/login-links", {"email": made["email"]})["url"]
    assert app.call("DELETE", f"/v1/members/{made['id']}").status == 204
    assert not is_in(visitor)
    assert Visitor(app).post(urlsplit(link).path, {}).status == 410
    assert log_in(app, made["email"])[1].status == 401


def test_log_out_everywhere_else(app: Served) -> None:
    made = member(app)
    here, there = (log_in(app, made["email"])[0] for _ in range(2))
    assert here.submit("/settings/me", "/settings/me/end-sessions").status == 303
    assert is_in(here)
    assert not is_in(there)
    assert app.post(f"/v1/members/{made['id']}/end-sessions", status=200)
    assert not is_in(here)


def test_an_own_password_needs_the_old_one_and_ends_the_other_sessions(app: Served) -> None:
    made = member(app)
    here, there = (log_in(app, made["email"])[0] for _ in range(2))
    wrong = {"old_password": "a wrong password", "new_password": "a fresh password"}
    reply = here.submit("/settings/me", "/settings/me/password", **wrong)
    assert reply.status == 422
    assert "is not your password" in reply.body.decode()
    assert "a wrong password" not in reply.body.decode()
    right = {"old_password": PASSWORD, "new_password": "a fresh password"}
    assert here.submit("/settings/me", "/settings/me/password", **right).status == 303
    assert is_in(here)
    assert not is_in(there)
    assert log_in(app, made["email"])[1].status == 401
    assert log_in(app, made["email"], "a fresh password")[1].status == 303


def test_wrong_old_passwords_lock_as_wrong_logins_do(app: Served) -> None:
    made = member(app)
    here, _ = log_in(app, made["email"])
    fields = {"old_password": "a wrong password", "new_password": "a fresh password"}
    statuses = [here.submit("/settings/me", "/settings/me/password", **fields).status for _ in range(MOST_FAILED + 1)]
    assert statuses == [422] * MOST_FAILED + [429]


def test_who_runs_the_installation_is_in_for_half_a_day_by_a_link(app: Served, clock: SetClock) -> None:
    visitor = Visitor.entered(app)
    clock.move(LASTS_WITHOUT_MEMBER - 1)
    assert is_in(visitor)
    clock.move(1)
    assert not is_in(visitor)


def test_an_expired_link_lets_nobody_in(app: Served, clock: SetClock) -> None:
    path = urlsplit(app.post("/v1/login-links", {"email": member(app)["email"]})["url"]).path
    clock.move(HOUR // 4)
    assert Visitor(app).post(path, {}).status == 410


def test_a_link_does_not_click_itself_where_somebody_is_logged_in(app: Served) -> None:
    path = urlsplit(app.post("/v1/login-links", {"email": member(app)["email"]})["url"]).path
    assert "data-submit-at-once" in Visitor(app).page(path)
    assert "data-submit-at-once" not in Visitor.entered(app).page(path)


def test_an_address_of_nobody_costs_the_same_work(app: Served) -> None:
    """Each try hashes once, whoever it is of; what one hash costs is the same (tests/unit/security/test_passwords)."""
    web = app.run(_web(app))
    counted = web.app_state.passwords = Counted()
    for email, password in ((member(app)["email"], "a wrong password"), ("nobody@example.com", "x"), ("", "")):
        before = counted.checks
        assert app.run(_tried(web, email, password)) == 401
        assert counted.checks == before + 1


class Counted(PasswordWork):
    """Passwords, whose checks are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.checks = 0

    async def is_right(self, password: str, stored: str) -> bool:
        self.checks += 1
        return await super().is_right(password, stored)


async def _web(app: Served) -> WebApp:
    return create_app(services_of(app.world, app.outside, SETTINGS, app.files))


async def _tried(web: WebApp, email: str, password: str) -> int:
    body = urlencode({"email": email, "password": password}).encode()
    headers = [(b"host", b"localhost"), (b"content-type", b"application/x-www-form-urlencoded")]
    headers.append((b"content-length", str(len(body)).encode()))
    status, _ = await fetched(web, {}, "POST", "/login", query=b"", headers=headers, body=body)  # type: ignore[arg-type]
    return status


def test_so_many_sessions_are_kept_and_no_more(app: Served) -> None:
    made = app.post("/v1/portal-links", {"name": "guests"})
    path = urlsplit(made["url"]).path
    guests = [Visitor(app) for _ in range(103)]
    assert {guest.get(path).status for guest in guests} == {303}
    count = f"SELECT count(*) FROM console_sessions WHERE portal_link_id = '{made['id']}'"
    assert app.query(count) == [(100,)]


def test_settings_by_hand_in_a_browser(app: Served, page: Page) -> None:
    """An owner adds a member, gives them a link, and the member comes in and sets a password of their own."""
    base = f"http://127.0.0.1:{app.port}"
    page.goto(base + urlsplit(app.post("/v1/login-links", {})["url"]).path)
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Email address").fill("Mia@Example.com")
    page.get_by_label("Name").fill("Mia")
    page.get_by_label("Agent: the inbox").check()
    page.get_by_role("button", name="Add a member").click()
    expect(page.get_by_role("status")).to_contain_text("The member is added.")
    page.get_by_role("link", name="Mia").click()
    page.get_by_role("button", name="Make a login link").click()
    url = page.get_by_role("status").locator("code").inner_text()
    page.get_by_text("Operator", exact=True).first.click()
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page).to_have_title("Log in · Tellwire")
    page.goto(base + urlsplit(url).path + "?next=/settings/me")
    expect(page).to_have_title("You · Tellwire")
    page.get_by_label("The new password").fill(PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("status")).to_contain_text("Your password is changed.")
    assert page.get_by_role("link", name="Members").count() == 0
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
