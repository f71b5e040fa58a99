"""Edits and revocations that come before their message, and what waits for it meanwhile.

Source: docs/reference/formats.md, "Edits and revocations".
"""

from __future__ import annotations

import json

import pytest
from tests.inbox.revisions import Arrangement, item_of, opened_account, play, post_of, told
from tests.inbox.sends import waited
from tests.world import NUMBER, text_message, value

from tellwire.model.inbound import Outcome
from tellwire.stores.queries import accounts
from tellwire.stores.queries.audit import AuditChange

SECOND = 1_000_000
ARRANGEMENTS = [
    (("edit 5",), ("original",)),
    (("edit 5", "original"),),
    (("original", "edit 5"),),
    (("edit 9b",), ("edit 9",), ("original",)),
    (("edit 9",), ("edit 9b", "original"), ("edit 5",)),
    (("revoke",), ("edit 5",), ("original",)),
    (("edit 5",), ("revoke",), ("original",)),
    (("revoke", "original"), ("edit 9",)),
    (("original",), ("revoke",), ("edit 9",), ("edit 5",)),
]


@pytest.mark.parametrize("on_revoke", ["keep", "erase"])
@pytest.mark.parametrize("origin", ["customer", "echo", "past"])
async def test_the_end_is_the_same_in_any_order(world, origin, on_revoke):
    await opened_account(world)
    first = {"customer": (), "echo": (("status",),), "past": (("placeholder",),)}[origin]
    for number, posts in enumerate(ARRANGEMENTS):
        await play(world, Arrangement(origin, posts, on_revoke=on_revoke), number)
        await play(world, Arrangement(origin, posts, frozenset({1}), on_revoke), 100 + number)
        await play(world, Arrangement(origin, (*first, *posts), on_revoke=on_revoke), 200 + number)
        await play(world, Arrangement(origin, (*posts[:1], *first, *posts[1:]), on_revoke=on_revoke), 300 + number)


async def test_an_edit_waits_for_its_message_and_becomes_a_row_of_its_own_after_a_minute(world):
    await opened_account(world)
    held = await world.post_body(post_of("customer", 1, ["edit 5"]))
    assert (held.outcome, held.items[0].reason) == (Outcome.HELD, "it edits a message that has not come")
    assert len(await world.rows("messages.insert")) == 1
    world.clock.move(59 * SECOND)
    await waited(world)
    assert len(await world.rows("messages.insert")) == 1
    world.clock.move(2 * SECOND)
    await waited(world)
    edit = (await world.rows("messages.insert"))[-1]
    assert (edit["wa_id"], edit["content"]["type"]) == ("wamid.1.5", "edit")
    assert (await world.post_body(post_of("customer", 1, ["edit 5"]))).outcome == Outcome.DUPLICATE
    await world.post_body(post_of("customer", 1, ["original"]))
    assert await world.query("SELECT count(*) FROM held_items") == [(0,)]
    original = (await world.rows())[-1]
    assert (await world.names())[-1] == "messages.insert"
    assert original["content"]["text"]["body"] == told(1, "edit 5")
    assert "edited" in original["status"]
    for step in ("edit 5", "original"):
        assert (await world.post_body(post_of("customer", 1, [step]))).outcome == Outcome.DUPLICATE
    assert len(await world.names()) == 5


async def test_a_message_that_was_revoked_before_it_came_is_never_told_where_revocations_erase(world):
    row, chat = await world.endpoint("row"), await world.endpoint("chat")
    await opened_account(world)
    await world.set_account(on_revoke="erase")
    await world.post_body(post_of("customer", 2, ["revoke"]))
    await world.post_body(post_of("customer", 2, ["original"]))
    inserted = (await world.rows())[-1]
    assert (await world.names())[-1] == "messages.insert"
    assert inserted["content"] == {"type": "text"}
    assert list(inserted["status"]) == ["pending", "deleted"]
    told_of = json.dumps([await world.delivered(row), await world.delivered(chat)])
    assert told(2, "original") not in told_of
    assert await world.query("SELECT DISTINCT outcome FROM inbound WHERE outcome <> 'recorded'") == [("applied",)]


async def test_a_file_that_was_revoked_before_it_came_is_never_fetched(world):
    await opened_account(world)
    await world.set_account(on_revoke="erase")
    await world.post_body(post_of("past", 3, ["revoke"]))
    await world.post_body(post_of("past", 3, ["original"]))
    assert (await world.rows())[-1]["content"] == {"type": "image"}
    assert await world.query("SELECT * FROM media") == []


async def test_an_edit_in_one_part_of_a_large_post_is_applied_to_its_message_in_another(world):
    _, edit = item_of("customer", 4, "edit 5")
    many = [text_message(f"wamid.m{n}") for n in range(300)]
    _, original = item_of("customer", 4, "original")
    inbound = await world.post(value(messages=[*edit["messages"], *many, *original["messages"]]))
    assert {item.outcome for item in inbound.items} == {Outcome.APPLIED}
    assert (await world.rows())[-1]["content"]["text"]["body"] == told(4, "edit 5")
    assert await world.query("SELECT * FROM held_items") == []


async def test_a_deleted_account_leaves_no_edit_to_the_next_owner_of_its_number(world):
    await opened_account(world)
    await world.post_body(post_of("customer", 5, ["edit 5"]))
    world.clock.move(61 * SECOND)
    await waited(world)
    assert await world.query("SELECT outcome FROM held_items") == [("applied",)]
    account = world.store.registry().accounts[NUMBER]
    change = AuditChange(account.organization_id, "a test", world.clock.now(), world.store.new_id)
    await world.store.write(lambda connection: accounts.remove(connection, change, account))
    assert await world.query("SELECT * FROM held_items") == []
