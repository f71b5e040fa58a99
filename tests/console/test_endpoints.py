"""The pages of endpoints: one is made, tested, looked at, given a new secret, stopped, caught up with and deleted."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from tests.console.visitor import Visitor
from tests.served import HOOK, Reply, Served, served
from tests.world import HOUR, envelope, incoming

import tellwire_sdk
from tellwire.formats import FORMATS
from tellwire.ports.http_out import Answer
from tellwire.web.console.words import has_words

HOSTILE = "\"><img src=x onerror=alert(1)>'{{7*7}}</script><script>alert(2)</script>"
HOSTILE_URL = "https://hooks.example.com/%22%3E/\"'><script>alert(3)</script>?a=</code>&b=*/"


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app of its own, for what counts from nothing."""
    with served(tmp_path_factory.mktemp("fresh")) as running:
        yield running


def endpoint(app: Served, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"} | fields)
    return made


def enter(app: Served, page: Page) -> None:
    """Log in, and look at the endpoints."""
    page.goto(f"http://127.0.0.1:{app.port}" + urlsplit(app.post("/v1/login-links", {})["url"]).path)
    expect(page).to_have_title("Home · Tellwire")
    page.get_by_role("navigation").get_by_role("link", name="Endpoints").click()


def test_from_nothing_to_a_delivered_test_and_the_secret_is_shown_once(fresh: Served, page: Page) -> None:
    enter(fresh, page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your first endpoint")
    expect(page.locator("aside pre")).to_contain_text("from tellwire_sdk import parse, verify")
    page.get_by_label("URL", exact=True).fill("https://shop.example.com/whatsapp")
    page.get_by_label("Name", exact=True).fill("shop-crm")
    page.get_by_label("A message came or was sent").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The secret")
    secret = page.locator("#secret").inner_text()
    assert secret.startswith("whsec_")
    page.reload()
    expect(page.locator("main")).to_contain_text("cannot be shown again")
    assert secret not in page.content()

    page.get_by_role("button", name="Send a test").click()
    expect(page.locator(".result")).to_contain_text("Your server answered 200 in 2 ms.")
    (sent,) = fresh.outside.sent
    tellwire_sdk.verify(sent.body, sent.headers, secret, now=fresh.clock.now() / 1_000_000)

    page.get_by_role("link", name="shop-crm").click()
    made = fresh.get("/v1/webhook-endpoints")["data"][0]
    assert (made["events"], made["description"]) == (["messages.insert"], "shop-crm")
    assert secret not in page.content()


def test_a_rotation_shows_its_clock_and_both_secrets_sign(app: Served, page: Page) -> None:
    made = endpoint(app, description="rotated")
    enter(app, page)
    page.get_by_role("link", name="rotated").click()
    page.get_by_text("Rotate the secret").click()
    page.get_by_role("button", name="Make a new secret").click()
    secret = page.locator("#secret").inner_text()
    assert secret != made["secret"]
    page.get_by_role("link", name="rotated").click()
    clock = page.locator(".clock")
    expect(clock).to_contain_text("The old secret still signs for 1 day.")
    app.clock.move(6 * HOUR + 60_000_000)
    page.reload()
    expect(clock).to_contain_text("The old secret still signs for 17 h 59 min.")
    width = clock.locator("rect.over").get_attribute("width")
    assert 25 <= float(width or 0) <= 25.2
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator(".result")).to_contain_text("Delivered")
    sent = app.outside.sent[-1]
    for each in (secret, made["secret"]):
        tellwire_sdk.verify(sent.body, sent.headers, each, now=int(dict(sent.headers)["webhook-timestamp"]))


def payload(page: str) -> Any:
    """The payload that the preview shows."""
    found = re.search(r'<pre class="payload" tabindex="0"><code>(.*?)</code>', page, re.DOTALL)
    assert found, "the page shows no payload"
    return json.loads(html.unescape(found[1]))


def test_the_same_event_is_shown_in_every_format(fresh: Served) -> None:
    owner, made = Visitor.entered(fresh), endpoint(fresh)
    path = f"/endpoints/{made['id']}"
    for form in FORMATS:
        assert payload(owner.page(f"{path}?format={form}")), form
    assert "this is a sample" in owner.page(path)
    fresh.meta(envelope(incoming("wamid.first")))
    first = fresh.get("/v1/events?entity=messages")["data"][0]["id"]
    fresh.meta(envelope(incoming("wamid.second")))
    for form in ("row", "chat", "cloudevents", "openbsp"):
        assert payload(owner.page(f"{path}?format={form}&event={first}")) == fresh.get(
            f"/v1/events/{first}/payloads/{form}"
        )
    assert payload(owner.page(path))["data"]["wa_id"] == "wamid.second"
    assert payload(owner.page(f"{path}?event={first}"))["data"]["wa_id"] == "wamid.first"
    shown = owner.page(f"{path}?format=meta&event={first}")
    assert "has no place for this event; this is a sample" in shown
    assert payload(shown)["object"] == "whatsapp_business_account"
    endpoint(fresh, format="meta")
    fresh.meta(envelope(incoming("wamid.third")))
    shown = owner.page(f"{path}?format=meta")
    assert "sample" not in shown
    assert payload(shown)["entry"][0]["changes"][0]["value"]["messages"][0]["id"] == "wamid.third"
    links = re.findall(r'href="([^"]*format=chat[^"]*)#preview"', owner.page(f"{path}?event={first}"))
    assert payload(owner.page(html.unescape(links[0]))) == fresh.get(f"/v1/events/{first}/payloads/chat")


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(app: Served, owner: Visitor) -> None:
    typed = {"url": "http://plain.example.com", "format": "row", "description": "kept", "timeout_seconds": "soon"}
    reply = owner.submit("/endpoints/new", "/endpoints/new", **typed)
    page = reply.body.decode()
    assert reply.status == 422
    assert 'value="kept"' in page
    assert re.search(r'name="timeout_seconds" aria-describedby="[^"]*timeout_seconds-fault"[^>]*value="soon"', page)
    assert "must be a number" in page
    reply = owner.submit("/endpoints/new", "/endpoints/new", **typed | {"timeout_seconds": ""})
    assert reply.status == 422
    assert re.search(r'id="url-fault" role="alert">only https reaches the outside', reply.body.decode())
    token = "a-token-nobody-sees-again"
    reply = owner.submit(
        "/endpoints/new", "/endpoints/new", url="nowhere", format="row", token=token, headers="Nonsense"
    )
    assert (reply.status, token in reply.body.decode()) == (422, False)
    assert "must be one header a line" in reply.body.decode()


def test_an_endpoint_is_changed_and_keeps_what_was_not_typed(app: Served, owner: Visitor) -> None:
    made = endpoint(
        app,
        token="a-bearer-token",
        headers={"X-Shop": "17"},
        buffer={"seconds": 2.5, "most": 7, "types": ["text"]},
        retry_schedule=[1, 60.5],
        standby=False,
        accounts=["1234567890"],
    )
    path = f"/endpoints/{made['id']}"
    before = app.get(f"/v1/webhook-endpoints/{made['id']}")
    page = owner.page(f"{path}/edit")
    form = fields_of(page)
    assert owner.post(f"{path}/edit", form).headers["location"] == f"{path}?done=saved"
    after = app.get(f"/v1/webhook-endpoints/{made['id']}")
    assert {k: v for k, v in after.items() if k != "updated_at"} == {
        k: v for k, v in before.items() if k != "updated_at"
    }
    form |= {"description": "another", "ordering": "strict", "token_away": "on", "headers": "X-Other: 18"}
    assert owner.post(f"{path}/edit", form).status == 303
    after = app.get(f"/v1/webhook-endpoints/{made['id']}")
    assert (after["description"], after["ordering"], after["has_token"]) == ("another", "strict", False)
    assert list(after["headers"]) == ["X-Other"]
    reply = owner.post(f"{path}/edit", form | {"url": "ftp://x"})
    assert (reply.status, 'value="ftp://x"' in reply.body.decode()) == (422, True)


def fields_of(page: str) -> dict[str, str]:
    """What a browser would send of the page's form of an endpoint."""
    form = next(each for each in re.findall(r"<form\b.*?</form>", page, re.DOTALL) if "endpoint-form" in each)
    fields: dict[str, str] = {}
    for tag in re.findall(r"<input\b[^>]*>", form):
        given = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if given.get("type") in ("checkbox", "radio") and " checked" not in tag:
            continue
        fields[given["name"]] = html.unescape(given.get("value", "on"))
    for name, options in re.findall(r'<select name="(\w+)".*?>(.*?)</select>', form, re.DOTALL):
        fields[name] = re.findall(r'value="([^"]*)" selected', options)[0]
    return fields


def test_pause_resume_and_the_list_say_how_it_is(app: Served, owner: Visitor) -> None:
    made = endpoint(app, description="stopped and started")
    path = f"/endpoints/{made['id']}"
    for deed, said in (("pause", "Paused"), ("resume", "Resumed")):
        reply = owner.submit(path, f"{path}/{deed}")
        assert (reply.status, said in owner.page(reply.headers["location"])) == (303, True)
        state = app.get(f"/v1/webhook-endpoints/{made['id']}")["state"]
        assert state == {"pause": "paused", "resume": "active"}[deed]
    row = re.findall(r"<tr data-row>.*?</tr>", owner.page("/endpoints"), re.DOTALL)[0]
    assert "stopped and started" in row
    assert "Nothing sent yet" in row
    assert "Attempts of the last 24 hours: 0 delivered, 0 failed" in row


def test_a_test_that_fails_says_why_and_what_to_do(app: Served, owner: Visitor) -> None:
    made = endpoint(app)
    path, before = f"/endpoints/{made['id']}", app.outside.answer
    try:
        for answer, said in (
            (Answer(status=401, cause="your server answered 401"), "compare its secret"),
            (Answer(status=503, cause="your server answered 503"), "answered 503"),
            (Answer(failure="refused", cause="connection refused"), "was not reached"),
        ):
            app.outside.answer = answer
            page = owner.submit(f"{path}/test", f"{path}/test", event="messages.update").body.decode()
            assert said in html.unescape(page)
            assert "Not delivered" in page
        app.outside.answer = Answer(status=401, body=b"<b>who?</b>")
        assert b"<b>who?" not in owner.submit(f"{path}/test", f"{path}/test").body
    finally:
        app.outside.answer = before
    reply = owner.submit(f"{path}/test", f"{path}/test", event="no.such")
    assert (reply.status, "must be one of" in reply.body.decode()) == (422, True)


def test_a_recovery_is_begun_seen_and_cancelled(app: Served, owner: Visitor) -> None:
    made = endpoint(app)
    path = f"/endpoints/{made['id']}"
    reply = owner.submit(path, f"{path}/recover", since="2026-05-06T03:00:00", until="", include="missing")
    assert "goes on by itself" in owner.page(reply.headers["location"])
    (job,) = app.get(f"/v1/webhook-endpoints/{made['id']}/recover")["data"]
    assert (job["since"], job["include"], job["state"]) == ("2026-05-06T03:00:00+00:00", "missing", "queued")
    assert "0 percent of the time is gone through" in owner.page(path)
    assert owner.submit(path, f"{path}/recover", since="2026-05-06T03:00:00", include="all").status == 409
    reply = owner.submit(path, f"{path}/recover", since="yesterday", include="all")
    assert (reply.status, 'id="since-fault"' in reply.body.decode()) == (422, True)
    assert 'value="yesterday"' in reply.body.decode()
    owner.submit(path, f"{path}/recover/{job['id']}/cancel")
    assert "Cancelled" in owner.page(path)


def test_a_secret_of_ones_own_that_cannot_be_used_is_told_of_beside_its_field(app: Served, owner: Visitor) -> None:
    made = endpoint(app)
    path = f"/endpoints/{made['id']}"
    reply = owner.submit(path, f"{path}/rotate", secret="too short", hours="72")
    page = reply.body.decode()
    assert reply.status == 422
    assert re.search(r'id="secret-fault" role="alert">[^<]*16', page)
    assert '<option value="72" selected>' in page
    assert "too short" not in page
    reply = owner.submit(path, f"{path}/rotate", secret="an invented secret of the customer", hours="0")
    assert reply.status == 303
    shown = owner.get(f"{path}/secret", cookie=f"tellwire_session={owner.cookie}; " + cookie_of(reply))
    assert "an invented secret of the customer" in shown.body.decode()
    assert "Max-Age=0" in shown.headers["set-cookie"]
    for cookie in ("tellwire_shown_once=nonsense", "tellwire_shown_once=00000000.AAAA", cookie_of(reply).swapcase()):
        page = owner.get(f"{path}/secret", cookie=f"tellwire_session={owner.cookie}; {cookie}").body.decode()
        assert "cannot be shown again" in page
    stranger = Visitor.entered(app)
    page = stranger.get(
        f"{path}/secret", cookie=f"tellwire_session={stranger.cookie}; " + cookie_of(reply)
    ).body.decode()
    assert "cannot be shown again" in page
    assert len(app.get(f"/v1/webhook-endpoints/{made['id']}")["secrets"]) == 1


def cookie_of(reply: Reply) -> str:
    """The cookie that an answer sets, as a browser sends it back."""
    return reply.headers["set-cookie"].partition(";")[0]


def test_what_is_live_is_sent_anew_only_when_it_has_changed(app: Served, owner: Visitor) -> None:
    made = endpoint(app)
    path = f"/endpoints/{made['id']}"
    owner.submit(path, f"{path}/recover", since="2026-05-06T03:00:00", until="", include="missing")
    owner.submit(path, f"{path}/rotate", hours="1")
    for page in ("/endpoints", path):
        once, again = (re.findall(r"<div data-live=.*?<!--/live-->", owner.page(page), re.DOTALL) for _ in range(2))
        assert once == again
        assert once


def test_deleting_says_with_numbers_what_will_happen(app: Served, owner: Visitor) -> None:
    made = endpoint(app, events=["messages.insert"])
    for index in range(3):
        app.meta(envelope(incoming(f"wamid.deleted.{index}")))
    path = f"/endpoints/{made['id']}"
    assert "3 deliveries that still wait for it become cancelled" in owner.page(f"{path}/delete")
    assert owner.submit(f"{path}/delete", f"{path}/delete").headers["location"] == "/endpoints?done=endpoint_deleted"
    assert owner.get(path).status == 404


def test_nothing_that_was_typed_is_taken_for_html(app: Served, owner: Visitor, page: Page) -> None:
    made = endpoint(app, url=HOSTILE_URL, description=HOSTILE, accounts=["<script>9</script>"])
    base, path = f"http://127.0.0.1:{app.port}", f"/endpoints/{made['id']}"
    noticed: list[str] = []
    page.on("dialog", lambda dialog: noticed.append(dialog.message))
    page.on("console", lambda line: noticed.extend([line.text] if "Content Security" in line.text else []))
    enter(app, page)
    for each in (
        "/endpoints",
        path,
        f"{path}/edit",
        f"{path}/test",
        f"{path}/delete",
        f"{path}/secret",
        f"{path}?span=<script>&format=<b>&event=<i>",
    ):
        page.goto(base + each)
        assert page.locator("main script, main img, main b, main i").count() == 0, each
    assert noticed == []
    reply = owner.submit(
        "/endpoints/new",
        "/endpoints/new",
        url=HOSTILE,
        description=HOSTILE,
        format=HOSTILE,
        events=HOSTILE,
        max_in_flight=HOSTILE,
        other_accounts=HOSTILE,
    )
    assert reply.status == 422
    assert b"<script>alert" not in reply.body
    assert b"<img src=x" not in reply.body


def test_an_endpoint_that_is_pulled_says_so_and_offers_nothing_about_sending(app: Served, owner: Visitor) -> None:
    made = app.post("/v1/webhook-endpoints", {"pull": True, "format": "row", "description": "a listener"})
    page = owner.page(f"/endpoints/{made['id']}")
    assert "Pulled by tellwire listen" in page
    for call in ("test", "pause", "resume", "edit"):
        assert f"/endpoints/{made['id']}/{call}" not in page
    assert f"/endpoints/{made['id']}/delete" in page
    for each in ("/endpoints", "/", f"/endpoints/{made['id']}/delete"):
        assert "a listener" in owner.page(each)
    assert "Pulled by tellwire listen" in owner.page("/endpoints")


def test_another_organizations_endpoint_is_not_there(app: Served) -> None:
    made = endpoint(app)
    elsewhere = {"tellwire-organization": app.organization()}
    stranger = Visitor(app)
    stranger.post(urlsplit(app.post("/v1/login-links", {}, headers=elsewhere)["url"]).path, {})
    for page in ("", "/edit", "/test", "/delete", "/secret"):
        assert stranger.get(f"/endpoints/{made['id']}{page}").status == 404
    assert made["id"] not in stranger.page("/endpoints")


def test_every_event_and_format_has_words() -> None:
    names = {name for form in FORMATS.values() for name in form.EVENTS if not name.startswith("meta.")}
    assert [name for name in sorted(names) if not has_words(f"endpoint_form.event.{name}")] == []
    assert [name for name in FORMATS if not has_words(f"formats.{name}")] == []
