"""`tellwire listen`: what waits on a server reaches code on this machine, once and in order."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread
from typing import Any

import pytest
from tests.acceptance.processes import SECONDS, Running, running
from tests.cutting_proxy import cutting_proxy
from tests.served import ADMIN, HOOK, Served, served
from tests.world import START, envelope, incoming

import tellwire_sdk
from tellwire import cli
from tellwire.cli import DONE, FAILED, MISUSED, NOT_FOUND
from tellwire.cli.forwarding import Forwarder

PATH = "/v1/webhook-endpoints"
LISTEN_SECONDS = float(os.environ.get("PROOFS_LISTEN_SECONDS", "3"))
"""How long the proxy cuts; from a minute on every 2 s, else more often, so that a short run is cut often too."""
CUT_EVERY = 2.0 if LISTEN_SECONDS >= 60 else 0.3
A_SECOND = 50


class Receiver:
    """Code on this machine that gets events."""

    def __init__(self, port: int = 0) -> None:
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: Callable[[dict[str, str]], int] = lambda _: 200
        self._news = Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with outer._news:
                    outer.came.append((self.path, headers, body))
                    outer._news.notify_all()
                self.send_response(outer.answers(headers))
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/webhook"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def ids(self) -> list[str]:
        """The `webhook-id` of all that came, in order."""
        return [headers["webhook-id"] for _, headers, _ in self.came]

    def wait_for(self, count: int, seconds: float = SECONDS) -> None:
        with self._news:
            there = self._news.wait_for(lambda: len(self.came) >= count, seconds)
        assert there, f"{len(self.came)} of {count} came"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver(port)
    try:
        yield receiver
    finally:
        receiver.stop()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("listen")) as started:
        yield started


@pytest.fixture
def receiver(app: Served) -> Iterator[Receiver]:
    """A receiver of its own; the listeners of the test are gone after it."""
    with receiving() as started:
        yield started
    for row in app.get(f"{PATH}?limit=200")["data"]:
        app.call("DELETE", f"{PATH}/{row['id']}")


def where(app: Served, port: int = 0) -> list[str]:
    return ["--url", f"http://127.0.0.1:{port or app.port}", "--key", ADMIN]


def listen(app: Served, receiver: Receiver | str, *more: str) -> int:
    """Send on what waits now."""
    url = receiver if isinstance(receiver, str) else receiver.url
    return cli.main(["listen", "--forward-to", url, "--once", *where(app), *more])


def say(app: Served, count: int = 1) -> None:
    for _ in range(count):
        assert app.meta(envelope(incoming(f"wamid.{time.monotonic_ns()}"))).status == 200


def waiting(app: Served, **filters: str) -> list[Any]:
    query = "&".join(f"{name}={value}" for name, value in {"limit": "200", **filters}.items())
    rows: list[Any] = app.get(f"/v1/deliveries?{query}")["data"]
    return rows[::-1]


def listener_of(app: Served) -> Any:
    (row,) = [each for each in app.get(f"{PATH}?limit=200")["data"] if each["state"] == "pulled"]
    return row


# --- over a bad connection --------------------------------------------------------------------------------------------


def test_every_event_comes_once_and_in_order_over_a_connection_that_is_cut_all_the_time(
    app: Served, receiver: Receiver, tmp_path: Path
) -> None:
    command = ("listen", "--forward-to", receiver.url, "--event", "messages.insert", "--json")
    with cutting_proxy(app.port, CUT_EVERY) as proxy, running(*command, *where(app, proxy.port), cwd=tmp_path) as it:
        it.wait_for(lambda lines: next((x for x in lines if "Events of" in x), None), stream="err")
        began, count = time.monotonic(), 0
        while (past := time.monotonic() - began) < LISTEN_SECONDS:
            if count < past * A_SECOND:
                say(app)
                count += 1
            else:
                time.sleep(1 / A_SECOND / 4)
        receiver.wait_for(count)
        shown = it.wait_for(lambda lines: [json.loads(x) for x in lines] if len(lines) >= count else None)
        assert it.stop() == DONE
        cuts = proxy.cuts
    known = _all(app, listener_of(app)["id"])
    assert receiver.ids == [row["webhook_id"] for row in known], "every event once, in order"
    assert [row["webhook_id"] for row in shown] == receiver.ids
    assert len(known) == count
    assert {row["state"] for row in known} == {"delivered"}
    assert {row["attempt_count"] for row in known} == {1}
    assert cuts >= LISTEN_SECONDS / CUT_EVERY / 2
    print(f"{count} events in {LISTEN_SECONDS:.0f} s, {cuts} connections cut: {len(receiver.ids)} came, each once")  # noqa: T201


def _all(app: Served, endpoint_id: str) -> list[Any]:
    rows: list[Any] = []
    cursor = ""
    while True:
        page = app.get(f"/v1/deliveries?limit=200&endpoint_id={endpoint_id}&cursor={cursor}")
        rows += page["data"]
        if not (cursor := page["next_cursor"]):
            return rows[::-1]


def _said(it: Running, words: str) -> None:
    it.wait_for(lambda lines: next((x for x in lines if words in x), None), stream="err")


def test_nothing_is_lost_while_nobody_listens_on_the_port(app: Served, receiver: Receiver, tmp_path: Path) -> None:
    receiver.stop()
    command = ("listen", "--forward-to", receiver.url, "--event", "messages.insert")
    with running(*command, *where(app), cwd=tmp_path) as it:
        _said(it, "Events of")
        say(app, 3)
        _said(it, "connection refused; events wait here")
        with receiving(receiver.port) as back:
            back.wait_for(3)
            it.wait_for(lambda lines: lines if len(lines) >= 3 else None)  # what it was answered is known
            ids = back.ids
        assert it.stop() == DONE
    known = waiting(app, endpoint_id=listener_of(app)["id"])
    assert ids == [row["webhook_id"] for row in known]
    assert {(row["state"], row["attempt_count"]) for row in known} == {("delivered", 1)}


# --- what waits, and what is sent again -------------------------------------------------------------------------------


def test_what_comes_while_it_does_not_run_comes_first_unless_it_is_skipped(app: Served, receiver: Receiver) -> None:
    assert listen(app, receiver, "--event", "messages.insert") == DONE
    say(app, 2)
    assert listen(app, receiver, "--event", "messages.insert") == DONE
    assert len(receiver.came) == 2
    say(app, 2)
    assert listen(app, receiver, "--event", "messages.insert", "--from", "now") == DONE
    assert len(receiver.came) == 2
    assert [row["state"] for row in waiting(app, endpoint_id=listener_of(app)["id"])] == ["delivered"] * 2 + [
        "cancelled"
    ] * 2


def test_the_signature_body_and_headers_are_those_of_a_delivery(
    app: Served, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listen(app, receiver, "--print-secret", "--header", "X-Mine: yes", "--header", "user-agent: me") == DONE
    secret = next(word for word in capsys.readouterr().err.split() if word.startswith("whsec_"))
    say(app)
    assert listen(app, receiver, "--header", "X-Mine: yes", "--header", "user-agent: me") == DONE
    for path, headers, body in receiver.came:
        tellwire_sdk.verify(body, headers, secret, now=START / 1_000_000)
        assert (path, headers["x-mine"], headers["user-agent"]) == ("/webhook", "yes", "me")
        assert "accept-encoding" not in headers
    sent = app.get(f"/v1/deliveries/{waiting(app, endpoint_id=listener_of(app)['id'])[0]['id']}/sent")
    assert (sent["body"].encode(), sent["verified"]) == (receiver.came[0][2], True)
    own = "an-own-secret-of-32-characters-12"
    for _ in range(2):
        say(app)
        assert listen(app, receiver, "--secret", own) == DONE
    tellwire_sdk.verify(receiver.came[-1][2], receiver.came[-1][1], own, now=START / 1_000_000)


def test_it_sends_what_another_endpoint_gets_with_the_same_signature(
    app: Served, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    lender = app.post(PATH, {"url": HOOK, "format": "chat", "events": ["incoming_message"]})
    assert listen(app, receiver, "--endpoint", lender["id"]) == DONE
    say(app)
    assert listen(app, receiver, "--endpoint", lender["id"]) == DONE
    ((_, headers, body),) = receiver.came
    tellwire_sdk.verify(body, headers, lender["secret"], now=START / 1_000_000)
    assert headers["tellwire-event"] == "messages.insert"
    assert lender["secret"] not in capsys.readouterr().err
    assert listen(app, receiver, "--endpoint", "0199a7c2-4f10-7c3a-9d55-0a1b2c3d4e5f") == NOT_FOUND


def test_what_fails_is_shown_and_reaches_it_again_by_a_replay(
    app: Served, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listen(app, receiver, "--event", "messages.insert") == DONE
    receiver.answers = lambda headers: 500 if headers["tellwire-attempt"] == "1" else 204
    say(app, 2)
    assert listen(app, receiver, "--event", "messages.insert", "--json") == DONE
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in lines] == [500, 500]
    for line in lines:
        assert app.get(f"/v1/deliveries/{line['delivery_id']}")["state"] == "failed"
        app.post(f"/v1/deliveries/{line['delivery_id']}/replay", status=202)
    assert listen(app, receiver, "--event", "messages.insert") == DONE
    out = capsys.readouterr().out
    assert out.count("→ 204") == 2
    assert "replay it" not in out
    assert [headers["tellwire-replay"] for _, headers, _ in receiver.came[2:]] == ["1", "1"]


def test_events_go_where_their_name_leads(app: Served, receiver: Receiver) -> None:
    paths = ("--path", "messages.*=/messages", "--path", f"conversations.insert={receiver.url}/opened")
    assert listen(app, receiver, *paths) == DONE
    say(app)
    assert listen(app, receiver, *paths) == DONE
    for path, headers, _ in receiver.came:
        assert path == {"messages.insert": "/messages", "conversations.insert": "/webhook/opened"}.get(
            headers["tellwire-event"], "/webhook"
        )


# --- another format, another name, none -------------------------------------------------------------------------------


def test_another_format_makes_it_anew_but_drops_nothing_unasked(
    app: Served, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listen(app, receiver) == DONE
    assert listen(app, receiver, "--format", "chat") == DONE
    assert listener_of(app)["format"] == "chat"
    say(app)
    assert listen(app, receiver, "--format", "meta") == MISUSED
    assert "takes chat, and 1 events wait" in capsys.readouterr().err
    assert listen(app, receiver, "--format", "meta", "--from", "now") == DONE
    assert listen(app, receiver, "--name", "other", "--format", "openbsp") == DONE
    assert cli.main(["listen", "--name", "other", "--delete", *where(app)]) == DONE
    assert cli.main(["listen", "--name", "other", "--delete", *where(app)]) == FAILED
    assert listener_of(app)["format"] == "meta"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--forward-to", "localhost:3000"], "--forward-to takes a URL like http://localhost:3000/webhook"),
        (["--forward-to", "ftp://localhost/x"], "--forward-to takes a URL"),
        (["--forward-to", "http://h:99999/x"], "--forward-to takes a URL"),
        (["--forward-to", "http://h/x", "--path", "messages.insert"], "--path takes EVENT=URL"),
        (["--forward-to", "http://h/x", "--header", "no-colon"], "--header takes 'NAME: VALUE'"),
        (["--forward-to", "http://h/x", "--header", "a: b\nc: d"], "--header takes 'NAME: VALUE'"),
        (["--forward-to", "http://h/x", "--format", "xml"], "--format takes row or chat"),
        (["--forward-to", "http://h/x", "--from", "yesterday"], "--from takes now"),
        (["--forward-to", "http://h/x", "--event", "messages.gone"], "must be one of"),
        (["--forward-to", "http://h/x", "--print-secret", "--secret", "s"], "there is one secret"),
        (["--forward-to", "http://h/x", "--timeout", "0"], "0.1"),
        ([], "--forward-to is missing"),
        (["--name", "x"], "--forward-to is missing"),
    ],
)
def test_wrong_words_are_one_line_and_make_nothing(
    app: Served, wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(app.get(PATH)["data"])
    assert cli.main(["listen", "--once", *wrong, *where(app)]) == MISUSED
    told = capsys.readouterr().err
    assert said in told
    assert len(told.strip().splitlines()) == 1
    assert len(app.get(PATH)["data"]) == before


def test_once_ends_where_nobody_listens_and_keeps_what_waits(
    app: Served, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listen(app, receiver, "--event", "messages.insert") == DONE
    receiver.stop()
    say(app)
    assert listen(app, receiver, "--event", "messages.insert") == FAILED
    assert "connection refused; start what is to get the events" in capsys.readouterr().err
    assert [row["state"] for row in waiting(app, endpoint_id=listener_of(app)["id"])] == ["parked"]


def test_headers_that_are_set_take_the_place_of_those_that_come() -> None:
    with receiving() as receiver:
        forwarder = Forwarder(receiver.url, paths={}, headers=[("Content-Type", "x/y")], seconds=5)
        assert forwarder.send("any", [("content-type", "application/json"), ("a", "é")], b"\xff\x00").ok
        ((_, headers, body),) = receiver.came
        assert (headers["content-type"], headers["a"], body) == ("x/y", "é", b"\xff\x00")
