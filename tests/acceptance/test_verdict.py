"""The verdict over real HTTP: what does not work is in `/v1/verdict`, in `/readyz`, in the log and in the metrics, with
cause and remedy, for who may see it, and is gone when it is mended."""

from __future__ import annotations

import json
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from tests.acceptance.processes import Running, request, until
from tests.acceptance.test_cli import serving
from tests.acceptance.test_main_job import ADMIN
from tests.served import ADMIN as ADMIN_HERE
from tests.served import HOOK, SETTINGS, Served, served
from tests.world import CUSTOMER, DAY, HOUR, NUMBER, WABA, envelope, incoming, value

import tellwire_sdk
from tellwire.model.units import MINUTE
from tellwire.settings import AppSecret
from tellwire.stores.disks import FileSystems
from tellwire.verdict.figures import Disk
from tellwire.verdict.rules import KINDS

GOOD, WRONG = "the right secret", "another secret"
GIB = 1024**3


class World(BaseHTTPRequestHandler):
    """A receiver of deliveries at /in, and Meta's Graph API elsewhere: what both answer is set by the test."""

    protocol_version = "HTTP/1.1"
    receiver = 200
    graph: tuple[int, Any] = 200, {}
    ahead = 0.0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"] or 0))
        here = type(self)
        status, document = (here.receiver, {}) if self.path == "/in" else here.graph
        body = json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Date", formatdate(time.time() + here.ahead, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def outside() -> Iterator[tuple[str, type[World]]]:
    """A world of one test: its URL, and what it answers."""
    mine = type("Mine", (World,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), mine)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", mine
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Asked:
    """A running `serve`, asked for its verdict."""

    def __init__(self, url: str, process: Running) -> None:
        self.url, self.process = url, process

    def call(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = request(f"{self.url}{path}", key=ADMIN, method=method, body=body)
        assert status < 300, answer
        return answer

    def meta(self, body: Any, secret: str = GOOD) -> int:
        raw = json.dumps(body).encode()
        signed = {"X-Hub-Signature-256": tellwire_sdk.hub_signature(raw, secret)}
        return request(f"{self.url}/meta/webhook", method="POST", body=raw, headers=signed)[0]

    def kinds(self) -> set[str]:
        status, answer = request(f"{self.url}/readyz")
        assert status == 200, answer
        assert NUMBER not in json.dumps(answer)
        for each in answer.get("trouble", ()):
            assert each == {"kind": each["kind"], "cause": KINDS[each["kind"]].title, "remedy": each["remedy"]}
            assert each["remedy"]
        return {each["kind"] for each in answer.get("trouble", ())}

    def verdict(self) -> Any:
        return self.call("GET", "/v1/verdict")

    def stranger(self) -> str:
        return unescape(str(request(f"{self.url}/login")[1]))

    def shows(self, kind: str, *words: str) -> None:
        """Wait for a line, and look at everything that shows it."""
        until(lambda: kind in self.kinds(), what=kind)
        verdict = self.verdict()
        assert not verdict["works"]
        [line] = [each for each in verdict["lines"] if each["kind"] == kind]
        assert line["title"] == KINDS[kind].title
        assert line["hurts"].endswith(".")
        for word in words:
            assert word in json.dumps(line)
        stranger = self.stranger()
        assert "✓" not in stranger
        assert "✗ Not everything works." in stranger
        for word in words:
            assert word not in stranger
        assert self.metric(kind) == 1

    def is_over(self, kind: str) -> None:
        """Wait until the line is gone, everywhere."""
        until(lambda: kind not in self.kinds(), what=f"the end of {kind}")
        assert kind not in [each["kind"] for each in self.verdict()["lines"]]
        assert self.metric(kind) == 0

    def logs(self, event: str, kind: str) -> None:
        """Wait for a line of the log."""
        self.process.wait_for(
            lambda lines: any(f'"{event}"' in line and f'"{kind}"' in line for line in lines), stream="err"
        )

    def metric(self, kind: str) -> float:
        families = text_string_to_metric_families(str(request(f"{self.url}/metrics", key=ADMIN)[1]))
        return next(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "tellwire_trouble" and sample.labels["kind"] == kind
        )


def message(number: str = NUMBER, at: float | None = None) -> dict[str, Any]:
    wamid = f"wamid.{time.monotonic_ns()}"
    item = {
        "from": CUSTOMER,
        "id": wamid,
        "timestamp": str(int(at or time.time())),
        "type": "text",
        "text": {"body": "Hi"},
    }
    return envelope(value(number=number, messages=[item]))


def account(asked: Asked, number: str) -> str:
    draft = {"phone_number_id": number, "waba_id": WABA, "access_token": "a-token"}
    return str(asked.call("POST", "/v1/accounts", draft)["id"])


def test_each_line_comes_and_goes_while_it_serves(tmp_path: Path) -> None:
    with outside() as (there, world):
        settings = {
            "ADMIN_KEY": ADMIN,
            "META_APP_SECRET": GOOD,
            "META_VERIFY_TOKEN": "right",
            "META_GRAPH_URL": there,
            "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
            "RETRY_SCHEDULE": ",".join(["1"] * 60),
            "AUTO_ACCOUNTS": "false",
        }
        with serving(tmp_path, **settings) as (url, process):
            asked = Asked(url, process)
            assert asked.kinds() == set()
            assert "✓ Working." in asked.stranger()
            until(lambda: asked.verdict()["works"], what="a verdict without a line")
            _unknown_number(asked)
            mine = next(each["id"] for each in asked.call("GET", "/v1/accounts")["data"])
            _secret(asked)
            _handshake(asked)
            _clock(asked, world, mine)
            _paused(asked, world, mine)
            _endpoint(asked, world, there)
            _traffic(asked)
            _store(asked)
            assert asked.kinds() == set()
            assert asked.verdict()["works"]
            log = "\n".join(process.err)
            assert CUSTOMER not in log


def _unknown_number(asked: Asked) -> None:
    assert asked.meta(message()) == 200
    asked.shows("number_unknown", NUMBER)
    account(asked, NUMBER)
    asked.is_over("number_unknown")


def _secret(asked: Asked) -> None:
    assert asked.meta(message(), WRONG) == 401
    asked.shows("app_secret_wrong", NUMBER)
    assert asked.meta(message()) == 200
    asked.is_over("app_secret_wrong")


def _handshake(asked: Asked) -> None:
    path = f"{asked.url}/meta/webhook?hub.mode=subscribe&hub.challenge=1&hub.verify_token="
    assert request(path + "wrong")[0] == 403
    asked.shows("verify_token_wrong")
    assert request(path + "right")[0] == 200
    asked.is_over("verify_token_wrong")


def _clock(asked: Asked, world: type[World], mine: str) -> None:
    world.ahead, world.graph = 3000, (200, _taken("1"))
    _send(asked, mine)
    asked.shows("clock_off", "minutes behind the clock of Meta")
    world.ahead, world.graph = 0, (200, _taken("2"))
    _send(asked, mine)
    asked.is_over("clock_off")
    assert asked.meta(message(at=time.time() + 7200)) == 200
    asked.shows("clock_off", "behind the times in Meta")
    assert asked.meta(message()) == 200
    asked.is_over("clock_off")


def _paused(asked: Asked, world: type[World], mine: str) -> None:
    error = {"message": "Error validating access token", "type": "OAuthException", "code": 190}
    world.graph = 401, {"error": error}
    _send(asked, mine)
    asked.shows("account_paused", NUMBER)
    world.graph = 200, _taken("3")
    asked.call("PATCH", f"/v1/accounts/{mine}", {"access_token": "a-new-token"})
    asked.is_over("account_paused")
    until(lambda: asked.kinds() == set(), what="the end of the token's line")


def _endpoint(asked: Asked, world: type[World], there: str) -> None:
    world.receiver = 500
    made = asked.call("POST", "/v1/webhook-endpoints", {"url": f"{there}/in", "format": "row"})["id"]
    for _ in range(3):
        assert asked.meta(message()) == 200
    asked.shows("endpoint_failing", made)
    asked.logs("trouble", "endpoint_failing")
    world.receiver = 200
    asked.is_over("endpoint_failing")
    asked.logs("trouble_over", "endpoint_failing")
    world.receiver = 410
    assert asked.meta(message()) == 200
    asked.shows("endpoint_disabled", made)
    world.receiver = 200
    asked.call("POST", f"/v1/webhook-endpoints/{made}/resume")
    asked.is_over("endpoint_disabled")
    until(lambda: asked.kinds() == set(), what="an endpoint that takes deliveries")


def _traffic(asked: Asked) -> None:
    """What went through until now was counted, of each kind."""

    def totals() -> dict[str, int]:
        buckets = asked.call("GET", "/v1/traffic?span=day")["buckets"]
        return {name: sum(each[name] for each in buckets) for name in ("received", "delivered", "failing", "sent")}

    until(lambda: totals()["sent"] == 3 and all(totals().values()), what="traffic of each kind")


def _store(asked: Asked) -> None:
    pid = asked.process.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024, limits[1]))
    assert asked.meta(message()) == 503
    assert request(f"{asked.url}/readyz")[0] == 503
    assert KINDS["store_failing"].title in [each["title"] for each in asked.verdict()["lines"]]
    assert "✗ Not working: the database does not take commits." in asked.stranger()
    assert asked.metric("store_failing") == 1
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    until(lambda: request(f"{asked.url}/readyz")[0] == 200, what="a store that takes commits")
    asked.is_over("store_failing")


def _taken(number: str) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "contacts": [{"input": CUSTOMER, "wa_id": CUSTOMER}],
        "messages": [{"id": f"wamid.out{number}"}],
    }


def _send(asked: Asked, mine: str) -> None:
    draft = {"account": mine, "to": f"+{CUSTOMER}", "type": "text", "text": {"body": "Hello"}}
    asked.call("POST", "/v1/messages", draft)


def test_what_was_counted_is_written_before_the_process_ends(tmp_path: Path) -> None:
    with serving(tmp_path, ADMIN_KEY=ADMIN, META_APP_SECRET=GOOD) as (url, process):
        asked = Asked(url, process)
        for _ in range(3):
            assert asked.meta(message()) == 200
        assert process.stop(signal.SIGTERM) == 0
    with serving(tmp_path, ADMIN_KEY=ADMIN, META_APP_SECRET=GOOD) as (url, process):
        buckets = Asked(url, process).call("GET", "/v1/traffic?span=month")["buckets"]
        assert sum(each["received"] for each in buckets) == 3


def test_without_any_secret_metas_posts_are_a_line(tmp_path: Path) -> None:
    with serving(tmp_path, ADMIN_KEY=ADMIN, META_APP_SECRET="") as (url, process):
        asked = Asked(url, process)
        assert request(f"{url}/meta/webhook", method="POST", body=b"{}")[0] == 503
        assert asked.kinds() == set()
        assert asked.meta(message()) == 503
        asked.shows("app_secret_missing")
        draft = {"phone_number_id": NUMBER, "app_secret": GOOD}
        asked.call("POST", "/v1/accounts", draft)
        assert asked.meta(message()) == 200
        asked.is_over("app_secret_missing")


# --- with a clock that is set, on both stores -------------------------------------------------------------------------


@pytest.fixture
def app(tmp_path: Path, each_store: None) -> Iterator[Served]:
    with served(tmp_path, settings=SETTINGS) as running:
        yield running


def kinds(app: Served, key: str | None = ADMIN_HERE) -> set[str]:
    found = {each["kind"] for each in app.get("/v1/verdict", key=key)["lines"]}
    if key == ADMIN_HERE:
        ready = app.get("/readyz", key=None)
        assert {each["kind"] for each in ready.get("trouble", ())} == found
    return found


def test_a_number_that_falls_silent_and_is_heard_again(app: Served) -> None:
    watch = app.watch
    for number in range(8 * 24):
        assert app.meta(envelope(incoming(f"wamid.{number}"))).status == 200
        if number % 6 == 0:
            app.run(watch.round())
        app.clock.move(HOUR)
    app.run(watch.round())
    [row] = app.query("SELECT messages, longest_gap FROM account_traffic")
    assert row == (8 * 24, HOUR)
    assert kinds(app) == set()
    app.clock.move(11 * HOUR)
    assert kinds(app) == set()
    app.clock.move(2 * HOUR)
    mine, theirs = app.key("read"), app.key("read", organization=app.organization())
    assert kinds(app) == {"number_silent"}
    assert kinds(app, mine) == {"number_silent"}
    assert kinds(app, theirs) == set()
    assert NUMBER in app.call("GET", "/v1/verdict", key=mine).body.decode()
    assert NUMBER not in app.call("GET", "/v1/verdict", key=theirs).body.decode()
    assert app.meta(envelope(incoming("wamid.again"))).status == 200
    assert kinds(app) == set()
    app.run(watch.round())
    app.clock.move(DAY)
    assert kinds(app) == set()  # it has been silent for 14 hours before, so a day is nothing
    made = app.get("/v1/accounts")["data"][0]["id"]
    assert app.call("DELETE", f"/v1/accounts/{made}").status == 204
    assert app.query("SELECT * FROM account_traffic") == []


def test_disks_are_the_operators_business(app: Served) -> None:
    app.outside.disks = [Disk("the database", "/srv/tellwire", 100 * GIB, GIB // 2)]
    app.clock.move(10_000_000)
    assert kinds(app) == {"disk_nearly_full"}
    assert "0.5 of 100.0 GiB are free" in app.call("GET", "/v1/verdict").body.decode()
    assert "/srv/tellwire" not in app.call("GET", "/readyz").body.decode()
    assert app.get("/v1/verdict", key=app.key("read"))["works"]
    app.outside.disks = [Disk("the database", "/srv/tellwire", 100 * GIB, 50 * GIB)]
    app.clock.move(10_000_000)
    assert kinds(app) == set()


def test_a_file_system_is_asked_once_also_for_folders_that_are_not_there_yet(app: Served, tmp_path: Path) -> None:
    found = app.run(FileSystems([("the database", tmp_path), ("media", tmp_path / "not" / "yet")]).usage())
    [disk] = found
    assert (disk.holds, disk.place) == ("the database and media", str(tmp_path))
    assert 0 < disk.free <= disk.total


def test_an_unknown_number_is_lately_for_a_day_and_then_only_listed(tmp_path: Path, each_store: None) -> None:
    settings = replace(SETTINGS, auto_accounts=False, meta_app_secret=(AppSecret(GOOD, WABA), AppSecret(WRONG, "9")))
    with served(tmp_path, settings=settings) as app:
        assert app.meta(message(), GOOD).status == 200
        app.clock.move(10_000_000)
        assert kinds(app) == {"number_unknown"}
        app.clock.move(DAY)
        assert kinds(app) == set()
        app.post("/v1/accounts", {"phone_number_id": NUMBER, "waba_id": WABA})
        app.clock.move(MINUTE)
        assert app.meta(message(), WRONG).status == 200
        app.clock.move(MINUTE)
        assert kinds(app) == {"secret_of_another"}
        assert kinds(app, app.key("read")) == set()


def test_the_log_tells_a_line_once_an_hour(app: Served) -> None:
    news: list[Any] = []
    watch = app.watch
    watch.listeners.append(news.append)
    app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
    app.outside.disks = [Disk("media", "/m", GIB, 0)]
    for _ in range(50):
        app.clock.move(MINUTE)
        app.run(watch.round())
    assert [[line.kind for line in each.came] for each in news] == [["disk_nearly_full"]]
    app.outside.disks = []
    app.clock.move(MINUTE)
    app.run(watch.round())
    assert [[line.kind for line in each.over] for each in news] == [[], ["disk_nearly_full"]]
