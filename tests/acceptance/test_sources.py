"""Other systems that send beside Meta: who may, what is made of it, and what one had and the other had not."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from tests.served import MISSING, Reply, Served, served
from tests.world import CUSTOMER, NUMBER, USER_ID, contact, envelope, incoming, status, statuses, text_message, value

SECRET = "an invented secret of a source"
MINUTE = 60_000_000
pytestmark = pytest.mark.usefixtures("each_store")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        running.post("/v1/accounts", {"phone_number_id": NUMBER})
        yield running


def source(app: Served, kind: str = "wakit", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = app.post(
        "/v1/sources", {"name": kind, "kind": kind, "account": NUMBER, "secret": SECRET, **more}
    )
    return made


def send(app: Served, made: dict[str, Any], body: Any) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return app.send("POST", f"/sources/{made['id']}", raw, shown(made, raw))


def shown(made: dict[str, Any], raw: bytes, secret: str = SECRET) -> dict[str, str]:
    if made["authentication"] == "hmac":
        return {made["header"]: "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}
    return {made["header"]: f"Bearer {secret}"}


def row(wamid: str, body: str = "Hello!", *, at: str = "2026-05-06T03:39:23+00:00", **more: Any) -> dict[str, Any]:
    data = {
        "id": f"row of {wamid}",
        "direction": "incoming",
        "content": {"type": "text", "text": {"body": body}},
        "status": {"pending": at},
        "wa_id": wamid,
        "from": CUSTOMER,
        "timestamp": at,
        "contact": {"name": "Bharath", "phone": CUSTOMER},
    }
    return {
        "data": {key: each for key, each in (data | more).items() if each},
        "entity": "messages",
        "action": "insert",
    }


def sent_row(wamid: str, reached: dict[str, str]) -> dict[str, Any]:
    return row(wamid, direction="outgoing", status=reached, to=CUSTOMER) | {"action": "update"}


def chat(body: str = "Hello!", at: int = 1_778_038_763) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "message_type": "incoming_message",
        "participants": {"sender": {"from": CUSTOMER, "profile": {"name": "Bharath"}}, "receiver": {"to": "1"}},
        "message": {
            "conversation_id": "69fab7ebc6c20bffaacb770a",
            "timestamp": str(at),
            "type": "text",
            "text": {"body": body},
        },
    }


# --- who may send -----------------------------------------------------------------------------------------------------


class Way(Struct, frozen=True):
    """How a source is made, and what it sends: a header, a query, for a body."""

    draft: dict[str, Any]
    headers: dict[str, str]
    query: str = ""


BODY = json.dumps(envelope(incoming("wamid.1"))).encode()
HEX = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
BASIC = "Basic aW52ZW50ZWQ6YW4gaW52ZW50ZWQgc2VjcmV0"
TAKEN = {
    "bearer": Way({}, {"Authorization": f"Bearer {SECRET}"}),
    "bearer in other letters": Way({}, {"authorization": f"bearer {SECRET}"}),
    "the secret itself": Way({}, {"Authorization": SECRET}),
    "basic": Way({"secret": BASIC}, {"Authorization": BASIC}),
    "bearer in the secret": Way({"secret": f"Bearer {SECRET}"}, {"Authorization": f"Bearer {SECRET}"}),
    "a header of its own": Way({"header": "X-Own"}, {"x-own": SECRET}),
    "a query": Way({"authentication": "query"}, {}, "?token=an%20invented+secret%20of%20a%20source"),
    "hmac": Way({"authentication": "hmac", "header": "X-Hub-Signature-256"}, {"X-Hub-Signature-256": f"sha256={HEX}"}),
    "bare hmac": Way({"authentication": "hmac", "header": "X-Sig"}, {"X-Sig": HEX.upper()}),
}
REFUSED = {
    "nothing": Way({}, {}),
    "another secret": Way({}, {"Authorization": f"Bearer {SECRET}x"}),
    "an empty one": Way({}, {"Authorization": "Bearer "}),
    "another header": Way({"header": "X-Own"}, {"Authorization": f"Bearer {SECRET}"}),
    "bearer in a header of its own": Way({"header": "X-Own"}, {"X-Own": f"Bearer {SECRET}"}),
    "a query where a header is wanted": Way({}, {}, "?token=an+invented+secret+of+a+source"),
    "a header where a query is wanted": Way({"authentication": "query"}, {"Authorization": f"Bearer {SECRET}"}),
    "two tokens": Way({"authentication": "query"}, {}, "?token=an+invented+secret+of+a+source&token=x"),
    "the secret for the hmac": Way({"authentication": "hmac", "header": "X-Sig"}, {"X-Sig": SECRET}),
    "the hmac of another body": Way(
        {"authentication": "hmac", "header": "X-Sig"},
        {"X-Sig": hmac.new(SECRET.encode(), BODY + b" ", hashlib.sha256).hexdigest()},
    ),
    "letters of other scripts": Way({}, {"Authorization": "Bearer \xe9\xe8"}),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, each_store: None) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("sources")) as running:
        running.post("/v1/accounts", {"phone_number_id": NUMBER})
        yield running


@pytest.mark.parametrize("name", TAKEN)
def test_who_shows_the_secret_is_taken(shared: Served, name: str) -> None:
    way = TAKEN[name]
    made = source(shared, "360dialog", **{"name": name, **way.draft})
    reply = shared.send("POST", f"/sources/{made['id']}{way.query}", BODY, way.headers)
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("name", REFUSED)
def test_who_does_not_learns_nothing(shared: Served, name: str) -> None:
    way = REFUSED[name]
    made = source(shared, "360dialog", **{"name": name, **way.draft})
    before = shared.query("SELECT count(*) FROM inbound")
    replies = [
        shared.send("POST", f"/sources/{place}{way.query}", BODY, way.headers | {"x-request-id": "one"})
        for place in (made["id"], MISSING, "nonsense", "")
    ]
    assert {reply.status for reply in replies} == {401}
    assert len({reply.body for reply in replies}) == 1
    assert shared.query("SELECT count(*) FROM inbound") == before


def test_a_source_that_is_deleted_or_has_a_new_secret_is_refused_at_once(app: Served) -> None:
    made = source(app, "360dialog")
    assert app.call("PATCH", f"/v1/sources/{made['id']}", {"secret": "another invented secret"}).status == 200
    assert send(app, made, BODY).status == 401
    assert app.call("PATCH", f"/v1/sources/{made['id']}", {"secret": SECRET}).status == 200
    assert send(app, made, BODY).status == 200
    assert app.call("DELETE", f"/v1/sources/{made['id']}").status == 204
    assert send(app, made, BODY).status == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"not json", 400), (b"{}", 200), (b"[1]", 200), (b"{" + b" " * 4 * 1024 * 1024 + b"}", 413)],
)
@pytest.mark.parametrize("kind", ["360dialog", "gupshup", "wakit", "wappcloud"])
def test_bodies_that_are_nothing(shared: Served, kind: str, body: bytes, status: int) -> None:
    name = f"{kind} {len(body)}"
    made = source(shared, kind, name=name)
    reply = send(shared, made, body)
    assert reply.status == status
    if status == 200:
        post = shared.get(f"/v1/inbound?source={made['id']}")["data"][0]
        assert post["outcome"] == "not_understood"
        assert post["items"][0]["reason"]


def test_other_methods_and_the_challenge(shared: Served) -> None:
    made = source(shared, "wappcloud", name="challenged")
    for place in (made["id"], MISSING):
        reply = shared.send("GET", f"/sources/{place}?challenge=abc", None, {})
        assert (reply.status, reply.json) == (200, {"challenge": "abc"})
        assert shared.send("GET", f"/sources/{place}", None, {}).status == 400
        assert shared.send("PUT", f"/sources/{place}", b"{}", {}).headers["allow"] == "GET, POST"


# --- what is made of it -----------------------------------------------------------------------------------------------


def test_metas_envelope_under_their_own_secret_becomes_rows_that_say_their_source(app: Served) -> None:
    made = source(app, "gupshup")
    body = envelope(incoming("wamid.1", "over Gupshup")) | {"gs_app_id": "an invented app"}
    assert send(app, made, body).status == 200
    message = app.get("/v1/messages")["data"][0]
    assert message["content"]["text"]["body"] == "over Gupshup"
    assert (message["wa_id"], message["source"]) == ("wamid.1", made["id"])
    post = app.get("/v1/inbound")["data"][0]
    assert (post["source_id"], post["outcome"]) == (made["id"], "applied")
    assert b'"source"' not in app.query("SELECT body FROM events ORDER BY id DESC")[0][0]


def test_a_wakit_row_becomes_the_message_and_its_statuses(app: Served) -> None:
    made = source(app)
    assert send(app, made, row("wamid.1", "a row")).status == 200
    reached = {"pending": "2026-05-06T03:40:00+00:00", "sent": "2026-05-06T03:40:01+00:00"}
    assert send(app, made, sent_row("wamid.2", reached)).status == 200
    assert send(app, made, sent_row("wamid.2", reached | {"read": "2026-05-06T03:41:00+00:00"})).status == 200
    outgoing, wrote = app.get("/v1/messages")["data"]
    assert (wrote["wa_id"], wrote["direction"], wrote["content"]) == (
        "wamid.1",
        "incoming",
        {"type": "text", "text": {"body": "a row"}},
    )
    assert (outgoing["wa_id"], outgoing["direction"], outgoing["to"]) == ("wamid.2", "outgoing", CUSTOMER)
    assert outgoing["content"]["text"] == {"body": "Hello!"}
    assert outgoing["status"]["read"] == "2026-05-06T03:41:00+00:00"
    assert outgoing["conversation_id"] == wrote["conversation_id"]


def test_a_row_of_wakits_server_says_itself_of_which_number_it_is(app: Served) -> None:
    made = source(app, account=None)
    data = {
        "id": "a row",
        "direction": "incoming",
        "content": {"version": "1", "type": "text", "kind": "text", "text": "a string"},
        "status": {"pending": "2026-05-06T03:39:23+00:00"},
        "external_id": "wamid.1",
        "contact_address": CUSTOMER,
        "organization_address": NUMBER,
        "timestamp": "2026-05-06T03:39:23+00:00",
    }
    assert send(app, made, {"data": data, "entity": "messages", "action": "insert"}).status == 200
    message = app.get("/v1/messages")["data"][0]
    assert (message["wa_id"], message["content"]) == ("wamid.1", {"type": "text", "text": {"body": "a string"}})
    data |= {"external_id": "wamid.2", "organization_address": "another number"}
    assert send(app, made, {"data": data, "entity": "messages", "action": "insert"}).status == 200
    assert app.get("/v1/inbound")["data"][0]["outcome"] == "unrouted"


def test_a_chat_becomes_a_message_where_rows_are_asked_for(app: Served) -> None:
    made = source(app, "wappcloud", mode="rows")
    for _ in range(2):
        assert send(app, made, chat("a chat")).status == 200
    (message,) = app.get("/v1/messages")["data"]
    assert message["content"] == {"type": "text", "text": {"body": "a chat"}}
    assert message["wa_id"].startswith("wappcloud.")
    assert message["from"] == CUSTOMER
    assert [post["outcome"] for post in app.get("/v1/inbound")["data"]] == ["duplicate", "applied"]


def test_what_cannot_be_translated_is_kept_as_it_came(app: Served) -> None:
    made = source(app)
    body = {"data": {"id": "1", "updated_at": "now"}, "entity": "messages", "action": "update"}
    assert send(app, made, body).status == 200
    listed = app.get("/v1/inbound?source=wakit")["data"][0]
    assert (listed["outcome"], listed["items"][0]["kind"]) == ("not_understood", "message")
    assert "whole rows" in listed["items"][0]["reason"]
    assert app.get(f"/v1/inbound/{listed['id']}")["body"] == body


@pytest.mark.parametrize("first", ["meta", "source"])
def test_the_same_message_is_one_row_and_told_once(app: Served, first: str) -> None:
    made = source(app)
    ways = [lambda: app.meta(envelope(incoming("wamid.1"))), lambda: send(app, made, row("wamid.1"))]
    for way in ways if first == "meta" else reversed(ways):
        assert way().status == 200
    assert len(app.get("/v1/messages")["data"]) == 1
    assert [each["name"] for each in app.get("/v1/events")["data"]] == ["messages.insert", "conversations.insert"]
    assert [post["outcome"] for post in app.get("/v1/inbound")["data"]] == ["duplicate", "applied"]


def test_a_source_that_is_only_compared_makes_no_rows(app: Served) -> None:
    made = source(app, mode="compare")
    assert send(app, made, row("wamid.1")).status == 200
    assert app.get("/v1/messages")["data"] == []
    post = app.get("/v1/inbound")["data"][0]
    assert (post["outcome"], post["items"][0]["reason"]) == ("recorded", "its source is only compared")


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_a_source_speaks_for_its_own_organization_only_and_makes_no_account(app: Served) -> None:
    other = app.organization()
    there = {"tellwire-organization": other}
    draft = {"name": "theirs", "kind": "360dialog", "secret": SECRET}
    made = app.post("/v1/sources", draft, headers=there)
    new = value(number="4711", contacts=[contact()], messages=[text_message("wamid.2")])
    assert send(app, made, envelope(incoming("wamid.1"), new)).status == 200
    assert app.get("/v1/messages")["data"] == []
    assert len(app.get("/v1/accounts")["data"]) == 1
    assert app.get("/v1/accounts", headers=there)["data"] == []
    post = app.get("/v1/inbound", headers=there)["data"][0]
    assert [each["outcome"] for each in post["items"]] == ["unrouted", "unrouted"]
    key = app.key("admin")
    assert app.get("/v1/inbound", key=key)["data"] == []
    assert app.call("GET", f"/v1/inbound?source={made['id']}", key=key).status == 422
    app.post("/v1/accounts", {"phone_number_id": "4711"}, headers=there)
    assert app.call("POST", f"/v1/inbound/{post['id']}/reapply", headers=there).status == 202
    (message,) = app.get("/v1/messages", headers=there)["data"]
    assert (message["wa_id"], message["organization_id"]) == ("wamid.2", other)
    assert app.get("/v1/messages")["data"] == []


def test_a_source_of_one_account_changes_no_other(app: Served) -> None:
    app.post("/v1/accounts", {"phone_number_id": "4711"})
    made = source(app, "360dialog", account="4711")
    assert send(app, made, envelope(incoming("wamid.1"))).status == 200
    assert app.get("/v1/inbound")["data"][0]["outcome"] == "unrouted"


# --- what one had and the other had not -------------------------------------------------------------------------------


def compared(app: Served, query: str = "", **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = app.get(f"/v1/sources/compare?{query}", **options)
    return found


def differences(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["source_name"], each["kind"], each["wamid"]) for each in found["data"]]


def test_what_one_lost_is_listed_and_nothing_else(app: Served) -> None:
    made = source(app)
    app.clock.move(MINUTE)
    reached = {"sent": "2026-05-06T03:40:01+00:00", "read": "2026-05-06T03:41:00+00:00"}
    for number in range(6):
        if number != 4:
            assert app.meta(envelope(incoming(f"wamid.{number}"))).status == 200
        if number not in (1, 2):
            assert send(app, made, row(f"wamid.{number}")).status == 200
    assert app.meta(envelope(statuses(status("wamid.out", "sent", 1_778_038_801)))).status == 200
    assert send(app, made, sent_row("wamid.out", reached)).status == 200
    assert compared(app)["data"] == []  # nothing is judged yet
    app.clock.move(6 * MINUTE)
    found = compared(app)
    assert differences(found) == [
        ("meta", "message", "wamid.1"),
        ("meta", "message", "wamid.2"),
        ("wakit", "message", "wamid.4"),
        ("wakit", "status", "wamid.out"),
    ]
    lost, status_lost = found["data"][0], found["data"][3]
    assert (lost["missing_from"], lost["missing_from_name"], lost["what"]) == (made["id"], "wakit", "text")
    assert app.get(f"/v1/messages/{lost['message_id']}")["wa_id"] == "wamid.1"
    assert (status_lost["what"], status_lost["phone_number_id"]) == ("status read", NUMBER)
    assert {each["source_name"]: (each["items"], each["only"]) for each in found["counts"]} == {
        "meta": (6, 2),
        "wakit": (6, 2),
    }
    assert send(app, made, row("wamid.1")).status == 200  # late, but it came
    assert ("meta", "message", "wamid.1") not in differences(compared(app))


def test_a_comparison_is_paged(app: Served) -> None:
    source(app)
    assert app.meta(envelope(*(incoming(f"wamid.{number}") for number in range(5)))).status == 200
    app.clock.move(6 * MINUTE)
    first = compared(app, "limit=2")
    second = compared(app, f"limit=2&cursor={first['next_cursor']}")
    third = compared(app, f"limit=2&cursor={second['next_cursor']}")
    found = [*differences(first), *differences(second), *differences(third)]
    assert sorted(found) == [("meta", "message", f"wamid.{number}") for number in range(5)]
    assert third["next_cursor"] is None


def test_chats_are_compared_by_what_they_say(app: Served) -> None:
    made = source(app, "wappcloud")
    app.clock.move(MINUTE)
    person = contact(CUSTOMER, "Bharath", USER_ID)
    for number, words in enumerate(("one", "two", "three")):
        sent = value(contacts=[person], messages=[text_message(f"wamid.{number}", words)])
        assert app.meta(envelope(sent)).status == 200
        if words != "two":
            assert send(app, made, chat(words)).status == 200
    assert send(app, made, chat("four")).status == 200
    app.clock.move(6 * MINUTE)
    found = compared(app, "b=wappcloud")
    assert [(each["source_name"], each["wamid"]) for each in found["data"][:1]] == [("meta", "wamid.1")]
    assert [each["source_name"] for each in found["data"]] == ["meta", "wappcloud"]
    assert len(app.get("/v1/messages")["data"]) == 3


def test_echoes_are_compared_between_those_that_tell_them(app: Served) -> None:
    one, other = source(app, "360dialog"), source(app, "gupshup")
    wakit = source(app)
    echoes = value(message_echoes=[{**text_message("wamid.e", sender="919123456789"), "to": CUSTOMER}])
    app.clock.move(MINUTE)
    assert send(app, one, envelope(echoes, field="smb_message_echoes")).status == 200
    app.clock.move(6 * MINUTE)
    assert differences(compared(app, f"a={one['id']}&b=gupshup")) == [("360dialog", "echo", "wamid.e")]
    assert differences(compared(app, f"a={one['id']}&b={wakit['id']}")) == []
    assert differences(compared(app, f"a={other['id']}")) == []


def test_nothing_is_noted_for_an_organization_without_sources(app: Served) -> None:
    assert app.meta(envelope(incoming("wamid.1"))).status == 200
    assert app.query("SELECT * FROM source_items") == []
    source(app)
    assert app.meta(envelope(incoming("wamid.2"))).status == 200
    noted = app.query("SELECT * FROM source_items")
    assert len(noted) == 1
    assert "wamid" not in str(noted)
    assert CUSTOMER not in str(noted)


def test_a_comparison_shows_nothing_of_anothers(app: Served) -> None:
    made = source(app)
    other = app.organization()
    theirs = {"tellwire-organization": other}
    app.post("/v1/sources", {"name": "theirs", "kind": "wakit"}, headers=theirs)
    assert app.meta(envelope(incoming("wamid.1"))).status == 200
    app.clock.move(6 * MINUTE)
    assert len(compared(app)["data"]) == 1
    mine = compared(app, headers=theirs)
    assert (mine["data"], [each["items"] for each in mine["counts"]]) == ([], [0, 0])
    for name in (made["id"], "wakit"):
        app.call("GET", f"/v1/sources/compare?b={name}", headers=theirs).problem(422, "/b")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("b=nobody", "/b"),
        ("a=nobody", "/a"),
        ("b=meta", "/b"),
        ("a=wakit&b=wakit", "/b"),
        ("since=yesterday", "/since"),
        ("grace_seconds=-1", "/grace_seconds"),
        ("cursor=abc", "/cursor"),
    ],
)
def test_what_cannot_be_compared(app: Served, query: str, pointer: str) -> None:
    source(app)
    app.call("GET", f"/v1/sources/compare?{query}").problem(422, pointer)


def test_which_source_is_to_be_named_where_there_is_a_choice(app: Served) -> None:
    app.call("GET", "/v1/sources/compare").problem(422, "/b")
    source(app)
    assert compared(app)["data"] == []
    source(app, "360dialog")
    app.call("GET", "/v1/sources/compare").problem(422, "/b")


# --- the noun ---------------------------------------------------------------------------------------------------------


def test_a_source_is_made_read_and_changed(app: Served) -> None:
    made = app.post("/v1/sources", {"name": "the other", "kind": "360dialog"})
    assert len(made["secret"]) >= 32
    assert made["url"].endswith(f"/sources/{made['id']}")
    assert (made["authentication"], made["header"], made["mode"]) == ("header", "Authorization", "rows")
    read = app.get(f"/v1/sources/{made['id']}")
    assert read == {key: each for key, each in made.items() if key != "secret"}
    changed = app.call("PATCH", f"/v1/sources/{made['id']}", {"name": "x", "account": NUMBER, "mode": "compare"}).json
    assert (changed["name"], changed["mode"]) == ("x", "compare")
    assert changed["account_id"] == app.get(f"/v1/accounts/{NUMBER}")["id"]
    query = app.call("PATCH", f"/v1/sources/{made['id']}", {"authentication": "query", "account": None}).json
    assert (query["authentication"], query["header"], query["account_id"]) == ("query", None, None)
    assert made["secret"] not in str(app.query("SELECT * FROM sources"))


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "meta"}, "/name"),
        ({"kind": "meta"}, "/kind"),
        ({"kind": "wappcloud"}, "/account"),
        ({"account": "nobody's"}, "/account"),
        ({"authentication": "none"}, "/authentication"),
        ({"authentication": "query", "header": "X-Own"}, "/header"),
        ({"header": "X Own"}, "/header"),
        ({"header": ""}, "/header"),
        ({"secret": "too short"}, "/secret"),
        ({"secret": "an invented secret with \xe9"}, "/secret"),
        ({"mode": "all"}, "/mode"),
        ({"url": "https://example.com"}, "/url"),
    ],
)
def test_bad_drafts(shared: Served, draft: dict[str, Any], pointer: str) -> None:
    shared.call("POST", "/v1/sources", {"name": "x", "kind": "wakit", **draft}).problem(422, pointer)


def test_a_name_is_taken_once(app: Served) -> None:
    source(app)
    app.call("POST", "/v1/sources", {"name": "wakit", "kind": "360dialog"}).problem(409, "/name")
    other = source(app, "360dialog")
    app.call("PATCH", f"/v1/sources/{other['id']}", {"name": "wakit"}).problem(409, "/name")
