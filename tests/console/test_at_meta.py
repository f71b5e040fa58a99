"""What there is at Meta, and who answers: `/numbers`, `/agents` and `/templates` show it, change it, and try it out."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect
from sqlalchemy import Connection
from tests.console.markup import MARKUP, plain
from tests.console.visitor import Visitor
from tests.served import Served
from tests.world import NUMBER, WABA

from tellwire.accounts.templates import Template
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.ports.http_out import Answer
from tellwire.stores.queries import templates

COMPONENTS = [
    {"type": "HEADER", "format": "TEXT", "text": f"Header {MARKUP}"},
    {"type": "BODY", "text": f"Order {{{{1}}}} is ready {MARKUP}"},
    {"type": "FOOTER", "text": f"Footer {MARKUP}"},
    {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": f"Button {MARKUP}"}]},
]


@pytest.fixture(scope="module")
def number(app: Served) -> str:
    """A connected number whose name is markup."""
    draft = {"phone_number_id": NUMBER, "waba_id": WABA, "access_token": "a-token", "name": f"Shop {MARKUP}"}
    return str(app.post("/v1/accounts", draft)["id"])


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_a_number_is_connected_and_what_is_wrong_stands_beside_its_field(app: Served, owner: Visitor) -> None:
    typed = {"phone_number_id": "not a number", "name": "Kept", "access_token": "typed-token"}
    wrong = owner.submit("/numbers/new", "/numbers/new", **typed)
    assert wrong.status == 422
    page = wrong.body.decode()
    assert 'id="fault-phone_number_id"' in page
    assert 'value="Kept"' in page
    assert "typed-token" not in page
    right = owner.submit("/numbers/new", "/numbers/new", phone_number_id="900100200", name="Second")
    assert right.status == 303
    made = right.headers["location"].partition("?")[0]
    assert made.startswith("/numbers/")
    assert "Connected." in owner.page(right.headers["location"])
    assert owner.submit(made, f"{made}/delete").headers["location"] == "/numbers?done=number_deleted"
    assert owner.get(made).status == 404


def test_a_second_click_connects_nothing_twice(owner: Visitor) -> None:
    first = owner.submit("/numbers/new", "/numbers/new", phone_number_id="900100201", once="the-same")
    again = owner.submit("/numbers/new", "/numbers/new", phone_number_id="900100201", once="the-same")
    assert first.headers["location"] == again.headers["location"]
    made = first.headers["location"].partition("?")[0]
    assert owner.submit(made, f"{made}/delete").status == 303


def test_a_number_shows_what_meta_says_and_takes_changes(app: Served, owner: Visitor, number: str) -> None:
    told = {"field": "phone_number_quality_update", "value": {"event": "FLAGGED", "current_limit": f"TIER {MARKUP}"}}
    assert app.meta({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": [told]}]}).status == 200
    listed, one = plain(owner.page("/numbers")), plain(owner.page(f"/numbers/{number}"))
    for page in (listed, one):
        assert f"Shop {MARKUP}" in page
        assert f"TIER {MARKUP}" in page
        assert "Meta flags the number's quality as low." in page
    where = f"/numbers/{number}"
    assert owner.submit(where, where, name=f"Shop {MARKUP}", send_rate="5", access_token="").status == 303
    account = app.get(f"/v1/accounts/{number}")
    assert (account["send_rate"], account["has_access_token"]) == (5, True)
    refused = owner.submit(where, where, send_rate="many")
    assert refused.status == 422
    assert 'id="fault-send_rate"' in refused.body.decode()
    assert 'value="many"' in refused.body.decode()


def test_the_token_of_a_number_is_checked(app: Served, owner: Visitor, number: str) -> None:
    where = f"/numbers/{number}"
    shown = {"id": NUMBER, "verified_name": MARKUP, "quality_rating": "GREEN", "throughput": {"level": "HIGH"}}
    app.outside.shows = {"a-token": {NUMBER: shown}}
    page = plain(owner.submit(where, f"{where}/check"))
    assert "Meta shows the number to this token" in page
    assert all(word in page for word in (MARKUP, "GREEN", "HIGH"))
    app.outside.shows, app.outside.refused = {}, _refusal(190, 401)
    page = plain(owner.submit(where, f"{where}/check"))
    assert "The token does not work" in page
    assert "code 190" in page
    assert "Meta refuses the access token." in plain(owner.page("/numbers"))
    app.outside.refused = None
    app.outside.shows = {"a-token": {NUMBER: shown}}
    assert owner.submit(where, f"{where}/check").status == 200
    assert "Meta refuses the access token." not in plain(owner.page("/numbers"))
    app.outside.shows = {}


def _refusal(code: int, status: int) -> Answer:
    error = {"error": {"message": f"Error validating {MARKUP}", "type": "OAuthException", "code": code}}
    return Answer(status=status, body=json.dumps(error).encode())


# --- agents -----------------------------------------------------------------------------------------------------------


def test_an_agent_is_created_tried_changed_and_deleted(app: Served, owner: Visitor) -> None:
    lacking = owner.submit("/agents/new", "/agents/new", name=f"Ana {MARKUP}", model="")
    assert lacking.status == 422
    assert 'id="fault-model"' in lacking.body.decode()
    made = owner.submit("/agents/new", "/agents/new", name=f"Ana {MARKUP}", model="scripted", max_tokens="100")
    assert made.status == 303, made.body
    where = made.headers["location"].partition("?")[0]
    assert f"Ana {MARKUP}" in plain(owner.page("/agents"))
    tried = plain(owner.submit(where, f"{where}/try", text=f"Hello {MARKUP}"))
    assert 'class="bubble"' in tried
    assert f"Hello {MARKUP}" in tried
    changed = owner.submit(where, where, name="Ana", instructions="Line one\r\nLine two", tools="", temperature="0.5")
    assert changed.status == 303, changed.body
    agent = app.get(f"/v1{where}")
    assert (agent["name"], agent["instructions"], agent["temperature"]) == ("Ana", "Line one\nLine two", 0.5)
    assert agent["typing"] is False, "a box that is not ticked"
    assert owner.submit(where, f"{where}/delete").headers["location"] == "/agents?done=agent_deleted"


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("tools", "{not json"),
        ("tools", "[" * 5_000),
        ("tools", '[{"name": "x"}]'),
        ("history_messages", "many"),
        ("temperature", "nan"),
        ("max_tokens", "1e400"),
        ("replies_per_day", "-1"),
        ("allowed_tool_origins", "not an origin"),
        ("base_url", "ftp://x"),
    ],
)
def test_what_an_agent_cannot_take_stands_beside_its_field(owner: Visitor, field: str, typed: str) -> None:
    given = {"name": "Bob", "model": "scripted", "tools": ""} | {field: typed}
    reply = owner.submit("/agents/new", "/agents/new", **given)
    assert reply.status == 422, reply.body
    page = reply.body.decode()
    assert f'id="fault-{"budget" if field == "replies_per_day" else field}"' in page
    if len(typed) < 100:
        assert html.escape(typed, quote=False).replace('"', "&#34;") in page


def test_a_person_has_a_name_and_a_state(app: Served, owner: Visitor) -> None:
    made = owner.submit("/agents/new?kind=human", "/agents/new", name="Eva")
    where = made.headers["location"].partition("?")[0]
    assert app.get(f"/v1{where}")["kind"] == "human"
    assert owner.submit(where, where, name="Eva", state="paused").status == 303
    assert app.get(f"/v1{where}")["state"] == "paused"


# --- templates --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(app: Served, number: str) -> str:
    """A template whose every text is markup."""
    app.write(lambda c: _put(c, app, "order_ready", status="REJECTED", reason=MARKUP, components=COMPONENTS))
    app.write(lambda c: _put(c, app, "strange", status="APPROVED", quality="RED", components=[1, {"type": "BODY"}, {}]))
    return str(app.get("/v1/templates?name=order_ready")["data"][0]["id"])


def _put(c: Connection, app: Served, name: str, *, components: Any, **more: Any) -> None:
    made = Template(
        id=app.world.store.new_id(),
        organization_id=DEFAULT_ORGANIZATION,
        waba_id=WABA,
        meta_id=f"9{len(name)}",
        name=name,
        language=f"en_{MARKUP}",
        category="UTILITY",
        components=json.dumps(components).encode(),
        **more,
    )
    templates.put(c, made)


def test_templates_are_listed_by_state_quality_and_category(owner: Visitor, template: str) -> None:
    every = plain(owner.page("/templates"))
    assert "order_ready" in every
    assert "strange" in every
    for query, shown in (("status=REJECTED", "order_ready"), ("quality=RED", "strange"), ("category=MARKETING", "")):
        page = plain(owner.page(f"/templates?{query}"))
        assert [name for name in ("order_ready", "strange") if f">{name}</a>" in page] == ([shown] if shown else [])
    assert "No template is like this." in owner.page("/templates?category=MARKETING")


def test_a_template_is_shown_as_a_customer_sees_it(app: Served, owner: Visitor, template: str) -> None:
    page = plain(owner.page(f"/templates/{template}"))
    for text in ("Header", "Order {{1}} is ready", "Footer", "Button"):
        assert f"{text} {MARKUP}" in page
    strange = app.get("/v1/templates?name=strange")["data"][0]["id"]
    assert "strange" in plain(owner.page(f"/templates/{strange}")), "whatever Meta has sent"


def test_templates_are_created_synchronised_and_deleted_at_meta(app: Served, owner: Visitor, template: str) -> None:
    about = {"account": NUMBER, "language": "en_US", "category": "UTILITY"}
    given = about | {"name": "Bad Name", "body": "Order {{1}}", "examples": "17\n", "buttons": "Yes\nNo"}
    wrong = owner.submit("/templates/new", "/templates/new", **given)
    assert wrong.status == 422
    assert 'id="fault-name"' in wrong.body.decode()
    made = owner.submit("/templates/new", "/templates/new", **given | {"name": "good_name"})
    assert made.status == 303, made.body
    sent = json.loads(app.outside.asked[-1][3])
    assert sent["components"] == [
        {"type": "BODY", "text": "Order {{1}}", "example": {"body_text": [["17"]]}},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Yes"}, {"type": "QUICK_REPLY", "text": "No"}]},
    ]
    where = made.headers["location"].partition("?")[0]
    assert owner.submit(where, f"{where}/delete").headers["location"] == "/templates?done=template_deleted"
    assert app.outside.asked[-1][0] == "DELETE"
    assert owner.submit("/templates", "/templates/sync").headers["location"] == "/templates?done=templates_synced"
    app.outside.refused = _refusal(100, 400)
    refused = owner.submit("/templates/new", "/templates/new", **given | {"name": "good_name"})
    app.outside.refused = None
    assert refused.status == 422
    assert "Meta refuses it, code 100" in plain(refused)


# --- in a browser -----------------------------------------------------------------------------------------------------


def test_a_browser_checks_a_token_and_tries_an_agent(app: Served, owner: Visitor, number: str, page: Page) -> None:
    alerts: list[str] = []

    def accept(dialog: Dialog) -> None:
        alerts.append(dialog.message)
        dialog.accept()

    page.on("dialog", accept)
    page.context.add_cookies(
        [{"name": "tellwire_session", "value": owner.cookie, "url": f"http://127.0.0.1:{app.port}"}]
    )
    app.outside.shows = {"a-token": {NUMBER: {"id": NUMBER, "verified_name": "Simulated Shop"}}}
    page.goto(f"http://127.0.0.1:{app.port}/numbers")
    page.get_by_role("link", name=re.compile("^Shop")).click()
    page.get_by_role("button", name="Check the token").click()
    expect(page.get_by_role("status")).to_contain_text("Simulated Shop")
    app.outside.shows = {}
    page.get_by_role("link", name="Agents").click()
    page.get_by_role("link", name="New model").click()
    page.get_by_label("Name").fill("Tia")
    page.get_by_label("Model", exact=True).fill("scripted")
    page.get_by_role("button", name="Create").click()
    page.get_by_label("Write as a customer would").fill("Where is order 17?")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator(".bubble")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("main")).to_contain_text("The agent is deleted.")
    assert alerts == ["Delete this agent? What it wrote stays."]
