"""Formats that others read, by what they read them with: the official CloudEvents package, and a receiver in Node that
signs the JSON that it has parsed and written again."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from tests.acceptance.processes import catching, every, request, until
from tests.acceptance.test_main_job import ADMIN, CORPUS, distinct, post, serving
from tests.node import NODE, needs_node
from tests.world import envelope, incoming

from tellwire.cli.dev.catcher import Catch

SECRETS = {"cloudevents": "a secret for CloudEvents", "openbsp": "a secret for OpenBSP"}
SECRET = "a secret of a receiver in JavaScript"
RECEIVER = """
const { createHmac } = require("crypto");
const server = require("http").createServer((request, response) => {
  const url = new URL(request.url, "http://receiver");
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    if (request.method === "GET") return response.end(JSON.stringify({ challenge: url.searchParams.get("challenge") }));
    if (request.method === "OPTIONS") return response.writeHead(200, { "WebHook-Allowed-Origin": "*" }).end();
    const raw = Buffer.concat(parts);
    const again = Buffer.from(JSON.stringify(JSON.parse(raw)));
    const signature = "sha256=" + createHmac("sha256", process.argv[1]).update(again).digest("hex");
    const vendor = request.headers["x-wappcloud-signature"];
    const hub = request.headers["x-hub-signature-256"];
    const signed = hub === signature && (vendor === undefined || vendor === signature);
    console.log(JSON.stringify({ path: url.pathname, same: raw.equals(again), signed, vendor: vendor !== undefined }));
    response.end();
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify(server.address().port)));
"""


@contextmanager
def node_receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver in Node: its URL, and what it says of each delivery so far."""
    assert NODE is not None
    seen: list[dict[str, Any]] = []
    with subprocess.Popen([NODE, "-e", RECEIVER, SECRET], stdout=subprocess.PIPE, text=True) as process:
        lines = process.stdout
        assert lines is not None
        url = f"http://127.0.0.1:{json.loads(lines.readline())}"
        reader = threading.Thread(target=lambda: seen.extend(map(json.loads, lines)))
        reader.start()
        try:
            yield url, seen
        finally:
            process.kill()
            reader.join(60)


def register(url: str, target: str, **draft: Any) -> tuple[int, Any]:
    return request(f"{url}/v1/webhook-endpoints", key=ADMIN, method="POST", body={"url": target, **draft})


def registered(url: str, target: str, **draft: Any) -> None:
    status, answer = register(url, target, **draft)
    assert status == 201, answer


def test_cloudevents_go_to_whom_permits_it_and_openbsp_beside_them(tmp_path: Path) -> None:
    with catching(SECRETS) as (target, catches), serving(tmp_path) as (url, _):
        for name, secret in SECRETS.items():
            registered(url, f"{target}/{name}", format=name, secret=secret)
        refused, problem = register(url, f"{target}/openbsp", format="cloudevents")
        assert refused == 422
        assert "WebHook-Allowed-Origin" in problem["detail"]
        assert post(url, envelope(incoming("wamid.1", "¡Hola!")))[0] == 200
        until(lambda: len(catches) == 4, what="a conversation and a message in both formats")
    assert [catch.error for catch in catches if catch.error] == []
    events = [catch for catch in catches if catch.format == "cloudevents"]
    assert [_checked(catch) for catch in events] == ["conversations.insert", "messages.insert"]
    rows = [json.loads(catch.body) for catch in catches if catch.format == "openbsp"]
    assert [(row["entity"], row["action"]) for row in rows] == [("conversations", "insert"), ("messages", "insert")]
    assert rows[1]["data"]["content"] == {"version": "1", "type": "text", "kind": "text", "text": "¡Hola!"}
    assert rows[1]["data"]["organization_address"] == rows[0]["data"]["organization_address"]


def _checked(catch: Catch) -> str:
    """The name of an event, whose attributes say the same as its headers."""
    assert catch.headers["content-type"] == "application/cloudevents+json"
    event = from_http_event(HTTPMessage(headers=catch.headers, body=catch.body))
    assert event.get_id() == catch.webhook_id
    assert event.get_type() == f"io.tellwire.{catch.event}.v1"
    assert event.get_subject() == (catch.message_id or catch.headers["tellwire-conversation-id"])
    assert event.get_extension("sequence") == catch.headers["tellwire-sequence"]
    return catch.event


@needs_node
def test_a_receiver_that_signs_what_it_writes_again_verifies_canonical_json_only(tmp_path: Path) -> None:
    body = json.dumps(envelope(incoming("wamid.1", "¡Hola!"))).replace("Hola", "Hola \\/").encode()
    with node_receiver() as (target, seen), serving(tmp_path) as (url, _):
        for kind in ("canonical", "verbatim"):
            registered(url, f"{target}/{kind}", format="chat", json=kind, secret=SECRET, hub_signature=True)
        assert post(url, body)[0] == 200
        until(lambda: len(seen) == 2, what="both deliveries")
    assert {each["path"]: (each["signed"], each["same"]) for each in seen} == {
        "/canonical": (True, True),
        "/verbatim": (False, False),
    }
    assert all(each["vendor"] for each in seen)


@needs_node
@pytest.mark.skipif(not CORPUS.is_dir(), reason="no collection of real payloads beside the checkout")
def test_real_payloads_are_canonical_in_every_format(tmp_path: Path) -> None:
    bodies = [distinct(path.read_bytes(), n) for n, path in enumerate(sorted(CORPUS.rglob("*.json")))]
    with node_receiver() as (target, seen), serving(tmp_path) as (url, _):
        for name in ("row", "chat", "cloudevents", "openbsp"):
            draft = {"format": name, "json": "canonical", "secret": SECRET, "hub_signature": True}
            registered(url, f"{target}/{name}", **draft)
        assert {post(url, body)[0] for body in bodies} == {200}
        until(lambda: _all_delivered(url), what="every delivery")
        until(lambda: len(seen) == len(every(url, "deliveries", key=ADMIN)), what="every word of the receiver")
    assert {each["path"] for each in seen} == {"/row", "/chat", "/cloudevents", "/openbsp"}
    assert [each for each in seen if not (each["signed"] and each["same"])] == []


def _all_delivered(url: str) -> bool:
    deliveries = every(url, "deliveries", key=ADMIN)
    return len(deliveries) > 0 and {each["state"] for each in deliveries} == {"delivered"}
