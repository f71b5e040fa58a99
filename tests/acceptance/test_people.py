"""Who is who, over HTTP alone: a `serve` process, Meta's webhook, a Graph API on loopback, and each store.

Source: docs/reference/formats.md, "Who".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import every, logged_url, request, running, until
from tests.postgres_server import drop_database, fresh_database
from tests.world import DISPLAY, NUMBER, WABA, contact, envelope, status, statuses, text_message, value

ADMIN = "an-invented-admin-key-of-32-characters-or-more"
SECRET = "an-invented-app-secret"
MONTHS = 90 * 86_400


class Graph:
    """Meta's Graph API: takes every message; `names`: the recipient's addresses that it answers, by number."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.names: dict[str, dict[str, str]] = {}
        graph = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                to = body.get("to") or body.get("recipient", "")
                graph.sent.append(body)
                named = graph.names.get(to.removeprefix("+"), {"wa_id": to.removeprefix("+")})
                answer = {"contacts": [{"input": to, **named}], "messages": [{"id": f"wamid.K{len(graph.sent)}"}]}
                data = json.dumps({"messaging_product": "whatsapp", **answer}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def recipients(self) -> list[str]:
        return [body.get("to") or body.get("recipient", "") for body in self.sent]


@contextmanager
def graph_api() -> Iterator[Graph]:
    graph = Graph()
    thread = threading.Thread(target=graph.server.serve_forever)
    thread.start()
    try:
        yield graph
    finally:
        graph.server.shutdown()
        thread.join()
        graph.server.server_close()


class Place:
    """A server with one account, and its Meta."""

    def __init__(self, url: str, graph: Graph) -> None:
        self.url, self.graph = url, graph
        account = {"phone_number_id": NUMBER, "waba_id": WABA, "display_phone_number": DISPLAY}
        self.made("accounts", account | {"access_token": "an-invented-token"})

    def made(self, path: str, body: Any, method: str = "POST") -> Any:
        code, answer = request(f"{self.url}/v1/{path}", key=ADMIN, method=method, body=body)
        assert 200 <= code < 300, answer
        return answer

    def meta(self, content: Any) -> None:
        body = json.dumps(envelope(content)).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        code, answer = request(
            f"{self.url}/meta/webhook", method="POST", body=body, headers={"X-Hub-Signature-256": f"sha256={signature}"}
        )
        assert code == 200, answer

    def wrote(self, wamid: str, sender: str | None, at: int, user_id: str = "", name: str = "Luz") -> None:
        ids = {"from_user_id": user_id} if user_id else {}
        message = text_message(wamid, f"of {name}", sender=sender, at=at, **ids)
        self.meta(value(contacts=[contact(sender, name, user_id or None)], messages=[message]))

    def changed(self, wamid: str, sender: str, new: str, at: int) -> None:
        system = {"body": "changed", "wa_id": new, "type": "user_changed_number"}
        told = {"from": sender, "id": wamid, "timestamp": str(at), "type": "system", "system": system}
        self.meta(value(messages=[told]))

    def rows(self, noun: str) -> list[dict[str, Any]]:
        return every(self.url, noun, key=ADMIN)

    def message(self, wamid: str) -> dict[str, Any]:
        (found,) = [row for row in self.rows("messages") if row.get("wa_id") == wamid]
        return found

    def sent(self, **draft: Any) -> dict[str, Any]:
        given = {"account": NUMBER, "type": "text", "text": {"body": "x"}} | draft
        made: dict[str, Any] = self.made("messages", given)
        return made

    def accepted(self, message_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            _, row = request(f"{self.url}/v1/messages/{message_id}", key=ADMIN)
            assert row["send_state"] != "failed", row
            return row if row["send_state"] == "accepted" else None

        return until(look, what="Meta's answer")


@pytest.fixture(params=["sqlite", "postgres"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    database = fresh_database() if request.param == "postgres" else f"sqlite:///{tmp_path}/people.db"
    try:
        with graph_api() as graph:
            given = {
                "MASTER_KEY": base64.b64encode(bytes(32)).decode(),
                "ADMIN_KEY": ADMIN,
                "META_APP_SECRET": SECRET,
                "META_GRAPH_URL": f"{graph.url}/v24.0",
            }
            with running("serve", cwd=tmp_path, DATABASE_URL=database, **given) as process:
                yield Place(process.wait_for(logged_url, stream="err"), graph)
    finally:
        if request.param == "postgres":
            drop_database(database)


def test_the_next_owner_of_a_number_gets_a_contact_and_answers_of_their_own(there: Place) -> None:
    now, left, new = int(time.time()), "573001228001", "573001228002"
    there.wrote("wamid.L1", left, now, "CO.1")
    there.changed("wamid.RC", left, new, now)
    there.wrote("wamid.P1", left, now + MONTHS, "CO.999", "Pedro")
    luz, pedro = there.message("wamid.L1"), there.message("wamid.P1")
    assert luz["conversation_id"] != pedro["conversation_id"]
    assert {row["name"]: row["phone"] for row in there.rows("contacts")} == {"Luz": new, "Pedro": left}
    for message, to in ((luz, f"+{new}"), (pedro, f"+{left}")):
        answer = there.sent(conversation_id=message["conversation_id"])
        there.accepted(answer["id"])
        assert there.graph.recipients()[-1] == to
    there.wrote("wamid.L0", left, now - 60, "", "Luz")
    assert there.message("wamid.L0")["conversation_id"] == luz["conversation_id"]
    _, page = request(f"{there.url}/v1/contacts?alias=%2B{left}", key=ADMIN)
    assert [row["name"] for row in page["data"]] == ["Pedro"]


def test_what_waits_goes_to_the_number_that_its_recipient_has_at_its_turn(there: Place) -> None:
    now, left, new = int(time.time()), "573001229001", "573001229002"
    there.wrote("wamid.L1", left, now)
    conversation = there.message("wamid.L1")["conversation_id"]
    later = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    scheduled = there.sent(conversation_id=conversation, scheduled_at=later)
    by_number = there.sent(to=f"+{left}", scheduled_at=later)
    there.changed("wamid.RC", left, new, int(time.time()))
    there.wrote("wamid.P1", left, now + MONTHS, "", "Pedro")
    for message in (scheduled, by_number):
        assert there.accepted(message["id"])["to"] == new
    there.meta(statuses(status("wamid.K1", "failed", now + 9, to=new, errors=[{"code": 131026, "title": "x"}])))
    again = there.made(f"messages/{scheduled['id']}/resend", None)
    assert there.accepted(again["id"])["conversation_id"] == conversation
    assert there.graph.recipients() == [f"+{new}"] * 3


@pytest.mark.parametrize("told", ["the answer", "a status"])
def test_metas_word_makes_one_contact_of_two_addresses(there: Place, told: str) -> None:
    now = int(time.time())
    if told == "the answer":
        there.graph.names["2290197000001"] = {"wa_id": "22997000001", "user_id": "BJ.7"}
    made = there.sent(to="+2290197000001")
    wamid = there.accepted(made["id"])["wa_id"]
    if told == "a status":
        more = {"to": "22997000001", "recipient_user_id": "BJ.7"}
        there.meta(statuses(status(wamid, "delivered", now, **more)))
    there.wrote("wamid.IN1", "22997000001", now + 1, "", "Ana")
    there.wrote("wamid.IN2", None, now + 2, "BJ.7", "Ana")
    conversations = {there.message(each)["conversation_id"] for each in (wamid, "wamid.IN1", "wamid.IN2")}
    assert len(conversations) == 1
    (found,) = there.rows("contacts")
    _, shown = request(f"{there.url}/v1/contacts/{found['id']}", key=ADMIN)
    assert shown["aliases"] == ["2290197000001", "22997000001", "BJ.7"]
    assert shown["former_aliases"] == []
