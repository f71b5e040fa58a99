"""Statuses of messages that we sent: matched by our id or by Meta's, whichever is known first."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.inbox.orders import whatever_order
from tests.inbox.sends import accepted, an_account, claim, own, queued, send_of, stored, under_way, waited
from tests.world import CUSTOMER, DAY, NUMBER, START, USER_ID, incoming, status, statuses

from tellwire.conversations import outgoing
from tellwire.inbox.housekeeping import close_idle_conversations
from tellwire.meta.outgoing.types import content_of
from tellwire.model.inbound import Outcome
from tellwire.model.keys import Keys
from tellwire.model.ledger import KeptAnswer
from tellwire.model.tenancy import DEFAULT_ORGANIZATION

SECOND = 1_000_000


@pytest.mark.parametrize("ending", ["under way", "unknown", "queued again"])
async def test_our_id_in_a_status_settles_a_send_whose_answer_is_not_known(world, ending):
    message = await under_way(world)
    if ending == "unknown":
        await own(world, message, lambda ledger: outgoing.mark_unknown(ledger, message.id, epoch=1, cause="a timeout"))
    if ending == "queued again":
        await own(world, message, lambda ledger: outgoing.retry(ledger, message.id, epoch=1, due_at=0, cause="?"))
    brought = statuses(status("wamid.1", "sent", biz_opaque_callback_data=message.id))
    assert (await world.post(brought)).outcome == Outcome.APPLIED
    row = (await world.rows())[-1]
    assert (row["id"], row["wa_id"], list(row["status"])) == (message.id, "wamid.1", ["pending", "sent"])
    assert (await send_of(world, message)).state == "accepted"
    assert (await world.names())[-2:] == ["messages.update", "messages.update"]
    await accepted(world, message, "wamid.1")
    assert (await world.rows())[-1] == row


@pytest.mark.parametrize("strange", ["of another account", "not there", "no id", "incoming", "upper case"])
async def test_what_is_not_our_id_matches_nothing(world, strange):
    message = await queued(world)
    other = replace(world.store.registry().accounts[NUMBER], id=world.store.new_id(), phone_number_id="another")
    await world.store.apply(Keys(), lambda ledger: ledger.put_account(other))
    data = {
        "of another account": message.id,
        "not there": world.store.new_id(),
        "no id": "order 5",
        "incoming": "x" * 300,
        "upper case": message.id.upper(),
    }[strange]
    body = statuses(status("wamid.x", "sent", biz_opaque_callback_data=data))
    if strange == "of another account":
        body["metadata"]["phone_number_id"] = "another"
    await world.post(body)
    assert (await stored(world, message)).wamid == ""
    assert (await world.rows())[-1]["content"] == {"type": "external"}


@pytest.mark.parametrize(
    ("to", "recipient"),
    [
        (f"+{CUSTOMER}", {"to": CUSTOMER}),
        ("+525588392274", {"to": CUSTOMER}),
        (USER_ID, {"to": None, "recipient_user_id": USER_ID}),
        (USER_ID, {"to": CUSTOMER, "recipient_user_id": USER_ID}),
    ],
)
async def test_an_unknown_status_waits_while_a_send_to_its_recipient_is_under_way(world, to, recipient):
    message = await under_way(world, to)
    before = len(await world.events())
    held = await world.post(statuses(status("wamid.1", "delivered", **recipient)))
    assert held.outcome == Outcome.HELD
    assert len(await world.events()) == before
    await accepted(world, message, "wamid.1")
    row = (await world.rows())[-1]
    assert (row["id"], list(row["status"])) == (message.id, ["pending", "delivered"])
    assert await world.query("SELECT count(*) FROM held_items") == [(0,)]
    assert await world.query(f"SELECT outcome FROM inbound WHERE id='{held.id}'") == [("applied",)]
    assert await world.query("SELECT count(*) FROM messages") == [(1,)]


async def test_a_status_of_somebody_else_does_not_wait(world):
    await under_way(world)
    assert (await world.post(statuses(status("wamid.1", "sent", to="4915155500001")))).outcome == Outcome.APPLIED
    await queued(world, "+4915155500002")
    assert (await world.post(statuses(status("wamid.2", "sent", to="4915155500002")))).outcome == Outcome.APPLIED


async def test_it_waits_a_minute_and_no_longer(world):
    message = await under_way(world)
    await world.post(statuses(status("wamid.other", "sent"), status("wamid.other", "read")))
    world.clock.move(60 * SECOND - 1)
    await waited(world)
    assert await world.query("SELECT count(*) FROM held_items") == [(2,)]
    world.clock.move(1)
    await waited(world)
    assert await world.query("SELECT count(*) FROM held_items") == [(0,)]
    row = (await world.rows())[-1]
    assert (row["content"], list(row["status"])) == ({"type": "external"}, ["sent", "read"])
    assert await world.query("SELECT outcome FROM inbound") == [("applied",)]
    await accepted(world, message, "wamid.mine")
    assert (await stored(world, message)).wamid == "wamid.mine"


async def test_a_row_that_turns_out_to_be_ours_is_folded_in(world):
    message = await under_way(world)
    await own(world, message, lambda ledger: outgoing.mark_unknown(ledger, message.id, epoch=1, cause="a timeout"))
    pricing = {"billable": True, "category": "service", "type": "regular"}
    await world.post(statuses(status("wamid.1", "sent", 1_778_038_770, pricing=pricing)))
    await world.post(statuses(status("wamid.1", "failed", 1_778_038_771, errors=[{"code": 131026, "title": "x"}])))
    external = (await world.rows())[-1]
    await world.post(statuses(status("wamid.1", "delivered", 1_778_038_772, biz_opaque_callback_data=message.id)))
    *_, stepped_back, taken, last = await world.rows()
    folded = {"type": "external", "external": {"folded_into": message.id}}
    assert (stepped_back["id"], stepped_back["content"]) == (external["id"], folded)
    assert "wa_id" not in stepped_back
    assert (taken["id"], taken["wa_id"]) == (message.id, "wamid.1")
    assert list(last["status"]) == ["pending", "sent", "delivered", "failed", "errors"]
    assert last["status"]["errors"][0]["code"] == 131026
    assert last["pricing"] == pricing
    assert await world.query("SELECT count(*) FROM messages WHERE wamid = 'wamid.1'") == [(1,)]


async def test_what_the_answer_says_beside_is_a_status(world):
    message = await under_way(world)
    await accepted(world, message, "wamid.1", status="held_for_quality_assessment")
    row = (await world.rows())[-1]
    assert list(row["status"]) == ["pending", "held_for_quality_assessment"]
    changed = (await world.events())[-1].snapshot.changed
    assert set(changed) == {"wa_id", "status"}


async def test_codes_are_hidden_too_when_a_status_says_that_meta_has_them(world):
    parameters = [{"type": "text", "text": "123456"}]
    button = {"type": "button", "sub_type": "url", "index": "0", "parameters": parameters}
    components = [{"type": "body", "parameters": parameters}, button]
    template = {"name": "code", "language": {"code": "en"}, "components": components}
    message = await under_way(world, content=content_of("template", template))
    await own(world, message, lambda ledger: outgoing.mark_unknown(ledger, message.id, epoch=1, cause="a timeout"))
    await world.post(statuses(status("wamid.1", "sent", biz_opaque_callback_data=message.id)))
    assert b"123456" not in (await stored(world, message)).content


async def test_a_conversation_stays_open_while_something_is_to_be_sent(world):
    message = await queued(world, scheduled_at=START + 3 * DAY)
    world.clock.move(2 * DAY)
    assert await close_idle_conversations(world.store, window=DAY) == 0
    account = await an_account(world)
    await own(world, message, lambda ledger: outgoing.cancel(ledger, account, message.id))
    world.clock.move(DAY)
    assert await close_idle_conversations(world.store, window=DAY) == 1


ORDERS = [
    [
        {"name": "read", "at": 1_778_038_765, "ours": False},
        "answer",
        {"name": "sent", "at": 1_778_038_764, "ours": True},
    ],
    ["timeout", {"name": "failed", "at": 1_778_038_765, "ours": False, "code": 131026}, "answer"],
    [
        {"name": "sent", "at": 1_778_038_765, "ours": False, "pricing": {"billable": True}},
        "a minute later",
        {"name": "delivered", "at": 1_778_038_766, "ours": False},
        {"name": "delivered", "at": 1_778_038_765, "ours": True},
        "answer",
    ],
]


async def test_the_final_row_is_the_same_in_any_order_on_each_store(world):
    for number, steps in enumerate(ORDERS):
        await whatever_order(world, steps, number)
        await whatever_order(world, steps[::-1], 100 + number)


async def test_a_decision_sees_the_answers_that_other_processes_kept(world):
    mine, others = (DEFAULT_ORGANIZATION, "order-5"), (DEFAULT_ORGANIZATION, "order-6")
    answer = KeptAnswer("hash", 202, b"{}")
    await world.store.apply(Keys(), lambda ledger: ledger.new_answers.update({mine: answer}))
    seen = await world.store.apply(Keys(answers={mine, others}), lambda ledger: dict(ledger.answered))
    assert seen == {mine: START}


@pytest.mark.parametrize("state", ["accepted", "failed", "unknown"])
async def test_a_status_waits_no_longer_than_the_send_that_it_waits_for(world, state):
    message = await under_way(world)
    before = len(await world.names())
    assert (await world.post(statuses(status("wamid.other", "sent")))).outcome == Outcome.HELD
    for _ in range(3):
        world.clock.move(SECOND)
        await waited(world)
    assert await world.query("SELECT count(*) FROM held_items") == [(1,)]
    account = await an_account(world)
    match state:
        case "accepted":
            await accepted(world, message, "wamid.ours")
        case "failed":
            await own(world, message, lambda ledger: outgoing.fail(ledger, account, message.id, (), "no"))
        case _:
            await own(world, message, lambda ledger: outgoing.mark_unknown(ledger, message.id, epoch=1, cause="?"))
    world.clock.move(SECOND)
    await waited(world)
    assert await world.query("SELECT count(*) FROM held_items") == [(0,)]
    assert (await world.names())[before:].count("messages.insert") == 1


async def test_a_status_waits_a_minute_at_the_most(world):
    await under_way(world)
    await world.post(statuses(status("wamid.other", "sent")))
    for _ in range(59):
        world.clock.move(SECOND)
        await waited(world)
    assert await world.query("SELECT count(*) FROM held_items") == [(1,)]
    world.clock.move(SECOND)
    await waited(world)
    assert await world.query("SELECT count(*) FROM held_items") == [(0,)]


async def test_what_goes_out_late_keeps_its_conversation_open_from_then_on(world):
    message = await queued(world, scheduled_at=START + 3 * DAY)
    world.clock.move(3 * DAY)
    await claim(world, message)
    await accepted(world, message, "wamid.late")
    world.clock.move(DAY - SECOND)
    assert await close_idle_conversations(world.store, window=DAY) == 0
    await world.post(incoming("wamid.answer"))
    assert (await world.names()).count("conversations.insert") == 1
    world.clock.move(DAY)
    assert await close_idle_conversations(world.store, window=DAY) == 1


async def test_what_goes_out_at_once_writes_no_conversation(world):
    message = await queued(world)
    (before,) = await world.query("SELECT last_row_at FROM conversations")
    world.clock.move(SECOND)
    await claim(world, message)
    await accepted(world, message, "wamid.soon")
    assert await world.query("SELECT last_row_at FROM conversations") == [before]
