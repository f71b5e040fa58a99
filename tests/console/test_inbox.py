"""The inbox: who wrote, the chat, answering, and what people note; with hostile words everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from tests.console.visitor import Visitor
from tests.golden.meta.rewrite import cases
from tests.served import Served, served
from tests.world import HOUR, NUMBER, START, WABA, contact, envelope, incoming, status, statuses, value

from tellwire.accounts.templates import Template
from tellwire.model.members import Member, Role
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.queries import members
from tellwire.stores.queries import templates as template_queries
from tellwire.stores.queries.audit import AuditChange

MARIA = "5215500000021"
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{1234*4321}}"
COMPONENTS = [
    {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}", "example": {"header_text": ["17"]}},
    {"type": "BODY", "text": "Hi {{1}}, order {{2}} is ready.", "example": {"body_text": [["Ana", "17"]]}},
    {"type": "FOOTER", "text": "The shop"},
    {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Track", "url": "https://shop.example/{{1}}"}]},
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app with a number that can send, and one template."""
    with served(tmp_path_factory.mktemp("inbox")) as running:
        draft = {"phone_number_id": NUMBER, "waba_id": WABA, "access_token": "an-invented-token"}
        running.post("/v1/accounts", draft)
        template(running, "order_ready", COMPONENTS)
        yield running


@pytest.fixture(scope="module")
def owner(app: Served) -> Visitor:
    """An owner; the session of one outlasts the customer service window."""
    app.post("/v1/members", {"email": "olga@example.com", "name": "Operator", "role": "owner"})
    return Visitor.entered(app, email="olga@example.com")


def template(app: Served, name: str, components: Any, **more: Any) -> str:
    """A template that Meta has approved."""

    def work(connection: Any) -> str:
        made = Template(
            id=app.world.store.new_id(),
            organization_id=DEFAULT_ORGANIZATION,
            waba_id=WABA,
            meta_id=f"8{name}",
            name=name,
            language="en_US",
            category="UTILITY",
            status="APPROVED",
            components=json.dumps(components).encode(),
            **more,
        )
        return template_queries.put(connection, made).id

    return app.write(work)


def writes(app: Served, sender: str, body: str, *, name: str = "María") -> str:
    """A customer writes; the path of the chat."""
    count = app.query("SELECT count(*) FROM messages")[0][0]
    at = app.clock.now() // 1_000_000
    message = incoming(f"wamid.in-{count}", body, sender=sender, name=name, at=at)
    assert app.meta(envelope(message)).status == 200
    return f"/inbox/{app.get(f'/v1/conversations?contact={sender}')['data'][0]['id']}"


def told(app: Served, message_id: str, wamid: str, *names: str, to: str, **more: Any) -> None:
    """Meta tells how far a message of ours came."""
    app.write(lambda c: c.exec_driver_sql(f"UPDATE messages SET wamid = '{wamid}' WHERE id = '{message_id}'"))
    app.write(lambda c: c.exec_driver_sql(f"UPDATE sends SET state = 'accepted' WHERE message_id = '{message_id}'"))
    assert app.meta(envelope(statuses(*(status(wamid, name, to=to, **more) for name in names)))).status == 200


def sent(app: Served, path: str) -> dict[str, Any]:
    """The newest message of a chat."""
    found: dict[str, Any] = app.get(f"/v1/conversations/{path.rpartition('/')[2]}/messages?limit=1")["data"][0]
    return found


def test_who_wrote_is_listed_and_looking_marks_it_as_read(app: Served, owner: Visitor) -> None:
    path = writes(app, "5215500000022", "Where is my order?", name="Zoë")
    listed = owner.page("/inbox")
    assert listed.index(path) > 0
    assert "Where is my order?" in listed
    assert "unread" in owner.page("/inbox?q=Zo%C3%AB")
    assert "Where is my order?" in owner.page(path)
    assert path not in owner.page("/inbox?unread=true")
    assert path in owner.page("/inbox?status=open&assignee=none")


def test_an_answer_is_sent_once_and_its_ticks_are_words_too(app: Served, owner: Visitor) -> None:
    path = writes(app, "5215500000023", "Hello?")
    asked = sent(app, path)
    reply = owner.submit(f"{path}?reply={asked['id']}", f"{path}/send", text="Hi <b>there</b>")
    assert (reply.status, reply.headers["location"]) == (303, path)
    answer = sent(app, path)
    assert answer["content"]["text"]["body"] == "Hi <b>there</b>"
    assert answer["content"]["context"] == {"message_id": asked["wa_id"]}
    assert "waiting to be sent" in owner.page(path)
    for name, word in (("sent", "sent"), ("delivered", "delivered"), ("read", "read")):
        told(app, answer["id"], "wamid.out-23", name, to="5215500000023")
        assert f'class="hidden">{word}<' in owner.page(path)
    assert "Hi &lt;b&gt;there&lt;/b&gt;" in owner.page(path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"code": 131047, "title": "Re-engagement message"}, "Send a template instead."),
        ({"code": 131026, "title": "Message undeliverable"}, "could not deliver it to this number"),
        ({"code": 999999, "title": HOSTILE}, "show this to who runs Tellwire"),
    ],
)
def test_why_a_message_failed_stands_there_in_words(
    app: Served, owner: Visitor, error: dict[str, Any], words: str
) -> None:
    customer = f"52155{error['code']}"
    path = writes(app, customer, "Hello?")
    owner.submit(path, f"{path}/send", text="An answer")
    told(app, sent(app, path)["id"], f"wamid.{customer}", "failed", to=customer, errors=[error])
    shown = owner.page(path)
    assert words in shown
    assert "Send again" in shown
    assert "<script>alert" not in shown


def test_outside_the_window_only_templates_are_offered_with_their_fields(app: Served, owner: Visitor) -> None:
    path = writes(app, "5215500000024", "Hello?")
    app.clock.move(25 * HOUR)
    shown = owner.page(path)
    assert "takes only templates until they write again" in shown
    assert f'action="{path}/send"' not in shown
    chosen = re.search(r"\?template=([0-9a-f-]{36})", shown)
    assert chosen is not None
    page = f"{path}?template={chosen[1]}"
    names = {"header.1": "17", "body.1": "Ana", "body.2": "17", "button.0": "t/17"}
    assert [each for each in names if f'name="{each}"' not in owner.page(page)] == []
    assert owner.submit(page, f"{path}/template", **names).status == 303
    last = app.get("/v1/messages?limit=1")["data"][0]
    assert [each["type"] for each in last["content"]["template"]["components"]] == ["header", "body", "button"]
    where = f"/inbox/{last['conversation_id']}"
    assert "Hi Ana, order 17 is ready." in owner.page(where)
    refused = owner.submit(page, f"{path}/template", **names | {"body.1": ""})
    assert refused.status == 422
    assert b'value="t/17"' in refused.body, "what was typed stays"
    app.clock.move(-25 * HOUR)


def test_labels_notes_and_who_is_to_answer(app: Served, owner: Visitor) -> None:
    path = writes(app, "5215500000025", "Hello?")
    agent = app.post("/v1/agents", {"name": "Ada", "kind": "human"})["id"]
    assert owner.submit(path, f"{path}/notes", note=f"A note {HOSTILE}").status == 303
    assert owner.submit(path, f"{path}/labels", name=f"L {HOSTILE}"[:64], colour="red").status == 303
    assert owner.submit(path, f"{path}/assign", to=f"agent {agent}").status == 303
    shown = owner.page(path)
    assert shown.count("<script>alert") == 0
    row = app.get(f"/v1/conversations/{path.rpartition('/')[2]}")
    assert row["assignee"]["name"] == "Ada"
    (label,) = row["labels"]
    assert path in owner.page(f"/inbox?label={label['id']}&assignee={agent}")
    assert owner.submit(path, f"{path}/labels", name=label["name"]).status == 409
    assert owner.submit(path, f"{path}/labels", remove=label["id"]).status == 303
    (note,) = app.get(f"/v1{path.replace('/inbox', '/conversations')}/notes")["data"]
    assert owner.submit(path, f"{path}/notes", remove=note["id"]).status == 303
    assert owner.submit(path, f"{path}/assign", to="").status == 303
    for action, word in (("close", "Closed"), ("reopen", "Open")):
        assert owner.submit(path, f"{path}/status", do=action).status == 303
        assert f"<dd>{word}</dd>" in owner.page(path)


def test_an_agent_is_paused_and_answers_again(app: Served, owner: Visitor) -> None:
    path = writes(app, "5215500000026", "Hello?")
    agent = app.post("/v1/agents", {"name": "Bot", "kind": "ai", "model": "scripted"})["id"]
    assert app.call("PATCH", f"/v1/accounts/{NUMBER}", {"agent_id": agent}).status == 200
    assert "Bot answers here." in owner.page(path)
    assert owner.submit(path, f"{path}/agent", do="pause").status == 303
    assert "Bot is paused here:" in owner.page(path)
    assert owner.submit(path, f"{path}/agent", do="resume").status == 303
    assert "Bot answers here." in owner.page(path)
    assert app.call("PATCH", f"/v1/accounts/{NUMBER}", {"agent_id": None}).status == 200


def test_a_file_is_refused_in_words_and_without_the_token_of_the_page(app: Served, owner: Visitor) -> None:
    path = writes(app, "5215500000030", "Hello?")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', owner.page(path))
    assert token is not None
    before = len(app.query("SELECT id FROM media"))
    for csrf, kind, status_code, words in (
        ("0" * 64, "image/png", 403, "load it again"),
        ("", "image/png", 403, "load it again"),
        (token[1], "text/html", 422, "must be one that Meta takes"),
    ):
        fields = {"csrf": csrf, "caption": HOSTILE}
        parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{each}' for name, each in fields.items()]
        parts.append(f'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: {kind}\r\n\r\nbytes')
        body = "".join(f"--frontier\r\n{part}\r\n" for part in parts) + "--frontier--\r\n"
        reply = app.send(
            "POST",
            f"{path}/file",
            body.encode(),
            {
                "cookie": f"tellwire_session={owner.cookie}",
                "origin": f"http://127.0.0.1:{app.port}",
                "content-type": "multipart/form-data; boundary=frontier",
            },
        )
        assert (reply.status, words in reply.body.decode()) == (status_code, True), reply.body
        assert b"<script>alert" not in reply.body
    assert app.query("SELECT id FROM media WHERE state = 'stored'") == []
    assert len(app.query("SELECT id FROM media")) <= before + 1


@pytest.fixture(scope="module")
def viewer(app: Served) -> Visitor:
    """Somebody who looks, and changes nothing."""
    return visiting(app, "viewer@example.com", "viewer")


def visiting(app: Served, email: str, role: Role) -> Visitor:
    """A member of a role, logged in."""
    change = AuditChange(DEFAULT_ORGANIZATION, "a test", START, app.world.store.new_id)
    draft = Member(id="", organization_id=DEFAULT_ORGANIZATION, email=email, name=f"The {role}", role=role)
    app.write(lambda c: members.add(c, change, draft))
    return Visitor.entered(app, email=email)


def test_a_viewer_reads_and_changes_nothing(app: Served, owner: Visitor, viewer: Visitor) -> None:
    path = writes(app, "5215500000031", "Hello?")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', viewer.page(path))
    assert token is not None
    assert "You may read this chat" in viewer.page(path)
    assert app.get(f"/v1{path.replace('/inbox', '/conversations')}")["unread"] is True
    actions = re.findall(rf'action="{path}/([a-z]+)"', owner.page(f"{path}?template="))
    assert {"send", "file", "notes", "labels", "assign", "status", "message"} <= set(actions)
    assert re.findall(rf'action="{path}/([a-z]+)"', viewer.page(path)) == []
    for action in (*actions, "agent", "template"):
        assert viewer.post(f"{path}/{action}", {"csrf": token[1], "text": "x"}).status == 403, action


def test_an_agent_answers_and_takes_conversations(app: Served) -> None:
    path = writes(app, "5215500000032", "Hello?")
    agent = visiting(app, "agent@example.com", "agent")
    shown = agent.page(path)
    mine = re.search(r'value="(member [0-9a-f-]+)">Assign to me', shown)
    assert mine is not None
    assert agent.submit(path, f"{path}/assign", to=mine[1]).status == 303
    assert path in agent.page("/inbox?assignee=me")
    assert path not in agent.page("/inbox?assignee=none")
    assert agent.submit(path, f"{path}/notes", note="Mine").status == 303
    assert "The agent ·" in agent.page(path)


# --- whatever comes ---------------------------------------------------------------------------------------------------


def test_every_kind_of_message_is_shown(app: Served, owner: Visitor) -> None:
    """What Meta's webhooks can hold, odd ones too: the chat has a bubble for each, and no page fails."""
    for case in cases():
        app.meta(case.read_bytes())
    shown = 0
    for row in app.get("/v1/conversations?limit=200")["data"]:
        page = owner.page(f"/inbox/{row['id']}")
        messages = app.get(f"/v1/conversations/{row['id']}/messages?limit=50")["data"]
        bubbles = page.count('<li class="bubble ')
        reactions = sum(each["content"].get("type") == "reaction" for each in messages)
        assert len(messages) - reactions <= bubbles <= len(messages), row["id"]
        shown += bubbles
    assert shown > 60
    assert owner.get("/inbox").status == 200


def test_nothing_that_a_stranger_writes_is_run(app: Served, owner: Visitor) -> None:
    sender = "5215500000027"
    said: list[dict[str, Any]] = [
        {"type": "text", "text": {"body": HOSTILE}},
        {"type": "image", "image": {"id": "1", "mime_type": "image/png", "sha256": "x", "caption": HOSTILE}},
        {"type": "document", "document": {"id": "2", "mime_type": HOSTILE, "sha256": "x", "filename": HOSTILE}},
        {"type": "button", "button": {"text": HOSTILE, "payload": HOSTILE}},
        {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "1", "title": HOSTILE}}},
        {"type": "location", "location": {"latitude": HOSTILE, "longitude": 1, "name": HOSTILE, "address": HOSTILE}},
        {"type": "contacts", "contacts": [{"name": {"formatted_name": HOSTILE}, "phones": [{"phone": HOSTILE}]}]},
        {"type": "reaction", "reaction": {"message_id": "wamid.h0", "emoji": HOSTILE}},
        {"type": "system", "system": {"body": HOSTILE, "type": "other"}},
        {"type": HOSTILE, HOSTILE: {"body": HOSTILE}},
        {"type": "order", "order": {"catalog_id": "1", "text": HOSTILE, "product_items": []}},
    ]
    messages = [
        {"from": sender, "id": f"wamid.h{number}", "timestamp": str(START // 1_000_000), **each}
        for number, each in enumerate(said)
    ]
    messages[3]["context"] = {"id": "wamid.h0", "from": HOSTILE}
    assert app.meta(envelope(value(contacts=[contact(sender, HOSTILE)], messages=messages))).status == 200
    row = app.get(f"/v1/conversations?contact={sender}")["data"][0]
    for path in ("/inbox", f"/inbox/{row['id']}", f"/inbox/{row['id']}?reply={row['last_message']['id']}"):
        page = owner.page(path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;" in page
        assert "{{1234*4321}}" in page
        assert "5332114" not in page


# --- in a browser -----------------------------------------------------------------------------------------------------


def enter(app: Served, page: Page, path: str) -> None:
    """Come in by a login link, to a page; what the page's scripts say is wrong fails the test."""
    link = urlsplit(app.post("/v1/login-links", {})["url"]).path
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(f"http://127.0.0.1:{app.port}{link}?next={path}")
    page.wait_for_url(f"**{path}")


def test_a_customer_writes_and_is_answered_by_keyboard_alone(app: Served, page: Page) -> None:
    enter(app, page, "/inbox")
    path = writes(app, MARIA, "Is my order here?")
    row = page.locator(f'a[href="{path}"]')
    expect(row).to_contain_text("Is my order here?")
    expect(row).to_contain_text("unread")
    page.keyboard.press("j")
    expect(row).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_title("María · Tellwire")
    field = page.get_by_label("Your message")
    field.press_sequentially("Not yet")
    writes(app, MARIA, "And now?")
    expect(page.locator(".bubble").last).to_contain_text("And now?")
    expect(field).to_have_value("Not yet")
    field.press("Shift+Enter")
    field.press_sequentially("but <b>soon</b>")
    field.press("Enter")
    bubble = page.locator(".bubble.out").last
    expect(bubble).to_contain_text("Not yet\nbut <b>soon</b>")
    expect(bubble).to_contain_text("waiting to be sent")
    message = sent(app, path)
    for name in ("delivered", "read"):
        told(app, message["id"], "wamid.out-maria", name, to=MARIA)
        expect(bubble.locator(f".tick.{name}")).to_have_text(f"✓✓ {name}")
    expect(page.get_by_label("Your message")).to_have_value("")


def test_a_template_is_filled_in_with_its_preview_when_the_window_is_closed(app: Served, page: Page) -> None:
    path = writes(app, "5215500000028", "Hello?")
    app.clock.move(25 * HOUR)
    try:
        enter(app, page, path)
        expect(page.locator(".window")).to_contain_text("takes only templates")
        page.get_by_role("link", name="order_ready").click()
        page.get_by_label("Heading 1").fill("17")
        page.get_by_label("Text 1").fill("<i>Ana</i>")
        page.get_by_label("Text 2").fill("17")
        expect(page.locator(".preview")).to_contain_text("Hi <i>Ana</i>, order 17 is ready.")
        page.get_by_label("Button Track").fill("t/17")
        page.get_by_role("button", name="Send this template").click()
        expect(page.locator(".bubble.out").last).to_contain_text("Hi <i>Ana</i>, order 17 is ready.")
    finally:
        app.clock.move(-25 * HOUR)


def test_what_is_noted_stands_beside_the_chat_also_on_a_narrow_screen(app: Served, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    path = writes(app, "5215500000029", "Hello " + "long" * 60)
    enter(app, page, path)
    page.get_by_label("New note").fill("Call on Monday")
    page.get_by_role("button", name="Keep the note").click()
    expect(page.get_by_role("status")).to_have_text("The note is kept.")
    page.locator("#new-label summary").click()
    page.get_by_role("textbox", name="New label").fill("VIP customer")
    page.get_by_role("button", name="Create and put on").click()
    expect(page.locator(".tags")).to_contain_text("VIP customer")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "nothing is wider than the screen"
    page.locator("#file summary").click()
    page.get_by_label("Picture, video").set_input_files(
        {"name": "receipt.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 " + bytes(3 * 1024 * 1024)}
    )
    page.get_by_label("Words beside it").fill("Your receipt")
    page.locator("#file").get_by_role("button", name="Send").click()
    bubble = page.locator(".bubble.out").last
    expect(bubble).to_contain_text("Your receipt")
    expect(bubble.get_by_role("link", name="Open receipt.pdf")).to_be_visible()


@pytest.mark.parametrize("path", ["/inbox/nonsense", "/inbox/01970000-0000-7000-8000-000000000000", "/inbox?cursor=x"])
def test_what_is_not_there_is_said_in_words(owner: Visitor, path: str) -> None:
    reply = owner.get(path)
    assert reply.status in (200, 404)
    assert b"</html>" in reply.body
