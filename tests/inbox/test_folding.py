"""A row that a status made, and the message itself: whichever comes first, the same row.

Source: docs/reference/formats.md, "Merge".
"""

from __future__ import annotations

import itertools

import pytest
from tests.inbox.test_statuses import echo, revoke
from tests.world import CUSTOMER, DISPLAY, incoming, status, statuses, value

NEW = {"type": "text", "text": {"body": "second"}}
OWN = ("id", "wa_id", "conversation_id", "updated_at")


def original(n):
    return "smb_message_echoes", value(message_echoes=[echo(f"wamid.{n}", "first")])


def edited(n):
    edit = {"original_message_id": f"wamid.{n}", "message": NEW}
    return "smb_message_echoes", value(
        message_echoes=[echo(f"wamid.e{n}", edit=edit) | {"type": "edit", "timestamp": "1778038790"}]
    )


def deleted(n):
    item = revoke(f"wamid.r{n}", f"wamid.{n}") | {"from": DISPLAY, "to": CUSTOMER, "timestamp": "1778038795"}
    return "smb_message_echoes", value(message_echoes=[item])


def sent(n):
    return "messages", statuses(status(f"wamid.{n}", "sent", 1_778_038_766))


def read(n):
    return "messages", statuses(status(f"wamid.{n}", "read", 1_778_038_799))


async def final_rows(world, *orders):
    """The last row of each order of steps, each with a message of its own."""
    rows = []
    for n, order in enumerate(orders):
        for step in order:
            field, content = step(n)
            await world.post(content, field=field)
        row = (await world.rows())[-1]
        assert row["wa_id"] == f"wamid.{n}"
        rows.append({key: value for key, value in row.items() if key not in OWN})
    return rows


@pytest.mark.parametrize("on_revoke", ["keep", "erase"])
async def test_the_final_row_is_the_same_in_any_order(world, on_revoke):
    await world.post(incoming("wamid.first"))
    await world.set_account(on_revoke=on_revoke)
    first, *others = await final_rows(world, *itertools.permutations((original, sent, read, deleted)))
    assert list(first["status"]) == ["sent", "read", "deleted"]
    kept = {"type": "text", "text": {"body": "first"}, "to": CUSTOMER}
    assert first["content"] == (kept if on_revoke == "keep" else {"type": "text"})
    assert first["timestamp"] == "2026-05-06T03:39:25+00:00"
    assert all(other == first for other in others)


async def test_an_edit_of_an_external_row_outlives_the_late_original(world):
    late, early = await final_rows(world, (sent, edited, original), (original, sent, edited))
    assert late["content"] == NEW
    assert late == early


async def test_the_row_of_statuses_alone_is_the_same_in_any_order(world):
    await world.post(incoming("wamid.first"))
    first, *others = await final_rows(world, (sent, read), (read, sent), (sent, read, sent), (read, sent, read))
    assert first["timestamp"] == "2026-05-06T03:39:26+00:00"
    assert all(other == first for other in others)
