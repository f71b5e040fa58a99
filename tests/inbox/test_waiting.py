"""Items that wait for their message, whatever the order and however near they come.

Source: docs/reference/formats.md, "Edits and revocations" and "Statuses of messages sent elsewhere".
"""

from __future__ import annotations

import asyncio

from tests.inbox.test_statuses import echo, revoke
from tests.world import contact, incoming, status, statuses, text_message, value

from tellwire.model.inbound import Outcome


async def test_a_revoke_before_its_original_in_one_post_is_applied_to_it(world):
    inbound = await world.post(
        value(contacts=[contact()], messages=[revoke("wamid.r", "wamid.1"), text_message("wamid.1")])
    )
    assert [item.outcome for item in inbound.items] == [Outcome.APPLIED] * 2
    assert inbound.outcome == Outcome.APPLIED
    assert await world.names() == ["conversations.insert", "messages.insert", "messages.update"]
    assert await world.query("SELECT outcome FROM inbound") == [("applied",)]
    assert await world.query("SELECT * FROM held_items") == []


async def test_a_revoke_committed_together_with_its_original_is_applied_to_it(world):
    await asyncio.gather(
        *(
            each
            for n in range(50)
            for each in (
                world.post(value(messages=[revoke(f"wamid.r{n}", f"wamid.{n}")])),
                world.post(incoming(f"wamid.{n}")),
            )
        )
    )
    assert (await world.names()).count("messages.update") == 50
    assert await world.query("SELECT DISTINCT outcome FROM inbound") == [("applied",)]
    assert await world.query("SELECT * FROM held_items") == []


async def test_what_waited_for_a_message_is_applied_to_the_external_row_too(world):
    await world.post(statuses(status("wamid.s", "delivered", 1_778_038_767, to=None)))
    await world.post(value(messages=[revoke("wamid.r", "wamid.s")]))
    await world.post(statuses(status("wamid.s", "sent", 1_778_038_766)))
    assert list((await world.rows())[-1]["status"]) == ["sent", "delivered", "deleted"]
    assert await world.query("SELECT DISTINCT outcome FROM inbound") == [("applied",)]


async def test_what_still_waits_when_it_is_applied_again_is_found_later(world):
    held = await world.post(statuses(status("wamid.s", "delivered", 1_778_038_767, to=None)))
    await world.ingest.reapply(held, frozenset(item.pointer for item in held.items))
    assert len(await world.query("SELECT * FROM held_items")) == 1
    await world.post(value(message_echoes=[echo("wamid.s")]), field="smb_message_echoes")
    assert list((await world.rows())[-1]["status"]) == ["sent", "delivered"]
    assert await world.query("SELECT * FROM held_items") == []
