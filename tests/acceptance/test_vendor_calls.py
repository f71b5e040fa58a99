"""One message of each kind through each vendor's interface of a real server to a simulated Meta, and webhooks back."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.acceptance.processes import logged_url, request, running, until

from tellwire.simulator import BUSINESS, TOKEN, Knobs, Simulator, State
from tellwire.web.wakit.routes import BASE, TABLE
from tellwire.web.wappcloud.routes import FORM_FIELDS, MEDIA_TYPES, PATH

KEY = "an-invented-admin-key-for-both-vendors"
SECRET = "an-invented-app-secret"
HOOK_TOKEN = "an-invented-token"
CUSTOMER = "5215500000001"
FILES = {"image": "a.png", "video": "a.mp4", "document": "a.pdf", "audio": "a.mp3"}


@contextmanager
def receiving() -> Iterator[tuple[str, list[Any]]]:
    """A receiver written for wakit: it looks at the token alone, and keeps what comes with it."""
    caught: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            right = self.headers["authorization"] == f"Bearer {HOOK_TOKEN}"
            if right:
                caught.append(json.loads(body))
            self.send_response(200 if right else 401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/in", caught
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_meta(tmp_path: Path, visit: Callable[[str, Simulator, str, list[Any]], None]) -> None:
    """Visit a server whose one account a simulated Meta knows, and to which a customer has written."""
    knobs = Knobs(delivered_after=0, read_after=0)

    async def world() -> None:
        simulator = Simulator(State(seed=1, knobs=knobs))
        await simulator.start()
        settings = {
            "ADMIN_KEY": KEY,
            "META_APP_SECRET": SECRET,
            "META_GRAPH_URL": f"{simulator.url}/v24.0",
            "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
            "DATABASE_URL": f"sqlite:///{tmp_path / 'vendors.db'}",
        }

        def inside() -> None:
            with receiving() as (hook, caught), running("serve", cwd=tmp_path, **settings) as process:
                url = process.wait_for(logged_url, stream="err")
                account = {
                    "phone_number_id": BUSINESS.phone_number_id,
                    "waba_id": BUSINESS.waba_id,
                    "display_phone_number": BUSINESS.display_phone_number,
                    "access_token": TOKEN,
                }
                assert request(f"{url}/v1/accounts", key=KEY, method="POST", body=account)[0] == 201
                whose = {"account": BUSINESS.phone_number_id}
                assert request(f"{url}/v1/templates/sync", key=KEY, method="POST", body=whose)[0] == 200
                simulator.set_callback(f"{url}/meta/webhook", SECRET)
                said = {"wa_id": CUSTOMER, "name": "Ana", "type": "text", "text": "Hello"}
                assert request(f"{simulator.url}/_simulator/customer", method="POST", body=said)[0] == 200
                until(lambda: request(f"{url}/v1/messages", key=KEY)[1]["data"], what="what the customer wrote")
                visit(url, simulator, hook, caught)

        try:
            await asyncio.to_thread(inside)
        finally:
            await simulator.stop()

    asyncio.run(world())


def sent(simulator: Simulator) -> list[dict[str, Any]]:
    return [dict(each.body) for each in simulator.state.journal.accepted]


def test_wakit(tmp_path: Path) -> None:
    def visit(url: str, simulator: Simulator, hook: str, caught: list[Any]) -> None:
        def call(method: str, path: str, body: Any = None) -> Any:
            status, answer = request(f"{url}{path}", method=method, body=body, headers={"api-key": KEY})
            assert status in {200, 201}, answer
            return answer

        registered = {"table_name": "messages", "operations": ["insert", "update"], "url": hook, "token": HOOK_TOKEN}
        call("POST", TABLE, registered)
        template = {"name": "hello_world", "language": {"code": "en_US"}}
        document = {"link": "https://files.example.com/bill.pdf", "filename": "bill.pdf", "caption": "Your bill"}
        for content in ({"text": "Hi"}, {"template": template}, {"document": document}):
            assert call("POST", f"{BASE}/messages", {"contact_phone": f"+{CUSTOMER}", **content}) == {"status": "sent"}
        until(lambda: len(sent(simulator)) == 3, what="three messages at Meta")
        text, with_template, with_document = sent(simulator)
        assert text["text"] == {"body": "Hi"}
        assert with_template["template"] == template
        assert with_document["document"] == document

        def read() -> Any:
            found = call("GET", f"{BASE}/conversation?contact_phone={CUSTOMER}")
            return found if [each["status"] for each in found["messages"][1:]] == ["read"] * 3 else None

        found = until(read, what="three messages that were read")
        assert found["contact"] == {"name": "Ana", "phone": CUSTOMER}
        assert found["service_window"] == "open"
        health = call("GET", f"{BASE}/health")["accounts"][0]
        assert (health["status"], health["quality"]) == ("active", "GREEN")
        assert call("GET", f"{BASE}/templates")["templates"][0]["name"] == "hello_world"
        until(lambda: len({each["data"]["id"] for each in caught}) == 3, what="webhooks of three messages")
        assert {(each["entity"], each["action"]) for each in caught} == {
            ("messages", "insert"),
            ("messages", "update"),
        }

    with_meta(tmp_path, visit)


def test_wappcloud(tmp_path: Path) -> None:
    def visit(url: str, simulator: Simulator, *_: object) -> None:
        def call(body: Any, **headers: str) -> None:
            status, answer = request(f"{url}{PATH}", method="POST", body=body, headers={"x-api-key": KEY} | headers)
            assert (status, answer["success"], answer["code"]) == (200, True, 200), answer

        to = f"+{CUSTOMER}"
        call({"contact_number": to, "messageType": "text", "message": {"messageBody": "Hi"}})
        for _again in range(2):  # sent once
            call({"contact_number": to, "message_uid": "one", "message": {"template_name": "hello_world"}})
        for kind in MEDIA_TYPES:
            fields = {"contact_number": to, "messageType": "file", "mediaType": kind, "message_uid": kind}
            assert fields.keys() <= {*FORM_FIELDS}
            parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{text}' for key, text in fields.items()]
            parts.append(
                f'Content-Disposition: form-data; name="chatMedia"; filename="{FILES[kind]}"\r\n\r\nbytes of {kind}'
            )
            form = "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n"
            call(form.encode(), **{"Content-Type": "multipart/form-data; boundary=b"})
        until(lambda: len(sent(simulator)) == 2 + len(MEDIA_TYPES), what="every message at Meta")
        text, template, *files = sent(simulator)
        assert text["text"] == {"body": "Hi"}
        assert template["template"] == {"name": "hello_world", "language": {"code": "en_US"}}
        assert [each["type"] for each in files] == [*MEDIA_TYPES]
        for each in files:
            there = simulator.state.media_files.find(
                each[each["type"]]["id"], simulator.state.clock.now(), BUSINESS.phone_number_id
            )
            assert there is not None
            assert there.size == len(f"bytes of {each['type']}")

    with_meta(tmp_path, visit)
