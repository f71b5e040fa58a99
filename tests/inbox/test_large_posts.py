"""A POST with many items is applied in parts, and what it may cost is bounded.

Source: docs/reference/delivery.md, "Large POSTs".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tests.inbox.test_statuses import echo, revoke
from tests.world import contact, envelope, incoming, status, statuses, text_message, value

from tellwire.errors import Unavailable
from tellwire.inbox.ingest import Ingest
from tellwire.model.inbound import EVERYTHING, Outcome
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.registry import Registry
from tellwire.ports.storage import LedgerRunner

MANY = 600
"""More than two parts."""


async def test_every_item_of_a_large_post_is_applied_once_and_reported_once(world):
    post = value(contacts=[contact()], messages=[text_message(f"wamid.{n}", f"{n}") for n in range(MANY)])
    inbound = await world.post(post)
    assert [item.outcome for item in inbound.items] == [Outcome.APPLIED] * MANY
    again = await world.post(post)
    assert [item.outcome for item in again.items] == [Outcome.DUPLICATE] * MANY
    rows = await world.rows("messages.insert")
    assert [row["content"]["text"]["body"] for row in rows] == [f"{n}" for n in range(MANY)]
    stored = [json.loads(items) for (items,) in await world.query("SELECT items FROM inbound ORDER BY id")]
    pointers = [f"/entry/0/changes/0/value/messages/{n}" for n in range(MANY)]
    assert [[item["pointer"] for item in items] for items in stored] == [pointers] * 2
    assert await world.query("SELECT outcome FROM inbound ORDER BY id") == [("applied",), ("duplicate",)]


async def test_what_waits_in_one_part_is_released_by_another(world):
    originals = [text_message(f"wamid.{n}") for n in range(MANY)]
    inbound = await world.post(value(messages=[revoke("wamid.r", f"wamid.{MANY - 1}"), *originals]))
    assert {item.outcome for item in inbound.items} == {Outcome.APPLIED}
    assert await world.query("SELECT outcome FROM inbound") == [("applied",)]
    assert await world.query("SELECT * FROM held_items") == []
    assert "deleted" in (await world.rows("messages.update"))[0]["status"]


async def test_parts_of_a_post_may_be_of_several_organizations(world):
    ours = value(contacts=[contact()], messages=[text_message(f"wamid.{n}") for n in range(MANY)])
    inbound = await world.post(ours, value(number="7", messages=[text_message("wamid.other")]), incoming("wamid.last"))
    assert Counter(item.outcome for item in inbound.items) == {Outcome.APPLIED: MANY + 2}
    (stored,) = await world.query("SELECT outcome FROM inbound")
    assert stored == ("applied",)


async def test_few_items_wait_for_one_message(world):
    inbound = await world.post(value(messages=[revoke(f"wamid.r{n}", "wamid.1") for n in range(120)]))
    assert Counter(item.outcome for item in inbound.items) == {Outcome.HELD: 100, Outcome.NOT_UNDERSTOOD: 20}
    assert inbound.items[-1].reason == "100 items wait for this message already"
    await world.post(incoming("wamid.1"))
    assert await world.query("SELECT * FROM held_items") == []


async def test_a_post_that_changes_too_much_stops_and_goes_on_when_it_is_applied_again(world):
    await world.post(value(message_echoes=[echo("wamid.1", "x" * 200_000)]), field="smb_message_echoes")
    inbound = await world.post(statuses(*(status("wamid.1", f"s{n}") for n in range(30))))
    outcomes = [item.outcome for item in inbound.items]
    applied = outcomes.count(Outcome.APPLIED)
    assert 5 <= applied < 10
    assert outcomes == [Outcome.APPLIED] * applied + [Outcome.NOT_UNDERSTOOD] * (30 - applied)
    assert "apply this item again" in inbound.items[-1].reason
    while left := frozenset(item.pointer for item in inbound.items if item.outcome == Outcome.NOT_UNDERSTOOD):
        inbound = await world.ingest.reapply(inbound, left)
    assert {item.outcome for item in inbound.items} == {Outcome.APPLIED}
    assert len(await world.rows("messages.update")) == 30


class Stopping:
    """A store that makes so many decisions durable and no more."""

    def __init__(self, store: LedgerRunner, *, after: int) -> None:
        self._store = store
        self._left = after

    async def apply(self, keys: Keys, decide: Callable[[Ledger], Any]) -> Any:
        if not self._left:
            raise Unavailable("the process ended")
        self._left -= 1
        return await self._store.apply(keys, decide)

    def registry(self) -> Registry:
        return self._store.registry()


async def test_a_post_of_which_parts_were_durable_is_whole_when_meta_sends_it_again(world):
    body = json.dumps(envelope(value(messages=[text_message(f"wamid.{n}") for n in range(MANY)]))).encode()
    with pytest.raises(Unavailable):
        await Ingest(Stopping(world.store, after=2), world.ingest.options).receive(body, EVERYTHING)
    again = await world.post_body(body)
    assert [item.outcome for item in again.items] == [Outcome.DUPLICATE] * 500 + [Outcome.APPLIED] * 100
    assert len(await world.rows("messages.insert")) == MANY


async def test_items_that_have_many_deliveries_are_committed_in_smaller_parts(world):
    for _ in range(30):
        await world.endpoint(events=["messages.insert"])
    parts: list[int] = []
    world.store.on_committed(lambda work: parts.append(len(work)))
    post = value(contacts=[contact()], messages=[text_message(f"wamid.{n}", f"{n}") for n in range(200)])
    inbound = await world.post(post)
    assert [item.outcome for item in inbound.items] == [Outcome.APPLIED] * 200
    assert [report.pointer for report in inbound.items] == [
        f"/entry/0/changes/0/value/messages/{n}" for n in range(200)
    ]
    assert sum(parts) == 200 * 30
    assert max(parts) <= 1000 + 30
    assert [row["content"]["text"]["body"] for row in await world.rows("messages.insert")] == [
        str(n) for n in range(200)
    ]
    again = await world.post(post)
    assert {item.outcome for item in again.items} == {Outcome.DUPLICATE}
