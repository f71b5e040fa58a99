"""Clients of Meta's from npm run as they are, with another base URL, token and secret: they send and receive.

They need Node and the packages of `tests/clients/node`, which `.ci/run` installs where npm is; without them the tests
say so.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.acceptance.processes import SECONDS
from tests.clients.beside_meta import CUSTOMER, KNOWN, NUMBER, WABA, Beside, beside_meta
from tests.clients.node_bots import CLIENTS, PACKAGES, bot, environment_of, needs_packages

SECRET = "the-app-secret-of-a-bot"
VERIFY = "an-invented-verify-token"
FILES = {
    "image": b"\xff\xd8\xff\xe0" + bytes(40),
    "audio": b"ID3" + bytes(40),
    "video": b"\x00\x00\x00\x18ftypmp42" + bytes(40),
    "document": b"%PDF-1.4\n",
    "sticker": b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(24),
}
SENT = {
    "text", "image", "audio", "video", "document", "sticker", "location", "contacts", "reaction", "template", "buttons",
    "list", "cta_url", "location_request",
}  # fmt: skip

pytestmark = needs_packages


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with beside_meta(tmp_path_factory.mktemp("node")) as running:
        yield running


def settings(beside: Beside) -> dict[str, Any]:
    """What a script is told."""
    files = {name: base64.b64encode(content).decode() for name, content in FILES.items()}
    return {
        "base": beside.url,
        "token": beside.key,
        "number": NUMBER,
        "waba": WABA,
        "to": CUSTOMER,
        "known": KNOWN,
        "files": files,
        "template": "hello_world",
        "secret": SECRET,
        "verify_token": VERIFY,
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_it_sends_what_it_can(client: str, beside: Beside) -> None:
    done = subprocess.run(
        ["node", f"{client}.mjs", "send"],
        cwd=PACKAGES,
        env=environment_of(settings(beside)),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    uploaded, media = lines[0]["uploaded"], lines[1]
    assert len(set(uploaded.values())) == len(FILES)
    assert media["same"] is True
    assert media["media"]["id"] == uploaded["image"]
    answers = {line["type"]: line for line in lines[2:]}
    assert {line for line in answers if "error" in answers[line]} == set(), answers
    accepted = [answers[name]["answer"] for name in sorted(SENT)]
    assert all(answer.get("messages") for answer in accepted), answers
    wamids = [answer["messages"][0]["id"] for answer in accepted]
    assert len(set(wamids)) == len(wamids)
    assert answers["read"]["answer"]["success"] is True
    rows = {row["wa_id"]: row for row in beside.call("/v1/messages?limit=200")[1]["data"] if "wa_id" in row}
    assert {rows[wamid]["send_state"] for wamid in wamids} == {"accepted"}


@pytest.mark.parametrize("client", CLIENTS)
def test_it_receives_every_message_and_its_statuses(client: str, beside: Beside) -> None:
    kinds = {
        "text": {"body": "Hello"},
        "image": {"id": "1", "mime_type": "image/jpeg", "sha256": "x"},
        "audio": {"id": "2", "mime_type": "audio/ogg", "voice": True},
        "video": {"id": "3", "mime_type": "video/mp4"},
        "document": {"id": "4", "mime_type": "application/pdf", "filename": "a.pdf"},
        "sticker": {"id": "5", "mime_type": "image/webp", "animated": False},
        "location": {"latitude": 19.43, "longitude": -99.13},
        "contacts": [{"name": {"formatted_name": "Luz"}, "phones": [{"phone": "+52155"}]}],
        "reaction": {"message_id": KNOWN, "emoji": "👍"},
        "interactive": {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}},
        "button": {"text": "Yes", "payload": "yes"},
        "order": {"catalog_id": "1", "product_items": [{"product_retailer_id": "a", "quantity": 1}]},
    }
    with bot(client, **settings(beside)) as (running, url):
        draft = {"url": url, "format": "meta", "secret": SECRET, "verify_token": VERIFY, "fields": ["messages"]}
        status, endpoint = beside.call("/v1/webhook-endpoints", "POST", draft)
        assert status == 201, endpoint
        messages = [
            {"from": CUSTOMER, "id": f"wamid.{client}.{kind}", "timestamp": "1796031248", "type": kind, kind: content}
            for kind, content in kinds.items()
        ]
        assert beside.write(*messages) == 200  # all of them in one POST
        told = running.until(
            lambda lines: (
                (found := [line for line in lines if line.get("kind") == "message"])
                and len(found) >= len(kinds)
                and found
            )
        )
        assert [line["type"] for line in told] == list(kinds)
        assert {line["from"] for line in told} == {CUSTOMER}
        sent = {"account": NUMBER, "to": CUSTOMER, "type": "text", "text": {"body": "Hello"}}
        assert beside.call("/v1/messages", "POST", sent)[0] == 202
        assert not [line for line in running.lines if line.get("kind") == "refused"]
        assert beside.call(f"/v1/webhook-endpoints/{endpoint['id']}", "DELETE")[0] in (200, 204)
