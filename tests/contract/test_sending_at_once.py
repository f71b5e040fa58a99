"""Messages whose callers wait: sent when their turn comes in time, tried once, and cancelled otherwise."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.contract.sending_world import LOST, UNREACHED, error, office
from tests.world import World

from tellwire.sending.outcomes import PAIR_IS_FULL, TOO_LATE
from tellwire.sending.rate_limits import PAIR_BURST

pytestmark = pytest.mark.usefixtures("each_store")

SECOND = 1_000_000
PATIENCE = 2 * SECOND
TO = "+4915112345671"


async def test_it_is_sent_and_its_caller_is_told_whether_they_wait_before_or_after(world: World):
    async with office(world) as at:
        early = await at.queue(TO, patience=PATIENCE)
        told = await at.answers.wait(early, 10)
        await at.until("accepted")
        late = await at.queue(TO, patience=PATIENCE)
        await at.until("accepted", "accepted")
        for identifier, answer in ((early, told), (late, await at.answers.wait(late, 0))):
            assert answer is not None
            assert (answer.word, answer.status) == ("accepted", 200)
            assert json.loads(answer.body)["messages"] == [{"id": f"wamid.{identifier}"}]
        plain = await at.queue(TO)
        await at.until("accepted", "accepted", "accepted")
        assert await at.answers.wait(plain, 0) is None


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (error(131016, 503), "failed"),
        (error(130429), "failed"),
        (error(131056), "failed"),
        (error(190, 401), "failed"),
        (error(131026), "failed"),
        (UNREACHED, "failed"),
        (LOST, "unknown"),
    ],
)
async def test_it_is_tried_once_whatever_the_answer(world: World, answer, state):
    async with office(world) as at:
        at.meta.answers.append(answer)
        sent = await at.queue(TO, patience=PATIENCE)
        told = await at.answers.wait(sent, 10)
        await at.until(state)
        assert told is not None
        assert told.status == answer.status
        assert ("failed" in await at.statuses(sent)) == (state == "failed")
        world.clock.move(3600 * SECOND)
        await at.rounds()
        assert len(at.meta.asked) == 1
        assert bool(at.account.sending_paused) == (b"190" in answer.body)


async def test_it_is_cancelled_when_its_turn_comes_too_late(world: World):
    async with office(world, started=False) as at:
        sent, after = await at.queue(TO, patience=PATIENCE), await at.queue(TO)
        world.clock.move(PATIENCE + 1)
        at.sending_worker.start()
        await at.until("cancelled", "accepted")
        assert [body["biz_opaque_callback_data"] for body in at.meta.bodies] == [after]
        assert (await at.sends())[sent].cause == TOO_LATE
        assert "cancelled" in await at.statuses(sent)


async def test_it_waits_for_the_one_before_it_as_long_as_its_time_lasts(world: World):
    async with office(world) as at:
        at.meta.gate.clear()
        first = await at.queue(TO)
        await at.meta.came.acquire()
        second = await at.queue(TO, patience=PATIENCE)
        await at.rounds()
        at.meta.gate.set()
        await at.until("accepted", "accepted")
        assert [body["biz_opaque_callback_data"] for body in at.meta.bodies] == [first, second]


async def test_it_is_cancelled_where_its_recipients_limit_is_reached_and_others_wait(world: World):
    async with office(world) as at:
        await asyncio.gather(*(at.queue(TO) for _ in range(PAIR_BURST)))
        await at.until(*["accepted"] * PAIR_BURST)
        assert at.sending_worker.hindrance(at.account.id, TO) == "pair"
        assert at.sending_worker.hindrance(at.account.id, "+4915112345672") == ""
        sent = await at.queue(TO, patience=PATIENCE)
        await at.until(*["accepted"] * PAIR_BURST, "cancelled")
        assert (await at.sends())[sent].cause == PAIR_IS_FULL
        await at.queue(TO)
        await at.rounds()
        assert await at.states() == [*["accepted"] * PAIR_BURST, "cancelled", "queued"]
        assert len(at.meta.asked) == PAIR_BURST


async def test_which_limit_hinders_is_known_to_the_process_that_sends(world: World):
    async with office(world, started=False) as at:
        assert at.sending_worker.hindrance(at.account.id, TO) == ""
        await at.change(send_rate=1)
        at.sending_worker.start()
        await at.queue(TO)
        await at.until("accepted")
        assert at.sending_worker.sends_for(at.account.id)
        assert at.sending_worker.hindrance(at.account.id, TO) == "rate"
        world.clock.move(2 * SECOND)
        assert at.sending_worker.hindrance(at.account.id, TO) == ""
