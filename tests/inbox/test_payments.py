"""Payments of customers, which Meta tells among the statuses of a message, and which are none.

Source: docs/reference/formats.md, "Payments".
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from tests.inbox.payments import AT, CAPTURED, FAILED, PENDING, WAMID, payment
from tests.inbox.sends import accepted, queued, stored, under_way, waited
from tests.world import CUSTOMER, NUMBER, World, incoming, status, statuses

from tellwire.conversations import payments
from tellwire.model.inbound import Outcome

SECOND = 1_000_000


async def sent(world: World, wamid: str = WAMID) -> Any:
    message = await queued(world)
    await accepted(world, message, wamid)
    await world.post(statuses(status(wamid, "sent", AT - 9), status(wamid, "read", AT - 5)))
    return message


def kept(message: Any) -> list[tuple[str, int, str]]:
    found = [(each.status, each.at, msgspec.json.decode(each.payment)) for each in payments.of(message)]
    return [(name, at, about.get("transaction", {}).get("id", "")) for name, at, about in found]


async def test_a_payment_is_no_status_of_its_message_and_is_told_once(world):
    row = await world.endpoint("row", events=("messages.update", "message.payment"))
    chat = await world.endpoint("chat", events=("status_update", "message.payment"))
    message = await sent(world)
    before = len(await world.names())
    assert (await world.post(statuses(FAILED))).outcome == Outcome.APPLIED
    assert (await world.post(statuses(FAILED))).outcome == Outcome.DUPLICATE
    assert (await world.post(statuses(CAPTURED))).items[0].kind == "payment captured"
    assert (await world.names())[before:] == ["message.payment"] * 2
    final = await stored(world, message)
    assert list(final.status) == ["pending", "sent", "read"]
    assert final.errors == b""
    assert kept(final) == [("failed", AT + 1, "t1"), ("captured", AT + 9, "t2")]
    assert len(await world.query(f"SELECT name FROM message_statuses WHERE wamid = '{WAMID}'")) == 2
    for endpoint in (row, chat):
        *_, failed, captured = await world.delivered(endpoint)
        assert [failed["type"], captured["type"]] == ["message.payment"] * 2
        assert captured["data"] == {
            "message_id": message.id,
            "conversation_id": message.conversation_id,
            "account_id": message.account_id,
            "phone_number_id": NUMBER,
            "wa_id": WAMID,
            "status": "captured",
            "at": "2026-05-06T03:40:09+00:00",
            "payment": CAPTURED["payment"],
        }


async def test_a_failed_payment_does_not_hide_that_the_message_failed(world):
    message = await sent(world)
    await world.post(statuses(FAILED))
    later = status(WAMID, "failed", AT + 30, errors=[{"code": 131026, "title": "Message undeliverable"}])
    assert (await world.post(statuses(later))).outcome == Outcome.APPLIED
    final = await stored(world, message)
    assert "failed" in final.status
    assert json.loads(final.errors)[0]["code"] == 131026


async def test_what_was_paid_is_the_same_in_any_order_and_grouping(world):
    found = []
    for number, order in enumerate(itertools.permutations((PENDING, FAILED, CAPTURED))):
        wamid = f"wamid.{number}"
        message = await sent(world, wamid)
        items = [{**each, "id": wamid} for each in order]
        groups = [items] if number % 2 else [[each] for each in items]
        for group in [*groups, items]:
            await world.post(statuses(*group))
        found.append((await stored(world, message)).payments)
    assert len(set(found)) == 1
    assert (await world.names()).count("message.payment") == 3 * 6


@pytest.mark.parametrize("name", ["sent", "captured"])
async def test_a_payment_of_a_message_sent_elsewhere_waits_a_minute_for_its_row(world, name):
    await world.post(incoming("wamid.first"))
    assert (await world.post(statuses(CAPTURED))).outcome == Outcome.HELD
    if name == "sent":
        await world.post(statuses(status(WAMID, "sent", AT - 9)))
    else:
        world.clock.move(61 * SECOND)
        await waited(world)
    assert (await world.names())[2:] == ["messages.insert", "message.payment"]
    inserted = (await world.rows("messages.insert"))[-1]
    assert (inserted["content"], inserted["to"]) == ({"type": "external"}, CUSTOMER)
    assert list(inserted["status"]) == (["sent"] if name == "sent" else [])
    assert await world.query("SELECT * FROM held_items") == []


async def test_a_payment_without_a_row_of_an_account_that_holds_is_held_and_shown(world):
    await world.post(incoming("wamid.first"))
    await world.set_account(unknown_statuses="hold")
    await world.post(statuses(CAPTURED))
    world.clock.move(61 * SECOND)
    await waited(world)
    assert await world.query("SELECT outcome FROM inbound ORDER BY id") == [("applied",), ("held",)]
    assert (await world.names())[2:] == []


async def test_a_payment_moves_to_our_message_when_its_row_turns_out_to_be_one(world):
    message = await under_way(world)
    world.clock.move(SECOND)
    await world.post(statuses({**CAPTURED, "from": CUSTOMER}))
    world.clock.move(61 * SECOND)
    await waited(world)
    await accepted(world, message, WAMID)
    assert kept(await stored(world, message)) == [("captured", AT + 9, "t2")]


async def test_the_payer_may_be_named_by_from(world):
    named = {key: given for key, given in CAPTURED.items() if key != "recipient_id"} | {"from": CUSTOMER}
    await world.post(incoming("wamid.first"))
    await world.post(statuses(named))
    world.clock.move(61 * SECOND)
    await waited(world)
    assert (await world.rows("messages.insert"))[-1]["to"] == CUSTOMER


async def test_a_payment_of_a_message_that_came_in_is_not_understood(world):
    await world.post(incoming(WAMID))
    assert (await world.post(statuses(CAPTURED))).outcome == Outcome.NOT_UNDERSTOOD


async def test_a_row_keeps_so_many_payments(world):
    message = await sent(world)
    many = [payment("failed", AT + n, f"t{n}") for n in range(payments.MOST + 5)]
    inbound = await world.post(statuses(*many))
    assert [item.outcome for item in inbound.items].count(Outcome.APPLIED) == payments.MOST
    assert inbound.items[-1].outcome == Outcome.NOT_UNDERSTOOD
    assert len(payments.of(await stored(world, message))) == payments.MOST
