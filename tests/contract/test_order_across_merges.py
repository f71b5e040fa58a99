"""Order holds across the merge of contacts at any moment, for each endpoint and over each store.

What waits of the younger contact, its conversation's closing last, goes out before anything later of the survivor.
Source: docs/reference/delivery.md, "Order".
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.inbox.sends import an_account, queued
from tests.world import DAY, KIND, START, SetClock, World, contact, text_message, value

from tellwire.clock import SystemClock
from tellwire.conversations import recipients
from tellwire.conversations.recipients import Named
from tellwire.delivery.attempt import Wire
from tellwire.delivery.dispatcher import Dispatcher
from tellwire.formats import FORMATS
from tellwire.inbox.told import PREFERENCE
from tellwire.meta.webhooks.items import WebhookContact
from tellwire.model.routing import order_key
from tellwire.ports.http_out import Answer, Request
from tellwire.stores.postgres.outbox import PostgresOutbox
from tellwire.stores.postgres.store import PostgresStore
from tellwire.stores.sqlite.outbox import SqliteOutbox

NOW = START // 1_000_000
PATIENCE = 30.0
_numbers = itertools.count(1)
STEPS = st.lists(
    st.sampled_from(["number", "user id", "other", "stops", "tie both", "tie other", "open", "shut"]),
    min_size=3,
    max_size=16,
)


class Gate:
    """A receiver that takes deliveries while it is open, and refuses the first attempt of every third."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self._took = asyncio.Event()
        self.taken: list[str] = []
        self.refused: set[str] = set()
        self.asked = itertools.count()

    async def send(self, request: Request) -> Answer:
        await self.open.wait()
        name = dict(request.headers)["webhook-id"]
        if next(self.asked) % 3 == 2 and name not in self.refused:
            self.refused.add(name)
            return Answer(status=500, cause="not yet")
        self.taken.append(name)
        self._took.set()
        return Answer(status=200)

    async def took(self) -> None:
        """Return when more was taken, or a little later: what was taken is recorded after that."""
        self._took.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await self._took.wait()

    async def close(self) -> None:
        self.open.set()


class Stage:
    """A world whose deliveries are made."""

    def __init__(self, world: World, gate: Gate, dispatcher: Dispatcher) -> None:
        self.world, self.gate, self.dispatcher = world, gate, dispatcher
        self.serial = itertools.count()
        self.joined: dict[tuple[str, str], str] = {}
        """(younger, survivor) → the last delivery before they became one: what the survivor had got until then is of
        somebody else."""

    async def play(self, steps: list[str]) -> None:
        one = next(_numbers)
        number, user_id, other = f"49151{one:08}", f"DE.{one}", f"49152{one:08}"
        self.gate.open.clear()
        begun = len(self.gate.taken)
        for step in [*steps, "number", "tie both", "number", "tie other", "number", "user id", "other"]:
            last = await self._do(step, number, user_id, other, f"wamid.{one}.{next(self.serial)}")
            for pair in await self.world.query("SELECT id, merged_into FROM contacts WHERE merged_into <> ''"):
                self.joined.setdefault((pair[0], pair[1]), last)
        self.gate.open.set()
        async with asyncio.timeout(PATIENCE):
            while await self.world.query("SELECT id FROM deliveries WHERE state <> 'delivered' LIMIT 1"):
                await self.gate.took()
        await self._check(self.gate.taken[begun:])

    async def _last(self) -> str:
        ((last,),) = await self.world.query("SELECT coalesce(max(id), '') FROM deliveries")
        return str(last)

    async def _do(self, step: str, number: str, user_id: str, other: str, wamid: str) -> str:
        """Take a step; return the last delivery before it made one contact of two, if it did."""
        world, last = self.world, await self._last()
        world.clock.move(1000)
        match step:
            case "open":
                self.gate.open.set()
                await asyncio.sleep(0)
            case "shut":
                self.gate.open.clear()
            case "number":
                await world.post(value(messages=[text_message(wamid, sender=number)]))
            case "other":
                await world.post(value(messages=[text_message(wamid, sender=other)]))
            case "user id":
                await world.post(value(messages=[text_message(wamid, sender=None, from_user_id=user_id)]))
            case "stops":
                stop = {"wa_id": other, "category": "marketing_messages", "value": f"word {wamid}", "timestamp": NOW}
                await world.post(value(user_preferences=[stop]), field="user_preferences")
            case "tie both":
                card = contact(number, "Ana", user_id)
                await world.post(value(contacts=[card], messages=[text_message(wamid, sender=number)]))
            case _:
                message = await queued(world, f"+{number}")
                last = await self._last()
                named = Named(WebhookContact(address=other, aliases=(other,)), NOW)
                keys = recipients.keys_of_names(await an_account(world), message.id, [named])
                await world.store.apply(keys, lambda ledger: recipients.name(ledger, message.id, named))
        return last

    async def _check(self, taken: list[str]) -> None:
        account = await an_account(self.world)
        rows = await self.world.query("SELECT webhook_id, endpoint_id, order_key, id FROM deliveries ORDER BY id")
        place = {name: at for at, name in enumerate(taken)}
        lines: dict[tuple[str, str], list[tuple[str, int]]] = {}
        for name, endpoint, key, delivery_id in rows:
            if name in place:
                lines.setdefault((endpoint, key), []).append((delivery_id, place[name]))
        for line in lines.values():
            assert [at for _, at in line] == sorted(at for _, at in line), "out of order within a contact"
        for (younger, survivor), joined in self.joined.items():
            keys = order_key(account.id, younger), order_key(account.id, survivor)
            theirs = [delivery_id for (_, key), line in lines.items() if key == keys[0] for delivery_id, _ in line]
            for endpoint in {each for each, _ in lines}:
                before = [at for _, at in lines.get((endpoint, keys[0]), [])]
                after = lines.get((endpoint, keys[1]), [])
                later = [at for delivery_id, at in after if delivery_id > max([joined, *theirs])]
                assert max(before, default=-1) < min(later, default=len(taken)), "overtaken"


@asynccontextmanager
async def staged(path: Path) -> AsyncIterator[Stage]:
    world = World(path, SetClock(START), DAY, auto_accounts=True, kind=KIND.get())
    await world.store.open()
    try:
        await world.endpoint()
        await world.endpoint(events=("messages.insert", PREFERENCE))
        await world.endpoint(ordering="strict", events=("conversations.update", "messages.insert", PREFERENCE))
        clock, gate, store = SystemClock(), Gate(), world.store
        postgres = isinstance(store, PostgresStore)
        outbox = PostgresOutbox(store, clock=clock) if postgres else SqliteOutbox(store, clock=clock)  # type: ignore[arg-type]
        wire = Wire(
            formats=FORMATS,
            sign=lambda body, *, webhook_id, timestamp, secrets: "",
            hub_signature=lambda body, secret: "",
        )
        schedule = (0.0, *[0.02] * 20)
        dispatcher = Dispatcher(outbox, gate, clock, wire=wire, schedule=schedule, random=lambda: 0.0)
        await dispatcher.start("one")
        try:
            yield Stage(world, gate, dispatcher)
        finally:
            gate.open.set()
            await dispatcher.stop(5.0)
    finally:
        await world.close()


@pytest.fixture
def stage(tmp_path: Path, each_store: None) -> Iterator[tuple[asyncio.Runner, Stage]]:
    with asyncio.Runner() as runner:
        entered = staged(tmp_path / "world.db")
        yield runner, runner.run(entered.__aenter__())
        runner.run(entered.__aexit__(None, None, None))


def test_a_later_message_never_overtakes_what_waits_of_the_younger_contact(
    stage: tuple[asyncio.Runner, Stage],
) -> None:
    runner, played = stage

    @settings(max_examples=25, deadline=None)
    @example(steps=["number", "user id", "user id", "tie both", "number"])
    @example(steps=["user id", "other", "tie other", "user id"])
    @example(steps=["number", "open", "shut", "stops", "stops", "stops", "tie other"])
    @example(steps=["number", "other", "open", "user id", "shut", "tie other", "other", "tie both"])
    @given(steps=STEPS)
    def in_any_order(steps: list[str]) -> None:
        runner.run(played.play(steps))

    in_any_order()
