"""Who may come in, how, and how long."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from tests.console.visitor import Visitor
from tests.served import Served


def test_strangers_are_led_to_the_login_and_learn_only_whether_it_works(app: Served) -> None:
    stranger = Visitor(app)
    for path in ("/", "/live?of=/"):
        reply = stranger.get(path)
        assert (reply.status, urlsplit(reply.headers["location"]).path) == (303, "/login")
    assert "Working." in stranger.page("/login")


def test_a_link_lets_in_once(app: Served) -> None:
    link = urlsplit(app.post("/v1/login-links", {})["url"]).path
    first, second = Visitor(app), Visitor(app)
    assert first.get(link).status == 200, "a program that looks at the link does not use it up"
    assert first.post(link, {}).status == 303
    assert first.get("/").status == 200
    assert second.post(link, {}).status == 410
    assert second.get("/").status == 303


def test_a_session_ends_at_log_out(app: Served) -> None:
    visitor = Visitor.entered(app)
    assert visitor.submit("/", "/logout").status == 303
    assert Visitor(app, visitor.cookie).get("/").status == 303


@pytest.mark.parametrize("headers", [{"origin": "https://example.com"}, {"origin": "null"}])
def test_a_form_of_another_site_is_refused(app: Served, headers: dict[str, str]) -> None:
    visitor = Visitor.entered(app)
    assert visitor.post("/logout", {}, **headers).status == 403
    assert visitor.post("/logout", {"csrf": "0" * 64}).status == 403
    assert visitor.get("/").status == 200


def test_a_browser_comes_in_with_one_click(app: Served, page: Page) -> None:
    link = urlsplit(app.post("/v1/login-links", {})["url"]).path
    page.goto(f"http://127.0.0.1:{app.port}{link}")
    expect(page).to_have_title("Home · Tellwire")
