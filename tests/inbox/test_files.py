"""Which messages have files, whatever way they come (docs/reference/formats.md, "Columns of messages")."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from tests.world import CUSTOMER, DISPLAY, World, contact, text_message, value

DIGEST = hashlib.sha256(b"an invented file")
SHA256 = base64.b64encode(DIGEST.digest()).decode()
FILE = {"id": "1234567890", "mime_type": "image/jpeg", "sha256": SHA256}


def said(wamid: str, kind: str, content: Any, **more: Any) -> dict[str, Any]:
    message = text_message(wamid, **more)
    del message["text"]
    return value(contacts=[contact()], messages=[message | {"type": kind, kind: content}])


def echoed(wamid: str, kind: str, content: Any) -> dict[str, Any]:
    message = {"from": DISPLAY, "to": CUSTOMER, "id": wamid, "timestamp": "1778038763", "type": kind, kind: content}
    return value(message_echoes=[message])


async def files(world: World) -> list[tuple[Any, ...]]:
    return await world.query("SELECT message_id, meta_id, mime_type, sha256, filename, state FROM media ORDER BY id")


@pytest.mark.parametrize("kind", ["image", "video", "audio", "voice", "document", "sticker"])
async def test_every_kind_of_file(world, kind):
    await world.post(said("wamid.1", kind, FILE | {"filename": "a\0b"}))
    [row] = await world.rows("messages.insert")
    [shown] = row["media"]
    assert (shown["mime_type"], shown["sha256"], shown["filename"]) == ("image/jpeg", SHA256, "a\ufffdb")
    assert await files(world) == [(row["id"], "1234567890", "image/jpeg", DIGEST.hexdigest(), "a\ufffdb", "waiting")]


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        "text",
        None,
        {"mime_type": "image/jpeg"},
        {"id": ""},
        {"id": None},
        {"id": []},
        {"id": "1" * 1000},
        {"id": "a\0"},
    ],
)
async def test_what_names_no_file_has_none(world, content):
    await world.post(said("wamid.1", "image", content))
    [row] = await world.rows("messages.insert")
    assert "media" not in row
    assert await files(world) == []


@pytest.mark.parametrize(
    "file",
    [
        {"id": 1234567890},
        {"id": "1234567890", "mime_type": 5, "sha256": [], "filename": {}},
        {"id": "1234567890", "sha256": "not a hash"},
        {"id": "1234567890", "mime_type": "x" * 2000},
    ],
)
async def test_odd_particulars_are_no_obstacle(world, file):
    await world.post(said("wamid.1", "image", file))
    [row] = await world.rows("messages.insert")
    assert len(row["media"]) == 1
    [(_, meta_id, mime_type, sha256, _, _)] = await files(world)
    assert (meta_id, sha256) == ("1234567890", "")
    assert len(mime_type) <= 512


async def test_files_of_headers_and_parameters_in_echoes(world):
    header = {"type": "button", "header": {"type": "image", "image": FILE}, "body": {"text": "Hi"}}
    parameter = {"type": "document", "document": FILE | {"id": "2", "filename": "a.pdf"}}
    template = {"name": "t", "components": [{"type": "header", "parameters": [parameter]}]}
    linked = {"type": "button", "header": {"type": "image", "image": {"link": "https://example.com/a.png"}}}

    await world.post(echoed("wamid.1", "interactive", header), field="smb_message_echoes")
    await world.post(echoed("wamid.2", "template", template), field="smb_message_echoes")
    await world.post(echoed("wamid.3", "interactive", linked), field="smb_message_echoes")
    rows = await world.rows("messages.insert")
    assert [len(row.get("media", [])) for row in rows] == [1, 1, 0]
    assert [each[1] for each in await files(world)] == ["1234567890", "2"]


async def test_a_placeholder_of_history_has_its_file_once_it_is_filled(world):
    def history(message):
        return value(history=[{"threads": [{"id": CUSTOMER, "messages": [message]}]}])

    at = {"from": CUSTOMER, "id": "wamid.1", "timestamp": "1778038763"}

    await world.post(history(at | {"type": "media_placeholder"}), field="history")
    assert await files(world) == []
    await world.post(history(at | {"type": "image", "image": FILE}), field="history")
    event = (await world.events())[-1]
    assert event.name == "messages.update"
    assert "media" in event.snapshot.changed
    row = (await world.rows())[-1]
    assert [each[:2] for each in await files(world)] == [(row["id"], "1234567890")]
    assert len(row["media"]) == 1


async def test_an_edit_keeps_the_file_that_it_names_and_takes_another(world):
    def edit(wamid, file):
        new = {"type": "image", "image": file}
        return said(wamid, "edit", {"original_message_id": "wamid.1", "message": new}, at=1_778_038_770)

    other = {"id": "2", "sha256": hashlib.sha256(b"another").hexdigest(), "mime_type": "image/png"}

    await world.post(said("wamid.1", "image", FILE))
    first = (await world.rows("messages.insert"))[0]["media"]
    await world.post(edit("wamid.2", FILE | {"caption": "Look"}))
    event = (await world.events())[-1]
    assert "media" not in event.snapshot.changed
    assert (await world.rows())[-1]["media"] == first
    await world.post(edit("wamid.3", other))
    event = (await world.events())[-1]
    assert "media" in event.snapshot.changed
    [shown] = (await world.rows())[-1]["media"]
    assert shown["sha256"] == other["sha256"]
    assert [each[1] for each in await files(world)] == ["1234567890", "2"]
