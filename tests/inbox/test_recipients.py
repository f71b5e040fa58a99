"""Whom a status is about, and what it says of them, over a real store.

Source: docs/reference/formats.md, "Who" and "Groups".
"""

from __future__ import annotations

from tests.inbox.test_statuses import echo
from tests.world import CUSTOMER, USER_ID, contact, incoming, status, statuses, text_message, value

GROUP = "120363418770915618@g.us"


def senders(payloads):
    return [payload["participants"]["sender"] for payload in payloads]


async def test_a_status_brings_the_contacts_name(world):
    chat = await world.endpoint("chat")
    await world.post(value(message_echoes=[echo("wamid.1")]), field="smb_message_echoes")
    await world.post(statuses(status("wamid.1", "sent")))
    await world.post(value(contacts=[contact()], statuses=[status("wamid.1", "delivered")]))
    await world.post(statuses(status("wamid.1", "read")))
    named = {"from": CUSTOMER, "profile": {"name": "Bharath"}}
    assert senders(await world.delivered(chat)) == [{"from": CUSTOMER, "profile": {"name": ""}}, named, named]
    assert (await world.rows())[-1]["contact"] == {"name": "Bharath", "phone": CUSTOMER}


async def test_a_status_that_names_phone_and_user_id_ties_them(world):
    await world.post(value(message_echoes=[echo("wamid.1")]), field="smb_message_echoes")
    await world.post(statuses(status("wamid.1", "sent", recipient_user_id=USER_ID)))
    anonymous = text_message("wamid.2", sender=None, from_user_id=USER_ID)
    await world.post(value(contacts=[contact(None, "Bharath", USER_ID)], messages=[anonymous]))
    assert (await world.names()).count("conversations.insert") == 1


async def test_the_recipient_is_shown_as_meta_gave_it(world):
    chat = await world.endpoint("chat")
    anonymous = text_message("wamid.1", sender=None, from_user_id=USER_ID)
    await world.post(value(contacts=[contact(None, "Bharath", USER_ID)], messages=[anonymous]))
    await world.post(statuses(status("wamid.2", "sent", recipient_user_id=USER_ID)))
    await world.post(statuses(status("wamid.2", "read", to=None, recipient_user_id=USER_ID)))
    assert [sender["from"] for sender in senders(await world.delivered(chat))] == [USER_ID, CUSTOMER, USER_ID]


async def test_a_group_status_names_its_own_participant(world):
    chat = await world.endpoint("chat")
    for number, name in (("5215500000001", "Ann"), ("5215500000002", "Bob")):
        item = status("wamid.1", "read", to=GROUP, recipient_type="group", recipient_participant_id=number)
        await world.post(value(contacts=[contact(number, name)], statuses=[item]))
    assert senders(await world.delivered(chat)) == [
        {"from": "5215500000001", "profile": {"name": "Ann"}},
        {"from": "5215500000002", "profile": {"name": "Bob"}},
    ]
    assert all("contact" not in row for row in await world.rows() if "wa_id" in row)


async def test_a_row_of_a_contact_that_was_merged_shows_the_survivor(world):
    chat = await world.endpoint("chat")
    await world.post(incoming("wamid.1"))
    world.clock.move(1)
    unnamed = echo("wamid.2") | {"to": "", "to_user_id": USER_ID}
    await world.post(value(message_echoes=[unnamed]), field="smb_message_echoes")
    tie = text_message("wamid.3", from_user_id=USER_ID)
    await world.post(value(contacts=[contact(user_id=USER_ID)], messages=[tie]))
    await world.post(statuses(status("wamid.2", "delivered")))
    last = (await world.rows())[-1]
    assert last["wa_id"] == "wamid.2"
    assert last["contact"] == {"name": "Bharath", "phone": CUSTOMER, "user_id": USER_ID}
    assert senders(await world.delivered(chat))[-1] == {"from": CUSTOMER, "profile": {"name": "Bharath"}}
