"""Alerts of a real `serve`: by webhook, chat and mail; a channel that is down and comes back; nothing twice."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import SMTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.acceptance.processes import request, tellwire, until
from tests.acceptance.test_cli import ADMIN, serving
from tests.mail_server import MailBox, mail_server
from tests.world import envelope, incoming

import tellwire_sdk

SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
HIDDEN = "a-part-of-the-path-that-is-secret"


class Caught(BaseHTTPRequestHandler):
    """A webhook and a chat: they keep what they get."""

    posts: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.posts.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def catching() -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    posts: list[tuple[str, dict[str, str], bytes]] = []
    mine = type("Mine", (Caught,), {"posts": posts})
    server = ThreadingHTTPServer(("127.0.0.1", 0), mine)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", posts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def told(posts: list[tuple[str, dict[str, str], bytes]]) -> list[tuple[str, str]]:
    """What the webhook was told, test messages aside, in the order of coming."""
    return [
        (finding["change"], finding["kind"])
        for path, _, body in list(posts)
        if path.endswith("/json")
        for finding in json.loads(body)["data"]["findings"]
    ]


def test_every_channel_is_told_and_one_that_was_down_is_told_later(tmp_path: Path) -> None:
    with socket.socket() as place:  # where the mail server will be
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    with catching() as (url, posts):
        settings = {
            "ALERT_WEBHOOK_URL": f"{url}/{HIDDEN}/json",
            "ALERT_WEBHOOK_SECRET": SECRET,
            "ALERT_SLACK_URL": f"{url}/{HIDDEN}/slack",
            "ALERT_SMTP_URL": f"smtp://127.0.0.1:{port}?starttls=false",
            "ALERT_MAIL_TO": "ana@example.org,ops@example.org",
            "ALERT_AFTER_SECONDS": "0",
            "AUTO_ACCOUNTS": "false",
        }
        with serving(tmp_path, **settings) as (server, process):
            body = json.dumps(envelope(incoming("wamid.1"))).encode()
            signed = {"X-Hub-Signature-256": tellwire_sdk.hub_signature(body, "an-app-secret-for-tests")}
            assert request(f"{server}/meta/webhook", method="POST", body=body, headers=signed)[0] == 200
            until(lambda: ("came", "number_unknown") in told(posts), what="the alert")
            _, headers, raw = next(post for post in posts if post[0].endswith("/json"))
            tellwire_sdk.verify(raw, headers, SECRET)
            data = json.loads(raw)["data"]
            assert data["findings"][0]["remedy"]
            assert data["id"] == headers["webhook-id"]
            chat = until(lambda: next((b for p, _, b in posts if p.endswith("/slack")), None), what="the chat's alert")
            assert "Messages wait for a number that has no account." in json.loads(chat)["text"]

            # Nobody takes mails: that is shown, and told to the others.
            until(lambda: "alerts_failing" in _kinds(server), what="the line")
            tested = tellwire("alerts", "test", cwd=tmp_path, **settings, ADMIN_KEY=ADMIN)
            assert tested.returncode == 1, tested.stderr
            assert "mail     ana@example.org, ops@example.org  ✗  connection refused" in tested.stdout
            with mail_server(MailBox(), port=port) as box:
                tested = tellwire("alerts", "test", "--json", cwd=tmp_path, **settings, ADMIN_KEY=ADMIN)
                assert tested.returncode == 0, tested.stderr
                assert [each["channel"] for each in json.loads(tested.stdout)["channels"]] == [
                    "webhook",
                    "slack",
                    "mail",
                ]
                until(lambda: len(box.mails) == 2, what="the mail that waited")
                subjects = [message_from_bytes(each, policy=SMTP)["Subject"] for each in box.mails]
                assert "This is a test" in subjects[0]
                assert "Messages wait for a number" in subjects[1]
                until(lambda: "alerts_failing" not in _kinds(server), what="the end of the line")
            shown = tellwire("alerts", "list", cwd=tmp_path, **settings, ADMIN_KEY=ADMIN)
            assert shown.returncode == 0, shown.stderr
            assert "last took one at" in shown.stdout
            assert "number_unknown" not in shown.stdout  # in words
            config = tellwire("config", cwd=tmp_path, **settings, ADMIN_KEY=ADMIN)
            logs = "\n".join(process.err)
            for text in (config.stdout, shown.stdout, logs):
                assert HIDDEN not in text
                assert SECRET not in text
            before = len(posts)
            assert process.stop() == 0
        with serving(tmp_path, **settings) as (server, _):
            until(lambda: "number_unknown" in _kinds(server), what="the line after a restart")
            status, listed = request(f"{server}/v1/alerts", key=ADMIN)
            assert status == 200
            assert {each["state"] for each in listed["channels"]} == {"working"}
            assert [each["waits_for"] for each in listed["findings"] if each["kind"] == "number_unknown"] == [[]]
            assert told(posts).count(("came", "number_unknown")) == 1
            assert len(posts) == before


def _kinds(server: str) -> set[str]:
    status, verdict = request(f"{server}/v1/verdict", key=ADMIN)
    assert status == 200
    return {each["kind"] for each in verdict["lines"]}
