"""Labels, notes, assignment and what was read: what people note about conversations, and the lists by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.served import MISSING, Served, served
from tests.world import HOUR, NUMBER, START, envelope, incoming, status, statuses

from tellwire.model.members import Member
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.queries import members
from tellwire.stores.queries.audit import AuditChange

pytestmark = pytest.mark.usefixtures("each_store")

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, each_store: None) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("labels")) as running:
        draft = {"phone_number_id": NUMBER, "access_token": "an-invented-token"}
        running.post("/v1/accounts", draft)
        yield running


def writes(app: Served, sender: str, body: str, *, name: str = "Bharath") -> str:
    """A customer writes; the id of the conversation."""
    wamid = f"wamid.{len(app.query('SELECT id FROM messages'))}"
    assert app.meta(envelope(incoming(wamid, body, sender=sender, name=name))).status == 200
    return str(app.get(f"/v1/conversations?contact={sender}")["data"][0]["id"])


def member(app: Served, email: str, name: str = "") -> str:
    """A member of the default organization."""
    change = AuditChange(DEFAULT_ORGANIZATION, "a test", START, app.world.store.new_id)
    draft = Member(id="", organization_id=DEFAULT_ORGANIZATION, email=email, name=name, role="agent")
    return app.write(lambda c: members.add(c, change, draft)).id


def listed(app: Served, query: str) -> list[str]:
    return [each["id"] for each in app.get(f"/v1/conversations?{query}")["data"]]


# --- labels -----------------------------------------------------------------------------------------------------------


def test_a_label_is_created_read_changed_and_deleted(app: Served) -> None:
    made = app.post("/v1/labels", {"name": "Urgent", "colour": "red"})
    path = f"/v1/labels/{made['id']}"
    assert app.get(path) == made
    assert made["id"] in [each["id"] for each in app.get("/v1/labels")["data"]]
    changed = app.call("PATCH", path, {"name": "Later"})
    assert (changed.status, changed.json["name"], changed.json["colour"]) == (200, "Later", "red")
    app.call("POST", "/v1/labels", {"name": "Later"}).problem(409, "/name")
    other = app.post("/v1/labels", {"name": "Other"})
    app.call("PATCH", f"/v1/labels/{other['id']}", {"name": "Later"}).problem(409, "/name")
    assert app.call("PATCH", path, {"name": "Later"}).status == 200, "its own name is not taken"
    assert app.call("DELETE", path).status == 204
    app.call("GET", path).problem(404)


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 65}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "x", "colour": "#ff0000"}, "/colour"),
        ({"name": "x", "colour": None}, "/colour"),
        ({"name": "x", "more": 1}, "/more"),
    ],
)
def test_bad_labels(app: Served, draft: dict[str, Any], pointer: str) -> None:
    app.call("POST", "/v1/labels", draft).problem(422, pointer)


def test_the_same_name_is_free_in_another_organization(app: Served) -> None:
    app.post("/v1/labels", {"name": "Both"})
    there = {"tellwire-organization": app.organization()}
    assert app.post("/v1/labels", {"name": "Both"}, headers=there)["organization_id"] != DEFAULT_ORGANIZATION


def test_there_are_at_most_200_labels(app: Served) -> None:
    there = {"tellwire-organization": app.organization()}
    for number in range(200):
        app.post("/v1/labels", {"name": f"label {number}"}, headers=there)
    problem = app.call("POST", "/v1/labels", {"name": "one more"}, headers=there).problem(409)
    assert problem["type"].endswith(":too-many-labels")


def test_a_label_on_a_conversation_is_shown_found_and_taken_off(app: Served) -> None:
    conversation, other = writes(app, "5215500000001", "One"), writes(app, "5215500000002", "Two")
    label = app.post("/v1/labels", {"name": HOSTILE, "colour": "blue"})["id"]
    path = f"/v1/conversations/{conversation}/labels/{label}"
    for _ in range(2):
        shown = app.call("POST", path).json
        assert shown["labels"] == [{"id": label, "name": HOSTILE, "colour": "blue"}]
    assert listed(app, f"label={label}") == [conversation]
    app.call("POST", f"/v1/conversations/{other}/labels/{label}")
    assert listed(app, f"label={label}&status=open") == [other, conversation]
    assert listed(app, f"label={label}&q=two") == [other]
    first = app.get(f"/v1/conversations?label={label}&limit=1")
    assert [each["id"] for each in first["data"]] == [other]
    assert listed(app, f"label={label}&limit=1&cursor={first['next_cursor']}") == [conversation]
    for _ in range(2):
        assert app.call("DELETE", path).json["labels"] == []
    assert app.call("DELETE", f"/v1/labels/{label}").status == 204
    assert app.get(f"/v1/conversations/{other}")["labels"] == []
    assert listed(app, f"label={label}") == []


def test_what_is_not_there_cannot_be_labelled(app: Served) -> None:
    conversation = writes(app, "5215500000001", "One")
    app.call("POST", f"/v1/conversations/{conversation}/labels/{MISSING}").problem(404)
    app.call("DELETE", f"/v1/conversations/{conversation}/labels/nonsense").problem(404)
    label = app.post("/v1/labels", {"name": "of nothing"})["id"]
    app.call("POST", f"/v1/conversations/{MISSING}/labels/{label}").problem(404)


# --- notes ------------------------------------------------------------------------------------------------------------


def test_notes_say_who_wrote_them_and_are_deleted(app: Served) -> None:
    conversation = writes(app, "5215500000003", "Hi")
    path = f"/v1/conversations/{conversation}/notes"
    first = app.post(path, {"text": "Wants a refund.\nCall on Monday."})
    second = app.post(path, {"text": HOSTILE}, key=app.key("messages:write"))
    assert [each["id"] for each in app.get(path)["data"]] == [second["id"], first["id"]]
    assert first["written_by"] == "ADMIN_KEY"
    assert second["written_by"].startswith("api-key ")
    assert app.get(f"{path}?limit=1")["next_cursor"]
    assert app.call("DELETE", f"{path}/{first['id']}").status == 204
    app.call("DELETE", f"{path}/{first['id']}").problem(404)
    other = writes(app, "5215500000004", "Hi")
    app.call("DELETE", f"/v1/conversations/{other}/notes/{second['id']}").problem(404)
    assert [each["text"] for each in app.get(path)["data"]] == [HOSTILE]


@pytest.mark.parametrize("text", ["", "  \n ", "a\0b", "x" * 4001, 5, None])
def test_bad_notes(app: Served, text: Any) -> None:
    conversation = writes(app, "5215500000003", "Hi")
    app.call("POST", f"/v1/conversations/{conversation}/notes", {"text": text}).problem(422, "/text")


# --- who is to answer -------------------------------------------------------------------------------------------------


def test_a_conversation_is_assigned_to_a_member_an_agent_or_nobody(app: Served) -> None:
    conversation = writes(app, "5215500000005", "Hi")
    path = f"/v1/conversations/{conversation}/assign"
    anna, agent = (
        member(app, "anna@example.com", "Anna"),
        app.post("/v1/agents", {"name": "Ada", "kind": "human"})["id"],
    )
    offered = app.get("/v1/conversations/assignees")["data"]
    assert [(each["kind"], each["name"]) for each in offered] == [("member", "Anna"), ("agent", "Ada")]
    shown = app.post(path, {"member_id": anna}, status=200)
    assert shown["assignee"] == {"kind": "member", "id": anna, "name": "Anna"}
    assert listed(app, f"assignee={anna}") == [conversation]
    assert conversation not in listed(app, "assignee=none")
    assert app.post(path, {"agent_id": agent}, status=200)["assignee"]["name"] == "Ada"
    assert listed(app, f"assignee={anna}") == []
    assert app.post(path, {"member_id": None}, status=200)["assignee"] is None
    assert conversation in listed(app, "assignee=none")


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"member_id": MISSING}, "/member_id"),
        ({"agent_id": MISSING}, "/agent_id"),
        ({"member_id": "a", "agent_id": "b"}, "/agent_id"),
        ({"member_id": 5}, "/member_id"),
        ({"who": "me"}, "/who"),
    ],
)
def test_bad_assignments(app: Served, wanted: dict[str, Any], pointer: str) -> None:
    conversation = writes(app, "5215500000005", "Hi")
    app.call("POST", f"/v1/conversations/{conversation}/assign", wanted).problem(422, pointer)


def test_members_and_agents_of_another_organization_are_not_known(app: Served) -> None:
    conversation = writes(app, "5215500000005", "Hi")
    there = {"tellwire-organization": app.organization()}
    agent = app.post("/v1/agents", {"name": "Theirs", "kind": "human"}, headers=there)["id"]
    app.call("POST", f"/v1/conversations/{conversation}/assign", {"agent_id": agent}).problem(422, "/agent_id")
    assert app.get("/v1/conversations/assignees", headers=there)["data"] == [
        {"kind": "agent", "id": agent, "name": "Theirs"}
    ]


# --- what is new ------------------------------------------------------------------------------------------------------


def test_a_conversation_is_unread_until_somebody_reads_or_answers_it(app: Served) -> None:
    conversation = writes(app, "5215500000006", "First")
    path = f"/v1/conversations/{conversation}"
    shown = app.get(path)
    assert (shown["unread"], shown["last_message"]["text"]) == (True, "First")
    seen = shown["last_message"]["id"]
    writes(app, "5215500000006", "Second, while the first is read")
    assert app.post(f"{path}/read", {"message_id": seen}, status=200)["unread"] is True
    assert app.post(f"{path}/read", status=200)["unread"] is False
    assert conversation not in listed(app, "unread=true")
    assert conversation in listed(app, "unread=false")
    writes(app, "5215500000006", "Third")
    assert conversation in listed(app, "unread=true")
    draft = {"account": NUMBER, "conversation_id": conversation, "type": "text", "text": {"body": "An answer"}}
    app.post("/v1/messages", draft, status=202)
    assert app.get(path)["unread"] is False
    app.call("POST", f"{path}/read", {"message_id": "nonsense"}).problem(404)
    other = app.get(f"/v1/conversations/{writes(app, '5215500000016', 'Hi')}")["last_message"]["id"]
    app.call("POST", f"{path}/read", {"message_id": other}).problem(422, "/message_id")


def test_the_newest_message_brings_its_conversation_to_the_top(app: Served) -> None:
    older, newer = writes(app, "5215500000007", "One"), writes(app, "5215500000008", "Two")
    assert listed(app, "order=activity")[:2] == [newer, older]
    writes(app, "5215500000007", "Three")
    assert listed(app, "order=activity")[:2] == [older, newer]
    assert listed(app, "")[:2] == [newer, older], "without it the newest conversation comes first"
    pages, cursor = [], ""
    while True:
        page = app.get(f"/v1/conversations?order=activity&limit=2{cursor}")
        pages += [each["id"] for each in page["data"]]
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(pages) == len(set(pages)) == app.query("SELECT count(*) FROM conversations")[0][0]


def test_a_text_finds_what_was_said_and_who_said_it(app: Served) -> None:
    conversation = writes(app, "5215512345678", "Where is ORDER seventeen?", name="Zoë")
    writes(app, "5215512345678", "Hello?", name="Zoë")
    for text in ("order SEVENTEEN", "zoë", "+52 155 1234 5678", "12345678"):
        assert listed(app, f"q={quote(text)}") == [conversation], text
    assert listed(app, "q=nobody+said+this") == []
    app.call("GET", f"/v1/conversations?q={'x' * 101}").problem(422, "/q")


def test_a_page_of_a_search_ends_after_1000_messages_and_the_next_goes_on(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        needle = writes(app, "5215500000009", "a needle")
        app.run(_much(app))
        first = app.get("/v1/conversations?q=needle")
        assert first["data"] == []
        assert first["next_cursor"]
        second = app.get(f"/v1/conversations?q=needle&cursor={first['next_cursor']}")
        assert [each["id"] for each in second["data"]] == [needle]


async def _much(app: Served) -> None:
    for start in range(0, 1_000, 500):
        await app.world.post(*(incoming(f"wamid.much-{start + n}", "hay", sender="5215500000010") for n in range(500)))


def test_the_window_is_told_until_and_after_it_closes(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        conversation = writes(app, "5215500000011", "Hi")
        for shown in (app.get(f"/v1/conversations/{conversation}"), app.get("/v1/conversations")["data"][0]):
            assert shown["window_closes_at"] == "2026-05-07T03:39:23+00:00"
        app.clock.move(25 * HOUR)
        assert app.get(f"/v1/conversations/{conversation}")["window_closes_at"] == "2026-05-07T03:39:23+00:00"
        assert app.meta(envelope(statuses(status("wamid.elsewhere", "sent", to="5215500000012")))).status == 200
        (other,) = app.get("/v1/conversations?contact=5215500000012")["data"]
        assert other["window_closes_at"] is None


# --- the person -------------------------------------------------------------------------------------------------------


def test_what_is_noted_about_a_person_is_exported_and_erased_with_them(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        conversation, other = writes(app, "5215500000013", "Hi"), writes(app, "5215500000014", "Hi")
        label = app.post("/v1/labels", {"name": "VIP"})["id"]
        anna = member(app, "anna@example.com")
        for each in (conversation, other):
            app.call("POST", f"/v1/conversations/{each}/labels/{label}")
            app.post(f"/v1/conversations/{each}/assign", {"member_id": anna}, status=200)
            app.post(f"/v1/conversations/{each}/read", status=200)
            once = {"idempotency-key": each}
            app.post(f"/v1/conversations/{each}/notes", {"text": f"about {each}"}, headers=once)
        contact = app.get("/v1/contacts?alias=5215500000013")["data"][0]["id"]
        exported = app.get(f"/v1/contacts/{contact}/export")
        assert [each["text"] for each in exported["notes"]] == [f"about {conversation}"]
        assert exported["marks"] == [{"conversation_id": conversation, "labels": ["VIP"], "assignee": anna}]
        assert app.call("DELETE", f"/v1/contacts/{contact}").status < 300
        app.run(app.world.store.read(lambda _: None))
        for table in ("notes", "conversation_labels", "conversation_marks"):
            assert app.query(f"SELECT conversation_id FROM {table}") == [(other,)]
        draft, once = {"text": f"about {conversation}"}, {"idempotency-key": conversation}
        assert app.call("POST", f"/v1/conversations/{conversation}/notes", draft, headers=once).status in (404, 410)
