"""Threads of other responders, handovers and marketing preferences: told, kept with the person, and never a row."""

from __future__ import annotations

import itertools
import json

import pytest
from sqlalchemy import text
from tests.inbox.test_notices import about
from tests.world import (
    CUSTOMER,
    DAY,
    DISPLAY,
    HOUR,
    NUMBER,
    START,
    USER_ID,
    contact,
    envelope,
    incoming,
    status,
    statuses,
    text_message,
    value,
)

from tellwire.accounts import facts
from tellwire.model.inbound import Outcome
from tellwire.stores.queries import messages

AT = START // 1_000_000
TOLD = (
    "account.warning",
    "contact.preference_changed",
    "standby.echo",
    "standby.message",
    "standby.status",
    "thread.control_passed",
    "thread.control_taken",
)


def copies(**held):
    return value(standby={"contacts": [contact()], **held})


def copied(wamid, *, sender=CUSTOMER, **more):
    return copies(messages=[text_message(wamid, sender=sender, **more)])


def handover(event, *, at=AT, sender=CUSTOMER, **more):
    named = {"sender": {"phone_number": sender}} if sender else {}
    return {
        "messaging_product": "whatsapp",
        "recipient": {"phone_number_id": NUMBER, "display_phone_number": DISPLAY},
        "type": event,
        "timestamp": str(at),
        event: {"previous_owner_role": "ai_agent", "new_owner_role": "escalation", **more},
        **named,
    }


def choice(word, at=AT, *, number=NUMBER, card=None, **whose):
    entry = {"category": "marketing_messages", "value": word, "timestamp": at, **(whose or {"wa_id": CUSTOMER})}
    return value(number=number, user_preferences=[entry]) | ({"contacts": [card]} if card else {})


async def prefer(world, *values):
    """What became of each."""
    return [(await world.post(each, field="user_preferences")).outcome for each in values]


async def marketing(world):
    """What every contact that counts wants."""
    rows = await world.query("SELECT marketing FROM contacts WHERE merged_into = ''")
    return [
        {account: (each["choice"], each["at"]) for account, each in json.loads(found or "{}").items()}
        for (found,) in rows
    ]


async def told(world):
    return [event.name for event in await world.events() if event.entity == "operational"]


# --- voicemail, usernames ---------------------------------------------------------------------------------------------


async def test_a_voicemail_is_a_message_and_what_is_told_of_its_call_is_none(world):
    audio = {"id": "1", "mime_type": "audio/ogg", "voice": True}
    voicemail = {"from": CUSTOMER, "id": "wacid.1", "timestamp": str(AT), "type": "audio", "audio": audio}
    inbound = await world.post(value(contacts=[contact()], messages=[voicemail]))
    assert [each.outcome for each in inbound.items] == [Outcome.APPLIED]
    assert (await world.post(value(messages=[voicemail]))).outcome == Outcome.DUPLICATE
    for of_the_call in (statuses(status("wacid.1", "read")), value(calls=[{"id": "wacid.1", "event": "terminate"}])):
        field = "calls" if "calls" in of_the_call else "messages"
        assert (await world.post(of_the_call, field=field)).outcome == Outcome.NOT_UNDERSTOOD
    assert await world.names() == ["conversations.insert", "messages.insert"]
    (row,) = await world.rows("messages.insert")
    assert (row["wa_id"], row["content"]["type"], list(row["status"])) == ("wacid.1", "audio", ["pending"])


@pytest.mark.parametrize("field", ["business_username_update", "business_username_updates"])
async def test_a_username_is_kept_whichever_way_the_field_is_spelled(world, field):
    await world.post(incoming("wamid.1"))
    news = {"display_phone_number": DISPLAY, "username": "test_shop", "status": "reserved"}
    assert (await world.post(news, field=field)).outcome == Outcome.APPLIED
    assert await about(world) == {"username": "test_shop", "username_status": "reserved"}
    assert await told(world) == ["account.updated"]


# --- copies -----------------------------------------------------------------------------------------------------------


async def test_copies_are_told_and_make_no_row_no_conversation_and_no_window(world):
    endpoint = await world.endpoint("row", events=TOLD)
    await world.post(incoming("wamid.0"))
    echo = {"id": "wamid.2", "timestamp": str(AT), "message": {"to": CUSTOMER, "type": "text", "text": {"body": "Hi"}}}
    values = (
        copied("wamid.1", at=AT + 5),
        copies(message_echoes=[echo]),
        copies(statuses=[status("wamid.2", "delivered"), status("wamid.2", "read")]),
    )
    for each in values * 2:
        await world.post(each, field="standby")
    events = await world.delivered(endpoint)
    assert [each["type"] for each in events] == [
        "account.warning",
        "standby.message",
        "standby.echo",
        "standby.status",
        "standby.status",
    ]
    assert events[1]["data"]["value"] == values[0]["standby"]["messages"][0]
    assert (events[1]["data"]["wa_id"], events[1]["data"]["phone_number_id"]) == ("wamid.1", NUMBER)
    assert events[2]["data"]["value"] == echo
    [(person,)] = await world.query("SELECT id FROM contacts")
    assert {each["data"]["contact_id"] for each in events[1:]} == {person}
    assert await world.query("SELECT count(*) FROM messages") == [(1,)]
    assert await world.query("SELECT count(*) FROM conversations") == [(1,)]
    assert await world.query("SELECT count(*) FROM windows") == [(0,)]
    keys = {event.order_key for event in await world.events() if event.contact_id}
    assert keys == {event.order_key for event in await world.events() if event.name == "messages.insert"}


async def test_who_is_known_from_copies_alone_is_a_contact_without_a_conversation(world):
    inbound = await world.post(copied("wamid.1"), field="standby")
    assert [(each.kind, each.outcome) for each in inbound.items] == [("standby message", Outcome.APPLIED)]
    assert await world.query("SELECT phone, name FROM contacts") == [(CUSTOMER, "Bharath")]
    assert await world.query("SELECT count(*) FROM conversations") == [(0,)]
    assert "wamid" not in str(await world.query("SELECT wamid FROM message_statuses"))


async def test_odd_copies_cost_their_neighbours_nothing(world):
    held = {
        "contacts": [contact()],
        "messages": [7, {"type": "text"}, text_message("wamid.1"), text_message("wamid.2", sender=None)],
        "statuses": "none",
        "of_the_future": [1],
    }
    body = envelope(value(standby=held), value(standby={}), value(), field="standby")
    body["entry"][0]["changes"].append({"field": "messages", "value": incoming("wamid.3")})
    inbound = await world.post_body(body)
    assert [each.outcome for each in inbound.items] == [
        Outcome.APPLIED,  # wamid.3
        Outcome.NOT_UNDERSTOOD,
        Outcome.NOT_UNDERSTOOD,
        Outcome.APPLIED,
        Outcome.APPLIED,  # whom the only card names
        Outcome.NOT_UNDERSTOOD,
        Outcome.NOT_UNDERSTOOD,
        Outcome.RECORDED,
        Outcome.NOT_UNDERSTOOD,
    ]


# --- a number that gets only copies -----------------------------------------------------------------------------------


async def silent(world):
    [(found,)] = await world.query(f"SELECT about FROM accounts WHERE phone_number_id = '{NUMBER}'")
    return [each for each in facts.problems(facts.known(found), AT) if "standby" in each]


async def test_a_number_that_gets_only_copies_is_a_warning_once_until_messages_come(world):
    await world.post(incoming("wamid.0"))
    assert await silent(world) == []
    for number in range(3):
        await world.post(copied(f"wamid.c{number}"), field="standby")
        world.clock.move(HOUR)
    assert (await told(world)).count("account.warning") == 1
    (warning,) = await world.rows("account.warning")
    assert (warning["field"], warning["phone_number_id"]) == ("standby", NUMBER)
    assert warning["reason"].startswith("Meta sends only copies")
    assert len(await silent(world)) == 1
    assert (await about(world))["standby"]["since"] == AT
    await world.post(incoming("wamid.1"))
    assert await silent(world) == []


@pytest.mark.parametrize("kind", ["echo", "status"])
async def test_copies_of_what_was_sent_say_nothing_of_what_customers_write(world, kind):
    await world.post(incoming("wamid.0"))
    of_kind = {
        "echo": copies(message_echoes=[{"id": "wamid.1", "message": {"to": CUSTOMER}}]),
        "status": copies(statuses=[status("wamid.1", "read")]),
    }
    await world.post(of_kind[kind], field="standby")
    assert await silent(world) == []


async def test_messages_and_copies_in_turns_change_the_account_seldom_and_warn_once_a_day(world):
    await world.post(incoming("wamid.0"))

    async def version():
        return (await world.query("SELECT value FROM facts WHERE name = 'registry'"))[0][0]

    before = await version()
    for number in range(60):
        await world.post(copied(f"wamid.c{number}"), field="standby")
        await world.post(incoming(f"wamid.m{number}"))
        world.clock.move(HOUR // 60)
    assert await version() - before <= 2 * 7
    assert (await told(world)).count("account.warning") == 1
    world.clock.move(DAY)
    await world.post(copied("wamid.late"), field="standby")
    assert (await told(world)).count("account.warning") == 2


async def test_history_and_echoes_are_no_message_that_came(world):
    await world.post(copied("wamid.1"), field="standby")
    thread = {"id": CUSTOMER, "messages": [text_message("wamid.old")]}
    await world.post(value(history=[{"threads": [thread]}]), field="history")
    await world.post(
        value(message_echoes=[text_message("wamid.echo", sender=DISPLAY, to=CUSTOMER)]), field="smb_message_echoes"
    )
    assert len(await silent(world)) == 1


# --- handovers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["control_passed", "control_taken"])
async def test_a_handover_is_told_once_with_metas_fields(world, event):
    endpoint = await world.endpoint("chat", events=(f"thread.{event}",))
    await world.post(incoming("wamid.1"))
    given = handover(event, conversation_context={"type": "summary", "summary": {"text": "Asks for a bill."}})
    assert (await world.post(given, field="messaging_handovers")).outcome == Outcome.APPLIED
    assert (await world.post(given, field="messaging_handovers")).outcome == Outcome.DUPLICATE
    (found,) = await world.delivered(endpoint)
    [(person,)] = await world.query("SELECT id FROM contacts")
    assert found["type"] == f"thread.{event}"
    assert found["data"]["value"] == given
    assert (found["data"]["contact_id"], found["data"]["event"]) == (person, event)
    later = handover(event, at=AT + 60)
    assert (await world.post(later, field="messaging_handovers")).outcome == Outcome.APPLIED


async def test_a_handover_that_names_nobody_is_told_too(world):
    await world.post(incoming("wamid.1"))
    assert (await world.post(handover("control_taken", sender=""), field="messaging_handovers")).outcome == "applied"
    (row,) = await world.rows("thread.control_taken")
    assert "contact_id" not in row
    unknown = handover("control_shared")
    assert (await world.post(unknown, field="messaging_handovers")).outcome == Outcome.NOT_UNDERSTOOD


# --- preferences ------------------------------------------------------------------------------------------------------


async def test_a_stop_is_kept_for_the_account_and_told_once(world):
    endpoint = await world.endpoint("row", events=TOLD)
    await world.post(incoming("wamid.1"))
    [(account,)] = await world.query("SELECT id FROM accounts")
    stop, resume = choice("stop"), choice("resume", AT + 60)
    assert await prefer(world, stop, stop, resume, stop, resume) == [
        Outcome.APPLIED,
        Outcome.DUPLICATE,
        Outcome.APPLIED,
        Outcome.RECORDED,
        Outcome.DUPLICATE,
    ]
    assert await marketing(world) == [{account: ("resume", AT + 60)}]
    events = await world.delivered(endpoint)
    assert [(each["type"], each["data"]["event"]) for each in events] == [
        ("contact.preference_changed", "stop"),
        ("contact.preference_changed", "resume"),
    ]
    assert events[0]["data"]["value"] == stop["user_preferences"][0]
    assert events[0]["data"]["category"] == "marketing_messages"


async def test_what_comes_again_brings_no_name_back(world):
    old = choice("stop") | {"contacts": [contact(CUSTOMER, "Luz")]}
    other = value(
        user_preferences=[{"wa_id": CUSTOMER, "category": "of_the_future", "value": "maybe"}],
        contacts=[contact(CUSTOMER, "Luz")],
    )
    await prefer(world, old, other)
    await world.post(value(contacts=[contact(CUSTOMER, "Luz Vera")], messages=[text_message("wamid.1")]))
    assert await prefer(world, old, other) == [Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert await world.query("SELECT name FROM contacts") == [("Luz Vera",)]


async def test_the_last_word_counts_whatever_comes_first(world):
    words = [("stop", AT), ("resume", AT + 10), ("stop", AT + 20), ("resume", AT + 20)]
    orders = list(itertools.permutations(words))
    for turn in range(len(words)):
        body = [choice(*order[turn], wa_id=f"4915100000{number:02}") for number, order in enumerate(orders)]
        await prefer(world, *body)
    found = await marketing(world)
    assert len(found) == len(orders)
    assert all(list(each.values()) == [("stop", AT + 20)] for each in found)  # at the same time, the stop counts


async def test_somebody_unknown_is_kept_and_what_is_no_marketing_only_told(world):
    other = value(user_preferences=[{"wa_id": CUSTOMER, "category": "of_the_future", "value": "maybe"}])
    assert await prefer(world, other, other, choice("stop")) == [Outcome.APPLIED, Outcome.DUPLICATE, Outcome.APPLIED]
    assert await world.query("SELECT phone FROM contacts") == [(CUSTOMER,)]
    (found,) = await marketing(world)
    assert [word for word, _ in found.values()] == ["stop"]
    assert await world.query("SELECT count(*) FROM conversations") == [(0,)]


async def test_it_is_kept_by_number_and_outlives_a_merge(world):
    await prefer(world, choice("stop", AT))
    await prefer(world, choice("stop", AT + 5, number="900000000000002"))
    await prefer(world, choice("resume", AT + 9, user_id=USER_ID))
    assert len(await marketing(world)) == 2
    both = value(contacts=[contact(CUSTOMER, user_id=USER_ID)], messages=[text_message("w", from_user_id=USER_ID)])
    await world.post(both)
    accounts = dict(await world.query("SELECT phone_number_id, id FROM accounts"))
    assert await marketing(world) == [
        {accounts[NUMBER]: ("resume", AT + 9), accounts["900000000000002"]: ("stop", AT + 5)}
    ]


async def test_a_new_word_of_metas_makes_no_row_and_reads_back(world):
    await prefer(world, choice("stop", card=contact(CUSTOMER, "Ana")))
    [(person, organization)] = await world.query("SELECT id, organization_id FROM contacts")
    found = await world.store.read(lambda c: messages.get_contact(c, organization, person))
    assert found is not None
    assert (found.name, "stop" in found.marketing) == ("Ana", True)
    await world.store.write(lambda c: c.execute(text("UPDATE contacts SET name = 'Anna'")))
    assert [word for each in await marketing(world) for word, _ in each.values()] == ["stop"]


async def test_clicks_beside_a_message_are_recorded_and_cost_it_nothing(world):
    click = {"action_type": "marketing_messages_link_click", "timestamp": str(AT)}
    beside = incoming("wamid.1") | {"user_actions": [click, click], "conversation_context": {"type": "summary"}}
    inbound = await world.post(beside)
    assert [each.outcome for each in inbound.items] == [Outcome.APPLIED, Outcome.RECORDED, Outcome.RECORDED]
    assert (await world.post(value(user_actions=[click]))).outcome == Outcome.RECORDED
