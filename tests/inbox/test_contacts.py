"""Who is who, and when conversations open, change and close, over a real store.

Source: docs/reference/formats.md, "Who" and "Conversations".
"""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from tests.world import CUSTOMER, DAY, HOUR, USER_ID, contact, incoming, play, text_message, value

from tellwire.inbox.housekeeping import close_idle_conversations
from tellwire.model.inbound import Outcome


async def test_a_contact_known_only_by_user_id_stays_one_conversation_when_the_phone_appears(world):
    hidden = value(
        contacts=[contact(None, "Sheena", USER_ID)],
        messages=[text_message("wamid.1", sender=None, from_user_id=USER_ID)],
    )
    await world.post(hidden)
    (first,) = await world.rows("messages.insert")
    assert first["from"] == USER_ID
    assert first["contact"] == {"name": "Sheena", "user_id": USER_ID}
    both = value(contacts=[contact(CUSTOMER, "Sheena", USER_ID)], messages=[text_message("wamid.2")])
    await world.post(both)
    assert (await world.names()).count("conversations.insert") == 1
    assert (await world.rows("messages.insert"))[1]["from"] == CUSTOMER


async def test_a_payload_that_ties_two_contacts_keeps_the_older_and_closes_the_youngers_conversation(world):
    await world.post(incoming("wamid.1"))
    world.clock.move(1_000_000)
    await world.post(
        value(
            contacts=[contact(None, "Bharath", USER_ID)],
            messages=[text_message("wamid.2", sender=None, from_user_id=USER_ID)],
        )
    )
    assert (await world.names()).count("conversations.insert") == 2
    older, younger = await world.rows("conversations.insert")
    await world.post(value(contacts=[contact(CUSTOMER, "Bharath", USER_ID)], messages=[text_message("wamid.3")]))
    names = await world.names()
    assert names[-2:] == ["conversations.update", "messages.insert"]
    closed, message = (await world.rows())[-2:]
    assert (closed["id"], closed["status"]) == (younger["id"], "closed")
    assert message["conversation_id"] == older["id"]
    assert await world.query("SELECT count(*) FROM contacts WHERE merged_into = ''") == [(1,)]


async def test_a_changed_number_keeps_the_conversation_and_tells_so(world):
    await world.post(incoming("wamid.1"))
    system = {
        "from": CUSTOMER,
        "id": "wamid.s",
        "timestamp": "1778038800",
        "type": "system",
        "system": {"body": "changed", "wa_id": "5215500000002", "type": "user_changed_number"},
    }
    await world.post(value(messages=[system]))
    assert (await world.names())[2:] == ["conversations.update", "messages.insert"]
    update, message = (await world.rows())[-2:]
    assert update["contact_address"] == "5215500000002"
    assert message["content"]["type"] == "system"
    await world.post(incoming("wamid.2", sender="5215500000002"))
    assert (await world.names()).count("conversations.insert") == 1
    assert (await world.post(value(messages=[system]))).outcome == Outcome.DUPLICATE


async def test_user_id_update_adds_an_alias_and_tells_so_once(world):
    await world.post(value(contacts=[contact(CUSTOMER, "A", USER_ID)], messages=[text_message("wamid.1")]))
    update = value(
        user_id_update=[
            {
                "wa_id": CUSTOMER,
                "user_id": {"previous": USER_ID, "current": "MX.99"},
                "timestamp": "1778038800",
            }
        ]
    )
    assert (await world.post(update, field="user_id_update")).outcome == Outcome.APPLIED
    assert (await world.post(update, field="user_id_update")).outcome == Outcome.DUPLICATE
    assert (await world.names())[2:] == ["conversations.update"]
    await world.post(value(messages=[text_message("wamid.2", sender=None, from_user_id="MX.99")]))
    assert (await world.names()).count("conversations.insert") == 1


async def test_number_variants_are_matched_but_never_rewritten(world):
    await world.post(incoming("wamid.1", sender="5511987654321"))
    await world.post(incoming("wamid.2", sender="551187654321"))
    assert (await world.names()).count("conversations.insert") == 1
    first, second = await world.rows("messages.insert")
    assert (first["from"], second["from"]) == ("5511987654321", "551187654321")
    (conversation,) = await world.rows("conversations.insert")
    assert conversation["contact_address"] == "5511987654321"


async def test_a_new_conversation_has_the_number_as_meta_gave_it_this_time(world):
    await world.post(incoming("wamid.1", sender="5511987654321"))
    world.clock.move(2 * DAY)
    await world.post(incoming("wamid.2", sender="551187654321"))
    addresses = [row["contact_address"] for row in await world.rows("conversations.insert")]
    assert addresses == ["5511987654321", "551187654321"]
    assert await world.query("SELECT count(*) FROM contacts") == [(1,)]


async def test_names_are_never_guessed_among_several(world):
    await world.post(
        value(
            contacts=[contact("111", "One"), contact("222", "Two")],
            messages=[text_message("wamid.1", sender="222"), text_message("wamid.2", sender="333")],
        )
    )
    first, second = await world.rows("messages.insert")
    assert first["contact"]["name"] == "Two"
    assert "name" not in second["contact"]


async def test_nobody_to_attribute_a_message_to(world):
    message = text_message("wamid.1", sender=None)
    assert (await world.post(value(messages=[message]))).outcome == Outcome.NOT_UNDERSTOOD


async def test_a_group_message_joins_the_groups_conversation(world):
    for number, sender in enumerate(("111", "222")):
        await world.post(
            value(
                contacts=[contact(sender, sender)],
                messages=[text_message(f"wamid.{number}", sender=sender, group_id="g@g.us")],
            )
        )
    (conversation,) = await world.rows("conversations.insert")
    assert conversation["contact_address"] == "g@g.us"
    assert [row["from"] for row in await world.rows("messages.insert")] == ["111", "222"]


async def test_a_conversation_closes_a_window_after_its_last_row_and_the_next_message_opens_another(world):
    changed = await world.endpoint("row", updates="changed")
    await world.post(incoming("wamid.1"))
    world.clock.move(DAY - HOUR)
    await world.post(incoming("wamid.2"))
    world.clock.move(DAY - 1)
    assert await close_idle_conversations(world.store, window=world.window) == 0
    world.clock.move(1)
    assert await close_idle_conversations(world.store, window=world.window) == 1
    assert await close_idle_conversations(world.store, window=world.window) == 0
    closed = (await world.delivered(changed))[-1]
    assert list(closed["data"]) == ["id", "status", "updated_at"]
    assert closed["data"]["status"] == "closed"
    await world.post(incoming("wamid.3"))
    assert (await world.names())[-3:] == ["conversations.update", "conversations.insert", "messages.insert"]


async def test_the_documents_conversation_closes_exactly_a_day_after_it_opened(world):
    endpoint = await world.endpoint("row", updates="changed")
    await world.post(incoming("wamid.1"))
    world.clock.move(DAY)
    await close_idle_conversations(world.store, window=world.window)
    opened, _, closed = await world.delivered(endpoint)
    assert closed == {
        "data": {"id": opened["data"]["id"], "status": "closed", "updated_at": "2026-05-07T03:39:23+00:00"},
        "entity": "conversations",
        "action": "update",
    }


async def test_an_overdue_conversation_is_closed_before_the_next_one_opens(world):
    await world.post(incoming("wamid.1"))
    world.clock.move(3 * DAY)
    await world.post(incoming("wamid.2"))
    assert (await world.names())[2:] == ["conversations.update", "conversations.insert", "messages.insert"]


def test_a_window_of_zero_never_closes(tmp_path):
    async def scenario(world):
        await world.post(incoming("wamid.1"))
        world.clock.move(400 * DAY)
        assert await close_idle_conversations(world.store, window=0) == 0
        await world.post(incoming("wamid.2"))
        assert (await world.names()).count("conversations.insert") == 1

    play(tmp_path, scenario, window=0)


async def test_the_database_itself_refuses_a_second_open_conversation(world):
    await world.post(incoming("wamid.1"))
    copy = (
        "INSERT INTO conversations SELECT 'another', organization_id, account_id, party, organization_address,"
        " contact_address, service, status, created_at, updated_at, last_row_at, check_at FROM conversations"
    )
    with pytest.raises((IntegrityError, sqlite3.IntegrityError)):
        await world.store.write(lambda c: c.execute(text(copy)))
