"""Conversations with a group (docs/reference/formats.md, "Groups"), over a real store."""

from __future__ import annotations

import pytest
from tests.inbox.test_statuses import echo
from tests.world import CUSTOMER, contact, text_message, value

from tellwire.model.inbound import Outcome

GROUP = "120363418770915618@g.us"


@pytest.mark.parametrize("field", ["smb_message_echoes", "history"])
async def test_what_the_business_wrote_to_a_group_joins_the_groups_conversation(world, field):
    await world.post(value(contacts=[contact()], messages=[text_message("wamid.1", group_id=GROUP)]))
    ours = echo("wamid.2") | {"to": GROUP}
    thread = {"id": GROUP, "messages": [ours | {"history_context": {"status": "SENT"}}]}
    content = {"message_echoes": [ours]} if field == "smb_message_echoes" else {"history": [{"threads": [thread]}]}
    inbound = await world.post(value(**content), field=field)
    assert inbound.outcome == Outcome.APPLIED
    assert await world.names() == ["conversations.insert", "messages.insert", "messages.insert"]
    theirs, row = await world.rows("messages.insert")
    assert (row["direction"], row["to"]) == ("outgoing", GROUP)
    assert list(row["status"]) == ["sent"]
    assert "contact" not in row
    assert row["conversation_id"] == theirs["conversation_id"]
    assert theirs["contact"]["phone"] == CUSTOMER


async def test_a_group_that_only_the_business_has_written_to_yet(world):
    await world.post(value(message_echoes=[echo("wamid.1") | {"to": GROUP}]), field="smb_message_echoes")
    (conversation,) = await world.rows("conversations.insert")
    assert conversation["contact_address"] == GROUP
