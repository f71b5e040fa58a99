"""From "why did order 17's message not arrive" to the cause and the remedy, in a browser and without one."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from tests.attempts import attempted, of_endpoint
from tests.console.visitor import Visitor
from tests.served import HOOK, MISSING, Served
from tests.world import CUSTOMER, contact, envelope, incoming, value

from tellwire.model.deliveries import DeliveryState

HTML = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module", autouse=True)
def orders(app: Served) -> None:
    """María asks after order 17; the warehouse refuses to hear of it, the shop has it. Bob asks after two others."""
    for name in ("warehouse", "shop-crm"):
        app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "description": name})
    archive = {"description": "archive", "events": ["conversations.update"]}
    app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"} | archive)
    assert app.meta(envelope(incoming("wamid.17", "Where is order 17?", name="María"))).status == 200
    for number in (18, 19):
        body = incoming(
            f"wamid.{number}", f"Where is order {number}? {HTML}", sender="447700900123", name=f"Bob {HTML}"
        )
        assert app.meta(envelope(body)).status == 200
    message = message_id(app)
    warehouse, shop = endpoint(app, "warehouse"), endpoint(app, "shop-crm")
    refused = of_endpoint(app, warehouse, message)
    attempted(app, refused, DeliveryState.FAILED, cause="your server answered 401", status=401, times=3)
    attempted(app, of_endpoint(app, shop, message), DeliveryState.DELIVERED, status=200)


def endpoint(app: Served, name: str) -> str:
    found = app.get("/v1/webhook-endpoints?limit=200")["data"]
    return str(next(each["id"] for each in found if each["description"] == name))


def message_id(app: Served) -> str:
    return str(app.get("/v1/messages")["data"][-1]["id"])


def test_why_did_the_message_of_order_17_not_arrive(app: Served, page: Page) -> None:
    link = urlsplit(app.post("/v1/login-links", {})["url"]).path
    page.goto(f"http://127.0.0.1:{app.port}{link}")
    expect(page).to_have_title("Home · Tellwire")
    page.keyboard.press("/")
    page.keyboard.type("order 17")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Message from María")
    step = page.locator(".step", has_text="warehouse did not take it")
    expect(step).to_contain_text("Your server answered 401. Given up, tried 3 times.")
    expect(step.locator(".remedy")).to_contain_text("It refused our signature or token.")
    expect(step.get_by_role("button", name="Replay now")).to_be_visible()
    expect(page.locator(".step.skipped")).to_contain_text("archive was not told")
    received = page.locator(".step", has_text="Meta delivered it")
    received.locator("summary").click()
    expect(received.locator("pre")).to_contain_text("Where is order 17?")


def test_a_replay_is_asked_for_by_keyboard_and_its_end_is_seen_without_loading(app: Served, page: Page) -> None:
    assert app.meta(envelope(incoming("wamid.21", "Order 21", sender="447700900021", name="Eve"))).status == 200
    message, hook = app.get("/v1/why?q=wamid.21")["journey"]["message"]["id"], endpoint(app, "warehouse")
    delivery = of_endpoint(app, hook, message)
    attempted(app, delivery, DeliveryState.FAILED, cause="your server answered 500", status=500)
    link = urlsplit(app.post("/v1/login-links", {})["url"]).path
    page.goto(f"http://127.0.0.1:{app.port}{link}?next=/messages/{message}")
    step = page.locator(".step", has_text="warehouse did not take it")
    step.get_by_role("button", name="Test").focus()
    page.keyboard.press("r")
    expect(step.get_by_role("button", name="Replay now")).to_be_focused()
    page.once("dialog", lambda dialog: dialog.accept())
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("It goes out once more now.")
    attempted(app, delivery, DeliveryState.DELIVERED, status=200, after=1)
    expect(page.locator(".step", has_text="warehouse has it")).to_contain_text("after 2 attempts")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("order 17", "/messages/{message}"),
        ("wamid.17", "/messages/{message}"),
        ("{message}", "/messages/{message}"),
        (CUSTOMER, "/messages/{message}"),
        ("warehouse", "/endpoints/{warehouse}"),
        ("{warehouse}", "/endpoints/{warehouse}"),
        ("{conversation}", "/inbox/{conversation}"),
    ],
)
def test_one_hit_leads_to_its_page(app: Served, owner: Visitor, text: str, place: str) -> None:
    names = {
        "message": message_id(app),
        "warehouse": endpoint(app, "warehouse"),
        "conversation": app.get("/v1/conversations")["data"][-1]["id"],
    }
    reply = owner.get("/find?q=" + text.format(**names).replace(" ", "+"))
    assert (reply.status, reply.headers.get("location")) == (303, place.format(**names))


def test_several_are_listed_by_kind(owner: Visitor) -> None:
    page = owner.page("/find?q=Bob")
    assert "<h2>People</h2>" in page
    assert "<h2>Messages</h2>" in page
    assert page.count("Where is order") == 2
    assert "<img" not in page


def test_what_became_no_message_shows_its_way_where_it_is_found(app: Served, owner: Visitor) -> None:
    edit = {"type": "edit", "edit": {"original_message_id": "wamid.unknown", "message": {"type": "text"}}}
    said = {"from": CUSTOMER, "id": "wamid.edit", "timestamp": "1778038763", **edit}
    assert app.meta(envelope(value(contacts=[contact()], messages=[said]))).status == 200
    page = owner.page("/find?q=wamid.edit")
    assert "Held back" in page
    assert "It edits a message that has not come." in page


def test_nothing_says_what_was_looked_for_and_what_else_to_try(owner: Visitor) -> None:
    page = owner.page("/find?q=%2B49+30+1234567")
    assert "a phone number, or an id of Meta&#39;s" in page
    assert "country code" in page
    assert "Give a phone number" in owner.page("/find?q=")


def test_a_waiting_or_failed_delivery_is_replayed_once_from_its_step(app: Served, owner: Visitor) -> None:
    path = f"/messages/{message_id(app)}"
    delivery = of_endpoint(app, endpoint(app, "warehouse"), message_id(app))
    first = owner.submit(path, f"{path}/replay")
    assert (first.status, first.headers["location"]) == (303, f"{path}?done=replayed")
    assert "It goes out once more now." in owner.page(f"{path}?done=replayed")
    assert app.get(f"/v1/deliveries/{delivery['id']}")["replay"] == 1


def test_an_endpoint_is_tested_from_its_step(app: Served, owner: Visitor) -> None:
    path = f"/messages/{message_id(app)}"
    reply = owner.submit(path, f"{path}/test")
    assert reply.status == 200
    assert "The endpoint answered 200 to a test event." in reply.body.decode()


def test_what_strangers_write_is_escaped_and_what_is_not_there_is_404(app: Served, owner: Visitor) -> None:
    bobs = app.get("/v1/why?q=wamid.19")["journey"]["message"]["id"]
    page = owner.page(f"/messages/{bobs}?raw=statuses")
    assert "&lt;img" in page
    assert "<img" not in page
    assert owner.get(f"/messages/{MISSING}").status == 404
    assert owner.get("/messages/nonsense").status == 404
