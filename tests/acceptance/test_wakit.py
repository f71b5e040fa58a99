"""wakit's interface, as docs/reference/wakit.md tells it: every route, field and error, and nothing of another's."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.acceptance import tenants
from tests.served import HOOK, MISSING, SETTINGS, Reply, Served, served
from tests.world import (
    CUSTOMER,
    DISPLAY,
    NUMBER,
    START,
    WABA,
    envelope,
    incoming,
    status,
    statuses,
    text_message,
    value,
)

from tellwire.accounts.templates import Template
from tellwire.errors import Unavailable
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.queries import templates
from tellwire.web.wakit.routes import BASE, CALLS, PUBLIC, TABLE

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
GROUP = "120363041234567890@g.us"
SILENT = "5215500000001"
"""A number that nobody has written with."""
LATE = "5215500000002"
"""A contact whose last message is two days old."""
TEMPLATE = {"name": "hello", "language": {"code": "en"}}
FILE = {"link": "https://files.example.com/a.pdf", "filename": "a.pdf", "caption": "Your bill", "mime_type": "text/csv"}
ACCOUNT = {
    "phone_number_id": NUMBER,
    "waba_id": WABA,
    "name": "Corner Shop",
    "display_phone_number": "+91 91234 56789",
    "access_token": "an-invented-token",
}
CORS = "authorization, content-type, x-client-info, apikey, api-key"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("wakit")) as running:
        shop(running)
        yield running


def shop(app: Served) -> None:
    """One account, a contact who wrote now, one who wrote two days ago, a group, and a template."""
    app.post("/v1/accounts", ACCOUNT)
    app.meta(envelope(incoming("wamid.late", sender=LATE, name="Late Lena", timestamp=str(START // SECOND - 172_800))))
    app.meta(envelope(value(messages=[text_message("wamid.group", group_id=GROUP)])))
    app.meta(envelope(incoming("wamid.in", timestamp=str(START // SECOND))))
    app.write(
        lambda c: templates.put(
            c,
            Template(
                id=app.world.store.new_id(),
                organization_id=DEFAULT_ORGANIZATION,
                waba_id=WABA,
                meta_id="900",
                name="hello",
                language="en",
                category="UTILITY",
                status="APPROVED",
                components=b'[{"type":"BODY","text":"Hello!"}]',
                created_at=1,
                updated_at=1,
            ),
        )
    )


def call(app: Served, method: str, path: str, body: Any = None, **options: Any) -> Reply:
    reply = app.call(method, f"{BASE}/{path}", body, **options)
    assert reply.headers["access-control-allow-origin"] == "*", path
    assert reply.headers["access-control-allow-headers"] == CORS
    assert reply.headers["cache-control"] == "no-store"
    return reply


def right(app: Served, method: str, path: str, body: Any = None, **options: Any) -> Any:
    reply = call(app, method, path, body, **options)
    assert reply.status in {200, 201}, (path, reply.status, reply.body)
    return reply.json


def wrong(reply: Reply, code: int, words: str) -> None:
    """The reply must be an error of wakit's."""
    assert reply.status == code, (reply.status, reply.body)
    assert reply.headers["content-type"] == "application/json"
    assert list(reply.json) == ["error"]
    assert words in reply.json["error"], reply.json


def last_sent(app: Served) -> Any:
    return app.get("/v1/messages?direction=outgoing&limit=1")["data"][0]


# --- reads ------------------------------------------------------------------------------------------------------------


def test_accounts(app: Served) -> None:
    assert right(app, "GET", "accounts") == {"accounts": [{"phone": DISPLAY, "name": "Corner Shop"}]}


def test_conversations(tmp_path: Path, each_store: None) -> None:
    with served(tmp_path) as app:
        shop(app)
        assert right(app, "GET", "contacts?name=lEnA&number=2")["contacts"] == [{"name": "Late Lena", "phone": LATE}]
        found = right(app, "GET", "conversations")
        assert found["account"] == {"name": "Corner Shop", "phone": DISPLAY}
        hello = {"type": "text", "text": {"body": "Hello!"}}
        last = {"direction": "incoming", "content": hello, "timestamp": "03:39", "status": "pending"}
        assert found["conversations"] == [
            {"contact": {"name": "Bharath", "phone": CUSTOMER}, "unread": 0, "last_message": last},
            {
                "group": {"id": GROUP, "name": "Unknown"},
                "unread": 0,
                "last_message": found["conversations"][1]["last_message"],
            },
            {
                "contact": {"name": "Late Lena", "phone": LATE},
                "unread": 0,
                "last_message": last | {"timestamp": "Monday"},
            },
        ]
        assert len(right(app, "GET", "conversations?limit=2")["conversations"]) == 2
        assert len(right(app, "GET", "conversations?limit=99999")["conversations"]) == 3
        assert right(app, "GET", f"conversations?account_phone=%2B{DISPLAY}")["account"]["phone"] == DISPLAY


def test_unread_counts_what_came_since_the_last_outgoing_message_in_whichever_conversation(
    tmp_path: Path, each_store: None
) -> None:
    with served(tmp_path) as app:
        app.post("/v1/accounts", ACCOUNT)

        def unread() -> Any:
            return [each["unread"] for each in right(app, "GET", "conversations")["conversations"]]

        app.meta(envelope(incoming("wamid.1")))
        assert unread() == [0]  # nothing was sent yet
        right(app, "POST", "messages", {"contact_phone": CUSTOMER, "text": "Hi"})
        assert unread() == [0]
        app.meta(envelope(incoming("wamid.2"), incoming("wamid.3")))
        assert unread() == [2]
        message_id = last_sent(app)["id"]
        app.post(f"/v1/messages/{message_id}/cancel", status=200)
        [conversation] = app.get("/v1/conversations")["data"]
        app.post(f"/v1/conversations/{conversation['id']}/close", status=200)
        app.meta(envelope(incoming("wamid.4")))
        assert len(app.get("/v1/conversations")["data"]) == 2
        assert unread() == [3]
        read = right(app, "GET", f"conversation?contact_phone={CUSTOMER}")["messages"]
        assert [each["direction"] for each in read] == ["incoming", "outgoing", "incoming", "incoming", "incoming"]


@pytest.mark.parametrize("segment", ["conversation", "messages"])
def test_a_conversation(tmp_path: Path, segment: str) -> None:
    with served(tmp_path) as app:
        shop(app)
        error = {"code": 131026, "title": "Message undeliverable"}
        at = START // SECOND
        app.meta(envelope(statuses(status("wamid.out", "sent", at + 1))))
        app.meta(envelope(statuses(status("wamid.out", "failed", at + 2, errors=[error]))))
        found = right(app, "GET", f"{segment}?contact_phone=%2B{CUSTOMER}")
        assert list(found) == ["account", "contact", "service_window", "messages"]
        assert found["contact"] == {"name": "Bharath", "phone": CUSTOMER}
        assert found["service_window"] == "open"
        first, second = found["messages"]
        assert first == {
            "direction": "incoming",
            "content": {"type": "text", "text": {"body": "Hello!"}},
            "time": "03:39",
            "status": "pending",
        }
        assert (second["direction"], second["status"]) == ("outgoing", "failed")
        assert second["errors"][0]["code"] == 131026
        assert len(right(app, "GET", f"{segment}?contact_phone={CUSTOMER}&limit=1")["messages"]) == 1
        assert right(app, "GET", f"{segment}?contact_phone={LATE}")["service_window"] == "closed"
        group = right(app, "GET", f"{segment}?group_id={GROUP}")
        assert group["group"] == {"id": GROUP, "name": "Unknown"}
        assert len(group["messages"]) == 1


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Bharath", "Late Lena"]),
        ("name=lena", ["Late Lena"]),
        ("name=LATE", ["Late Lena"]),
        ("name=%25", []),
        ("number=%2B52%2015500000", ["Late Lena"]),
        ("number=999999", []),
    ],
)
def test_contacts(app: Served, query: str, names: list[str]) -> None:
    found = right(app, "GET", f"contacts?{query}")["contacts"]
    named = [each["name"] for each in found if each["name"] != "Unknown"]
    assert sorted(named) == names
    assert all(list(each) == ["name", "phone"] and each["phone"].isdecimal() for each in found)
    assert len(right(app, "GET", "contacts?limit=1")["contacts"]) == 1


def test_templates(app: Served) -> None:
    hello = {"id": "900", "name": "hello", "status": "APPROVED", "category": "UTILITY", "language": "en"}
    assert right(app, "GET", "templates") == {"templates": [hello]}
    one = right(app, "GET", "templates?template_id=900")
    assert one == hello | {"components": [{"type": "BODY", "text": "Hello!"}]}


def test_health_says_what_meta_says(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        number = {"verified_name": "The Shop", "quality_rating": "GREEN"}
        app.outside.shows = {
            "an-invented-token": {NUMBER: number | {"whatsapp_business_manager_messaging_limit": "TIER_1K"}}
        }
        app.post("/v1/accounts", ACCOUNT)
        app.post("/v1/accounts", {"phone_number_id": "2", "access_token": "another-invented-token"})
        app.post("/v1/accounts", {"phone_number_id": "3"})
        good, refused, tokenless = right(app, "GET", "health")["accounts"]
        assert good == {
            "phone": DISPLAY,
            "name": "The Shop",
            "address": NUMBER,
            "status": "active",
            "quality": "GREEN",
            "messaging_limit": "TIER_1K",
        }
        for each, address in ((refused, "2"), (tokenless, "3")):
            assert list(each) == ["phone", "name", "address", "status", "error"]
            assert (each["address"], each["status"]) == (address, "error")
            assert each["error"]


def test_public_routes_take_no_key(app: Served) -> None:
    ping = right(app, "GET", "ping", key=None)
    assert ping == {"status": "ok", "timestamp": ping["timestamp"], "db": "connected"}
    assert right(app, "GET", "config", key=None) == {"plugins": {"stripe": False, "migrate-twilio": False}}


def test_ping_says_that_the_database_is_away(tmp_path: Path) -> None:
    with served(tmp_path, store_error=Unavailable("away")) as broken:
        assert right(broken, "GET", "ping", key=None)["db"] == "error"


@pytest.mark.parametrize("path", ["", "/nothing", "/messages/all", "/%2e%2e"])
def test_an_unknown_segment_answers_what_there_is(app: Served, path: str) -> None:
    reply = app.call("PATCH", BASE + path, {})
    told = {re.sub(r"[?{ ].*", "", each.split("/api/")[1]) for each in reply.json["endpoints"]}
    assert (reply.status, told) == (200, {segment for _, segment in CALLS})
    wrong(app.call("GET", BASE + path, key=None), 401, "Missing Authorization header")


def test_the_last_segment_counts(app: Served) -> None:
    assert right(app, "GET", "anything/else/accounts") == right(app, "GET", "accounts")


# --- sending ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ({"text": "Hi"}, {"type": "text", "text": {"body": "Hi"}}),
        ({"template": TEMPLATE}, {"type": "template", "template": TEMPLATE}),
        ({"document": {"link": FILE["link"]}}, {"type": "document", "document": {"link": FILE["link"]}}),
        (
            {"document": FILE, "text": "no"},
            {"type": "document", "document": {k: v for k, v in FILE.items() if k != "mime_type"}},
        ),
        ({"template": TEMPLATE, "document": FILE, "text": "no"}, {"type": "template", "template": TEMPLATE}),
        ({"template": None, "document": {}, "text": "Hi", "else": 1}, {"type": "text", "text": {"body": "Hi"}}),
    ],
)
@pytest.mark.parametrize(
    "whom", [{"contact_phone": f"+{CUSTOMER}"}, {"contact_phone": int(CUSTOMER)}, {"group_id": GROUP}]
)
def test_what_is_sent(app: Served, whom: dict[str, Any], body: dict[str, Any], content: dict[str, Any]) -> None:
    if body.get("document") == {}:
        wrong(call(app, "POST", "messages", whom | body), 400, "document.link is required")
        return
    assert right(app, "POST", "messages", whom | body) == {"status": "sent"}
    sent = last_sent(app)
    assert (sent["content"], sent["to"]) == (content, GROUP if "group_id" in whom else CUSTOMER)


def test_templates_go_to_everybody_and_groups_have_no_window(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        shop(app)
        app.clock.move(2 * DAY)
        for whom in ({"contact_phone": SILENT}, {"contact_phone": LATE}):
            assert right(app, "POST", "messages", whom | {"template": TEMPLATE}) == {"status": "sent"}
        assert right(app, "POST", "messages", {"group_id": GROUP, "text": "Hi"}) == {"status": "sent"}


def test_an_idempotency_key_sends_once(app: Served) -> None:
    body = {"contact_phone": CUSTOMER, "text": "Once"}
    first = call(app, "POST", "messages", body, headers={"idempotency-key": "wakit-once"})
    before = last_sent(app)["id"]
    again = call(app, "POST", "messages", body, headers={"idempotency-key": "wakit-once"})
    assert (first.body, first.status) == (again.body, again.status) == (b'{"status":"sent"}', 200)
    assert again.headers["idempotency-replayed"] == "true"
    assert last_sent(app)["id"] == before
    other = call(app, "POST", "messages", body | {"text": "Twice"}, headers={"idempotency-key": "wakit-once"})
    wrong(other, 422, "Idempotency-Key")


MESSAGES = ("POST", "messages")
DOCUMENT = {"contact_phone": CUSTOMER, "document": {}}


@pytest.mark.parametrize(
    ("called", "code", "words"),
    [
        # what is missing or wrong
        ((*MESSAGES, {}), 400, "contact_phone or group_id is required"),
        ((*MESSAGES, {"contact_phone": "", "text": "Hi"}), 400, "contact_phone or group_id is required"),
        ((*MESSAGES, {"contact_phone": CUSTOMER}), 400, "text, template or document is required"),
        ((*MESSAGES, {"contact_phone": CUSTOMER, "text": ""}), 400, "text, template or document is required"),
        ((*MESSAGES, {"contact_phone": CUSTOMER, "text": {"body": "Hi"}}), 400, "text must be"),
        ((*MESSAGES, {"contact_phone": CUSTOMER, "text": "x" * 4097}), 400, "text.body"),
        ((*MESSAGES, {"contact_phone": "abc", "text": "Hi"}), 400, "contact_phone"),
        ((*MESSAGES, {"contact_phone": "0049", "text": "Hi"}), 400, "contact_phone"),
        ((*MESSAGES, {"contact_phone": [CUSTOMER], "text": "Hi"}), 400, "contact_phone"),
        ((*MESSAGES, {"contact_phone": True, "text": "Hi"}), 400, "contact_phone"),
        ((*MESSAGES, {"contact_phone": 1e300, "text": "Hi"}), 400, "contact_phone"),
        ((*MESSAGES, {"group_id": "a\0b", "text": "Hi"}), 400, "group_id"),
        ((*MESSAGES, {"contact_phone": CUSTOMER, "template": "hello"}), 400, "template must be an object"),
        ((*MESSAGES, {"contact_phone": CUSTOMER, "template": {"name": "hello"}}), 400, "template.language"),
        ((*MESSAGES, DOCUMENT), 400, "document.link is required"),
        ((*MESSAGES, {"contact_phone": CUSTOMER, "document": {"link": "ftp://a"}}), 400, "document.link"),
        ((*MESSAGES, {"contact_phone": CUSTOMER, "document": FILE | {"mime_type": 5}}), 400, "document.mime_type"),
        ((*MESSAGES, {"contact_phone": CUSTOMER, "document": FILE | {"caption": "x" * 1025}}), 400, "document.caption"),
        ((*MESSAGES, b"{"), 400, "not JSON"),
        ((*MESSAGES, b"[]"), 400, ""),
        ((*MESSAGES, b"\xff"), 400, ""),
        ((*MESSAGES, b'{"text":"\\ud800"}'), 400, ""),
        ((*MESSAGES, b"[" * 2000), 400, ""),
        ((*MESSAGES, b'{"a":[' + b"1," * 30_000 + b"1]}"), 400, "values"),
        ((*MESSAGES, b" " * 1_100_000), 413, "1 MiB"),
        (("GET", "conversation", None), 400, "contact_phone or group_id is required"),
        (("GET", "messages", None), 400, "contact_phone or group_id is required"),
        (("GET", "conversations?limit=ten", None), 400, "limit"),
        (("GET", "conversations?limit=-1", None), 400, "limit"),
        (("GET", f"conversation?contact_phone={CUSTOMER}&limit=1.5", None), 400, "limit"),
        (("GET", "contacts?name=%00", None), 400, "name"),
        (("GET", "templates?template_id=%0A", None), 400, "template_id"),
        # rules
        ((*MESSAGES, {"contact_phone": SILENT, "text": "Hi"}), 500, "no prior incoming message"),
        ((*MESSAGES, {"contact_phone": SILENT, "document": FILE}), 500, "template"),
        ((*MESSAGES, {"contact_phone": LATE, "text": "Hi"}), 500, "24h+ since last user message"),
        ((*MESSAGES, {"contact_phone": CUSTOMER, "text": "Hi", "account_phone": "491701234567"}), 500, DISPLAY),
        ((*MESSAGES, {"group_id": "120363000000000000@g.us", "text": "Hi"}), 500, "not found"),
        ((*MESSAGES, {"group_id": CUSTOMER, "text": "Hi"}), 500, "not found"),
        (("GET", f"conversation?contact_phone={SILENT}", None), 500, f"Conversation with contact {SILENT} not found"),
        (("GET", "conversation?group_id=120363000000000000@g.us", None), 500, "not found"),
        (("GET", "conversations?account_phone=1", None), 500, "Corner Shop"),
        (("GET", "templates?template_id=901", None), 500, "Template 901 not found"),
        # methods
        *(((method, segment, None), 405, "Method not allowed") for method in ("PUT", "PATCH", "TRACE") for segment in
          sorted({segment for _, segment in CALLS})),
        (("POST", "accounts", {}), 405, "Method not allowed"),
        (("DELETE", "messages", None), 405, "Method not allowed"),
    ],
)  # fmt: skip
def test_errors(app: Served, called: tuple[str, str, Any], code: int, words: str) -> None:
    wrong(call(app, *called), code, words)


def test_several_accounts_are_named_and_one_must_be_chosen(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        wrong(call(app, "GET", "conversations"), 500, "No connected WhatsApp accounts")
        assert right(app, "GET", "accounts") == {"accounts": []}
        shop(app)
        app.post("/v1/accounts", {"phone_number_id": "222", "name": "Bar", "access_token": "another-invented-token"})
        calls: list[tuple[str, str, Any]] = [
            ("GET", "conversations", None),
            ("GET", f"conversation?contact_phone={CUSTOMER}", None),
            ("GET", "templates", None),
            ("POST", "messages", {"contact_phone": CUSTOMER, "text": "Hi"}),
        ]
        for method, path, body in calls:
            reply = call(app, method, path, body)
            wrong(reply, 500, "account_phone")
            assert {"Corner Shop", DISPLAY, "Bar", "222"} <= set(
                re.findall(r"Corner Shop|Bar|\d+", reply.json["error"])
            )
        body = {"contact_phone": CUSTOMER, "text": "Hi", "account_phone": "+91 91234-56789"}
        assert right(app, "POST", "messages", body) == {"status": "sent"}
        assert right(app, "GET", "conversations?account_phone=222") == {
            "account": {"name": "Bar", "phone": "222"},
            "conversations": [],
        }


def test_an_account_without_a_token_cannot_send(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.meta(envelope(incoming("wamid.in")))
        wrong(call(app, "POST", "messages", {"contact_phone": CUSTOMER, "text": "Hi"}), 500, "access_token")
        app.post("/v1/accounts", {"phone_number_id": "2"})
        wrong(call(app, "GET", "templates?account_phone=2"), 500, "waba_id")


def test_a_rule_is_no_defect_and_a_defect_is_logged_and_counted(tmp_path: Path) -> None:
    for name in ("whole", "broken", "away"):
        (tmp_path / name).mkdir()
    with capture_logs() as logs, served(tmp_path / "whole") as app:
        wrong(call(app, "GET", "conversations"), 500, "No connected")
        assert "tellwire_request_failures_total 0" in app.call("GET", "/metrics").body.decode()
        assert not [each for each in logs if each["event"] == "request_failed"]
    with capture_logs() as logs, served(tmp_path / "broken", store_error=RuntimeError("a bug")) as broken:
        wrong(call(broken, "GET", "contacts"), 500, "on our side")
        assert [each["path"] for each in logs if each["event"] == "request_failed"] == [f"{BASE}/contacts"]
        assert broken.world.store.counters.request_failures == 1
    with served(tmp_path / "away", store_error=Unavailable("away")) as away:
        reply = call(away, "GET", "contacts")
        wrong(reply, 503, "database")
        assert reply.headers["retry-after"] == "1"
        assert away.world.store.counters.request_failures == 0


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        (f"{BASE}/messages", ["error"]),
        (TABLE, ["code", "details", "hint", "message"]),
        ("/api/v1/external/process", ["success", "code", "message"]),
    ],
)
def test_a_body_that_cannot_be_read_has_the_errors_of_its_path(app: Served, path: str, keys: list[str]) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\napi-key: {app.key()}\r\ntransfer-encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", app.port), timeout=20) as connection:
        connection.sendall(head.encode() + b"nonsense\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.getheader("content-type")) == (400, "application/json")
        assert list(json.loads(answer.read())) == keys


def test_too_many_wrong_keys_have_them_too(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        replies = [app.call("GET", f"{BASE}/accounts", key="tw_" + "a" * 43) for _ in range(70)]
        wrong(replies[0], 401, "API key")
        wrong(replies[-1], 429, "Too many wrong keys")
        assert replies[-1].headers["retry-after"]


# --- keys -------------------------------------------------------------------------------------------------------------

ALL = [(method, f"{BASE}/{segment}", found.scopes) for (method, segment), found in CALLS.items()]
ALL += [(method, TABLE, ("webhooks:manage",)) for method in ("GET", "POST", "DELETE")]


@pytest.mark.parametrize(("method", "path", "scopes"), ALL)
def test_every_call_takes_a_key_with_its_scope(app: Served, method: str, path: str, scopes: tuple[str, ...]) -> None:
    def code(**headers: str) -> int:
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        return app.send(method, path, b"{}" if method == "POST" else None, sent).status

    assert code() == 401
    assert code(authorization="Bearer tw_" + "a" * 43) == 401
    assert code(api_key="tw_" + "a" * 43) == 401
    assert code(api_key="") == 401
    assert code(apikey=app.key()) == 401
    for scope in (*scopes, "admin"):
        key = app.key(scope)
        assert code(authorization=f"Bearer {key}") not in {401, 403}
        assert code(api_key=key) not in {401, 403}
    assert code(api_key=app.key("deliveries:replay")) == 403


def test_which_header_counts(app: Served) -> None:
    right_one, wrong_one = app.key("read", "webhooks:manage"), "tw_" + "a" * 43
    both = {"authorization": f"Bearer {right_one}", "api-key": wrong_one}
    assert app.send("GET", f"{BASE}/accounts", None, both).status == 200
    both = {"authorization": f"Bearer {wrong_one}", "api-key": right_one, "apikey": "a public key"}
    assert app.send("GET", f"{BASE}/accounts", None, both).status == 401
    assert app.send("GET", TABLE, None, both).status == 200


@pytest.mark.parametrize("path", [BASE, f"{BASE}/messages", f"{BASE}/ping", TABLE])
def test_browsers_may_ask_first(app: Served, path: str) -> None:
    reply = app.call("OPTIONS", path, key=None)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-headers"] == CORS
    assert "DELETE" in reply.headers["access-control-allow-methods"]


def test_no_other_path_is_open_to_browsers(app: Served) -> None:
    for path in ("/v1/accounts", "/api/v1/external/process", "/livez"):
        assert not [name for name in app.call("GET", path).headers if name.startswith("access-control")]


# --- webhooks by table ------------------------------------------------------------------------------------------------

HOOKED = {"table_name": "messages", "operations": ["insert", "update"], "url": HOOK, "token": "an-invented-token"}
RETURN = {"prefer": "return=representation"}


@pytest.mark.parametrize("table", [True, False])
def test_a_webhook_is_an_endpoint_of_ours(tmp_path: Path, table: bool, each_store: None) -> None:
    with served(tmp_path) as app:
        path = TABLE if table else f"{BASE}/webhooks"
        made = app.call("POST", path, HOOKED | {"organization_id": DEFAULT_ORGANIZATION}, headers=RETURN)
        assert made.status == 201
        [row] = made.json if table else [made.json]
        assert row == {
            "id": row["id"],
            "organization_id": DEFAULT_ORGANIZATION,
            "table_name": "messages",
            "operations": ["insert", "update"],
            "url": HOOK,
            "has_token": True,
            "created_at": row["created_at"],
            "updated_at": row["created_at"],
        }
        endpoint = app.get(f"/v1/webhook-endpoints/{row['id']}")
        assert (endpoint["format"], endpoint["events"]) == ("row", ["messages.insert", "messages.update"])
        known = app.world.store.registry().endpoints[row["id"]]
        assert known.token == "an-invented-token"
        app.post("/v1/accounts", ACCOUNT)
        app.meta(envelope(incoming("wamid.in")))
        told = app.run(app.world.delivered(known))
        assert [(each["entity"], each["action"]) for each in told] == [("messages", "insert")]

        other = app.call("POST", path, {"table_name": "conversations", "operations": ["update"], "url": HOOK})
        assert other.status == 201
        assert (other.body == b"") == table
        app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})  # no webhook of one table

        def listed(query: str = "") -> list[Any]:
            found = app.get(path + query)
            return list(found if table else found["webhooks"])

        is_ = "eq." if table else ""
        assert [each["table_name"] for each in listed()] == ["conversations", "messages"]
        assert listed(f"?id={is_}{row['id']}") == listed(f"?table_name={is_}messages") == [row]
        assert len(listed("?limit=1")) == 1
        gone = app.call("DELETE", f"{path}?id={is_}{row['id']}")
        assert gone.status == (204 if table else 200)
        assert [each["table_name"] for each in listed()] == ["conversations"]
        app.call("GET", f"/v1/webhook-endpoints/{row['id']}").problem(404)


def test_filters_of_the_table(app: Served) -> None:
    app.call("POST", TABLE, HOOKED)
    assert len(app.get(f"{TABLE}?organization_id=eq.{DEFAULT_ORGANIZATION}&select=*&order=created_at&limit=5")) > 0
    assert app.get(f"{TABLE}?organization_id=eq.{MISSING}") == []
    assert app.get(f"{TABLE}?id=eq.nonsense") == []
    for query, words in (("id=5", "id=eq."), ("url=eq.a", "url"), ("limit=x", "limit")):
        reply = app.call("GET", f"{TABLE}?{query}")
        assert reply.status == 422
        assert list(reply.json) == ["code", "details", "hint", "message"]
        assert words in reply.json["message"]
    assert app.call("DELETE", TABLE).status == 422
    assert len(app.get(TABLE)) > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"table_name": "contacts"}, "table_name"),
        ({"table_name": None}, "table_name"),
        ({"operations": []}, "operations"),
        ({"operations": "insert"}, "operations"),
        ({"operations": ["delete"]}, "operations"),
        ({"operations": [["insert"]]}, "operations"),
        ({"url": ""}, "url is required"),
        ({"url": "http://hooks.example.com/in"}, "url"),
        ({"url": "https://example.com/" + "a" * 2048}, "url"),
        ({"token": "two words"}, "token"),
        ({"token": 5.5}, "token"),
        ({"organization_id": MISSING}, "organization"),
    ],
)
def test_wrong_webhooks(app: Served, change: dict[str, Any], words: str) -> None:
    code = 403 if "organization_id" in change else 400
    wrong(call(app, "POST", "webhooks", HOOKED | change), code, words)
    reply = app.call("POST", TABLE, HOOKED | change)
    assert reply.status == (403 if code == 403 else 422)
    assert words in reply.json["message"]


def test_webhooks_are_made_once_and_count_for_the_quota(tmp_path: Path) -> None:
    with served(tmp_path, settings=replace(SETTINGS, quota_webhook_endpoints=1)) as app:
        first, again = (app.call("POST", TABLE, HOOKED, headers={"idempotency-key": "k"} | RETURN) for _ in range(2))
        assert (first.status, again.status, first.body == again.body) == (201, 201, True)
        wrong(call(app, "POST", "webhooks", HOOKED), 500, "QUOTA_WEBHOOK_ENDPOINTS")


# --- organizations ----------------------------------------------------------------------------------------------------


def test_nothing_of_another_organization_is_shown_or_reached(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        one, two = tenants.found(app, "applewood", "70001"), tenants.found(app, "birchtree", "70002")
        for tenant in (one, two):
            made = app.call("POST", TABLE, HOOKED | {"url": f"https://{tenant.word}.example.com/in"}, key=tenant.admin)
            assert made.status == 201
        hook = app.get(TABLE, key=one.admin)[0]["id"]
        template = right(app, "GET", "templates", key=one.admin)["templates"][0]["id"]
        theirs = one.marks | {hook}
        asked = {
            "accounts": "",
            "conversations": f"?account_phone={one.number}",
            "conversation": f"?contact_phone={tenants.CUSTOMER}",
            "messages": f"?contact_phone={tenants.CUSTOMER}",
            "contacts": "?name=applewood",
            "templates": f"?template_id={template}",
            "health": "",
            "webhooks": f"?id={hook}",
        }
        assert asked.keys() == {segment for method, segment in CALLS if method == "GET"}
        for segment, query in asked.items():
            own = call(app, "GET", segment + query, key=one.admin)
            assert own.status == 200, own.body
            for path in (segment, segment + query):
                reply = call(app, "GET", path, key=two.admin)
                said = (
                    reply.body.decode().replace(f"Account phone {one.number}", "").replace(f"Template {template}", "")
                )
                assert not [mark for mark in theirs if mark in said], (path, said)
        body = {"contact_phone": tenants.CUSTOMER, "template": TEMPLATE, "account_phone": one.number}
        wrong(call(app, "POST", "messages", body, key=two.admin), 500, "not found")
        wrong(call(app, "DELETE", f"webhooks?id={hook}", key=two.admin), 500, "not found")
        assert app.call("DELETE", f"{TABLE}?id=eq.{hook}", key=two.admin).status == 204
        assert [each["id"] for each in app.get(TABLE, key=one.admin)] == [hook]
        assert call(app, "POST", "webhooks", HOOKED | {"organization_id": one.id}, key=two.admin).status == 403
        public = [right(app, "GET", segment, key=None) for segment in PUBLIC]
        assert not [mark for mark in one.marks if mark in json.dumps(public)]
