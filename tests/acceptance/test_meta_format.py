"""The format `meta` from end to end, with real processes: code that was written for Meta takes what comes."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import flask
import pytest
import pywa
from msgspec import Struct
from pywa import types
from pywa.handlers import MessageHandler
from tests.acceptance.processes import every, request, until
from tests.acceptance.test_main_job import ADMIN, CORPUS, distinct, nothing_waits, post, serving
from tests.postgres_server import drop_database, fresh_database
from tests.world import CUSTOMER, DISPLAY, NUMBER, contact, envelope, incoming, text_message, value
from werkzeug.serving import make_server

import tellwire_sdk
from tellwire import meta
from tellwire.meta.raw_json.replace import Values
from tellwire.meta.webhooks import units

SECRET = "a secret of ours for meta"
VERIFY = "mine & only mine"
ARRAYS = ("messages", "statuses", "message_echoes")


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of a fresh database of each kind."""
    if request.param == "sqlite":
        yield {}
        return
    url = fresh_database(migrated=False)
    yield {"DATABASE_URL": url, "MASTER_KEY": base64.b64encode(bytes(32)).decode()}
    drop_database(url)


class Came(Struct, frozen=True):
    """A delivery as it came."""

    headers: dict[str, str]
    body: bytes


class Bot:
    """Somebody's webhook server for Meta: it answers the handshake, and takes what is signed. `asked`: the queries."""

    def __init__(self, verify_token: str = VERIFY) -> None:
        self.verify_token = verify_token
        self.asked: list[dict[str, list[str]]] = []
        self.came: list[Came] = []
        self.wrong: list[str] = []

    def answer(self, target: str) -> tuple[int, bytes]:
        query = parse_qs(urlsplit(target).query)
        self.asked.append(query)
        if query.get("hub.mode") != ["subscribe"] or query.get("hub.verify_token") != [self.verify_token]:
            return 403, b"no"
        return 200, query["hub.challenge"][0].encode()

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Check both signatures, each by itself."""
        hub = {name: text for name, text in headers.items() if name == "x-hub-signature-256"}
        try:
            tellwire_sdk.verify(body, headers, SECRET, require_timestamp=True)
            tellwire_sdk.verify(body, hub, SECRET)
        except tellwire_sdk.WebhookError as error:
            self.wrong.append(str(error))
            return 401, b""
        self.came.append(Came(headers, body))
        return 200, b""

    def bodies(self) -> list[bytes]:
        return [each.body for each in list(self.came)]


@contextmanager
def listening(bot: Bot) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._say(*bot.answer(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = [(name.lower(), text) for name, text in self.headers.items()]
            assert len(headers) == len(dict(headers))
            self._say(*bot.take(dict(headers), body))

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook"
    finally:
        server.shutdown()
        server.server_close()


def subscribe(url: str, target: str, **options: Any) -> Any:
    draft = {"url": target, "format": "meta", "secret": SECRET, "verify_token": VERIFY, **options}
    status, answer = request(f"{url}/v1/webhook-endpoints", key=ADMIN, method="POST", body=draft)
    return answer if status == 201 else pytest.fail(f"{status}: {answer}")


def test_a_receiver_is_asked_as_meta_asks_and_gets_what_came_signed_and_in_order(tmp_path: Path) -> None:
    bot, stranger = Bot(), Bot("another token")
    with listening(bot) as target, listening(stranger) as other, serving(tmp_path) as (url, _):
        made = subscribe(url, f"{target}?tenant=7")
        assert made["verify_token"] == VERIFY
        [asked] = bot.asked
        assert (asked["hub.mode"], asked["hub.verify_token"], asked["tenant"]) == (["subscribe"], [VERIFY], ["7"])
        draft = {"url": other, "format": "meta", "verify_token": VERIFY}
        status, problem = request(f"{url}/v1/webhook-endpoints", key=ADMIN, method="POST", body=draft)
        assert (status, problem["errors"][0]["pointer"]) == (422, "/url")
        path = f"{url}/v1/webhook-endpoints/{made['id']}"
        assert request(path, key=ADMIN, method="PATCH", body={"url": other})[0] == 422
        assert request(path, key=ADMIN, method="PATCH", body={"url": target})[0] == 200
        assert len(bot.asked) == 2
        tested = request(f"{path}/test", key=ADMIN, method="POST", body={})[1]
        assert (tested["ok"], tested["event"]) == (True, "meta.messages")
        bot.came.clear()
        senders = ["5215588392001", "5215588392002"]
        for n in range(40):
            sender = senders[n % 2]
            assert post(url, envelope(incoming(f"w{n}", sender=sender, name=f"{n % 2}")))[0] == 200
        until(lambda: len(bot.came) == 40, what="every message")
        assert bot.wrong == []
    for sender in senders:
        mine = [each["id"] for each in told(bot.bodies()) if each["from"] == sender]
        assert mine == sorted(mine, key=lambda each: int(each[1:]))
        assert len(mine) == 20
    headers = bot.came[0].headers
    assert (headers["content-type"], headers["tellwire-event"]) == ("application/json", "meta.messages")
    assert headers["tellwire-message-id"]


def told(bodies: list[bytes]) -> list[dict[str, Any]]:
    """The messages in these bodies."""
    values = [json.loads(each)["entry"][0]["changes"][0]["value"] for each in bodies]
    return [message for each in values for message in each.get("messages", ())]


def test_a_rotating_secret_signs_as_the_endpoint_says(tmp_path: Path) -> None:
    bot = Bot()
    with listening(bot) as target, serving(tmp_path) as (url, _):
        made = subscribe(url, target, rotating_signature="old", hub_signature=True)
        path = f"{url}/v1/webhook-endpoints/{made['id']}/rotate-secret"
        assert request(path, key=ADMIN, method="POST", body={"secret": "another secret of ours"})[0] == 200
        assert post(url, envelope(incoming("wamid.1")))[0] == 200
        until(lambda: bot.came, what="a delivery signed with the old secret")
        assert bot.wrong == []


class Graph(Bot):
    """Meta's Graph API, which accepts every message."""

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        self.came.append(Came(headers, body))
        accepted = {"messaging_product": "whatsapp", "messages": [{"id": f"wamid.ours{len(self.came)}"}]}
        return 200, json.dumps(accepted).encode()


def test_what_is_sent_comes_as_an_echo(tmp_path: Path) -> None:
    bot, graph = Bot(), Graph()
    with (
        listening(bot) as target,
        listening(graph) as api,
        serving(tmp_path, META_GRAPH_URL=api.replace("/hook", "/v24.0")) as (url, _),
    ):
        account = {"phone_number_id": NUMBER, "display_phone_number": DISPLAY, "access_token": "an-invented-token"}
        assert request(f"{url}/v1/accounts", key=ADMIN, method="POST", body=account)[0] == 201
        subscribe(url, target, echoes=True)
        draft = {"account": NUMBER, "to": f"+{CUSTOMER}", "type": "text", "text": {"body": "Hola"}}
        assert request(f"{url}/v1/messages", key=ADMIN, method="POST", body=draft)[0] == 202
        until(lambda: bot.came, what="the echo")
        assert bot.wrong == []
    [change] = json.loads(bot.came[0].body)["entry"][0]["changes"]
    [echo] = change["value"]["message_echoes"]
    assert change["field"] == "smb_message_echoes"
    assert (echo["from"], echo["to"], echo["id"], echo["text"]) == (DISPLAY, CUSTOMER, "wamid.ours1", {"body": "Hola"})


def test_a_hundred_messages_of_one_post_reach_pywa_as_a_hundred(tmp_path: Path) -> None:
    application, received = flask.Flask("shop"), list[types.Message]()
    server = make_server("127.0.0.1", 0, application, threaded=True)
    client = pywa.WhatsApp(
        phone_id=NUMBER,
        token="an-invented-token",
        server=application,
        webhook_endpoint="/webhook",
        verify_token=VERIFY,
        app_secret=SECRET,
        filter_updates=False,
    )
    client.add_handlers(MessageHandler(lambda _, message: received.append(message)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        with serving(tmp_path) as (url, _):
            subscribe(url, f"http://127.0.0.1:{server.server_port}/webhook")
            cards = [contact(f"52155883920{n:02}", f"Person {n}", f"MX.{n}00000000000") for n in range(10)]
            senders = [{"sender": card["wa_id"], "from_user_id": card["user_id"]} for card in cards]
            messages = [text_message(f"wamid.{n}", f"{n}", **senders[n % 10]) for n in range(100)]
            assert post(url, envelope(value(contacts=cards, messages=messages)))[0] == 200
            until(lambda: len(received) >= 100, what="a hundred messages")
            deliveries = every(url, "deliveries", key=ADMIN)
            until(lambda: {each["state"] for each in every(url, "deliveries", key=ADMIN)} == {"delivered"}, what="all")
            assert {each["attempt_count"] for each in every(url, "deliveries", key=ADMIN)} == {1}
    finally:
        server.shutdown()
        server.server_close()
    assert len(deliveries) == 100
    assert sorted(message.text or "" for message in received) == sorted(f"{n}" for n in range(100))
    assert {(message.from_user.wa_id, message.from_user.name) for message in received} == {
        (card["wa_id"], card["profile"]["name"]) for card in cards
    }


def parts(body: bytes) -> Counter[tuple[bytes, ...]]:
    """What a POST holds, each with what stands beside it: messages, statuses and echoes, and every other value."""
    values, cut, found = Values(body), units.cut(body), Counter[tuple[bytes, ...]]()
    for item in meta.parse(body):
        change, unit = units.change_of(item.place.pointer), units.unit_of(cut, item.place.pointer)
        assert unit is not None, item
        entry = change.partition("/changes")[0]
        beside = [values.at(f"{entry}/{name}") or b"" for name in ("id", "time")]
        if unit.pointer != change:
            held = values.pieces(f"{change}/value").items()
            beside += [bytes(piece) for name, piece in held if name not in (*ARRAYS, "contacts")]
        found[(values.at(unit.pointer) or b"", *beside)] = 1
    return found


def make_accounts(url: str, bodies: list[bytes]) -> None:
    """Have an account of every business account and every number that these POSTs name."""
    wabas = {str(entry["id"]) for body in bodies for entry in json.loads(body)["entry"]}
    drafts = [{"phone_number_id": f"9000000000{n:04}", "waba_id": waba} for n, waba in enumerate(sorted(wabas))]
    numbers = {each.place.phone_number_id for body in bodies for each in meta.parse(body)} - {""}
    for draft in [*drafts, *({"phone_number_id": number} for number in sorted(numbers))]:
        assert request(f"{url}/v1/accounts", key=ADMIN, method="POST", body=draft)[0] == 201


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no collection of real payloads beside the checkout")
def test_every_real_payload_comes_exactly_once_with_its_bytes(tmp_path: Path, store: dict[str, str]) -> None:
    bodies = [distinct(path.read_bytes(), n) for n, path in enumerate(sorted(CORPUS.rglob("*.json")))]
    item, whole = Bot(), Bot()
    with listening(item) as one, listening(whole) as other, serving(tmp_path, **store) as (url, _):
        subscribe(url, one, history=True)
        subscribe(url, other, history=True, batching="as_received")
        make_accounts(url, bodies)
        for _ in range(2):
            assert {post(url, body)[0] for body in bodies} == {200}
        until(lambda: nothing_waits(url), what="what came before its account was made")
        until(
            lambda: {each["state"] for each in every(url, "deliveries", key=ADMIN)} == {"delivered"},
            what="every delivery",
        )
    assert item.wrong == whole.wrong == []
    sent = {part for body in bodies for part in parts(body)}
    assert sum(map(parts, item.bodies()), Counter[tuple[bytes, ...]]()) == Counter(dict.fromkeys(sent, 1))
    assert Counter(whole.bodies()) == Counter(set(bodies))
