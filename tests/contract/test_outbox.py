"""The contract of `ports.Outbox` on leases and rows by partition, for every store in `STORES`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace
from tests.world import DAY, START, Kind, SetClock, World, incoming

from tellwire.model.deliveries import Attempt, Delivery, DeliveryState, Endpoint, Work
from tellwire.model.routing import PARTITIONS, partitions
from tellwire.ports.storage import Lease, Outbox, Result

PEOPLE = [f"52155883922{n}" for n in range(10, 40)]
EVERY = range(PARTITIONS)


class OutboxWorld(Struct):
    """An outbox with its store. `alone`: the store has one owner at a time, which waits for no other."""

    outbox: Outbox
    world: World
    alone: bool


Scenario = Callable[[OutboxWorld], Awaitable[None]]
Opening = Callable[[Path], AbstractAsyncContextManager[OutboxWorld]]


@asynccontextmanager
async def _open(folder: Path, kind: Kind) -> AsyncIterator[OutboxWorld]:
    world = World(folder / "world.db", SetClock(START), DAY, auto_accounts=True, kind=kind)
    await world.store.open()
    try:
        yield OutboxWorld(world.outbox, world, alone=kind == "sqlite")
    finally:
        await world.close()


STORES: dict[str, Opening] = {"sqlite": partial(_open, kind="sqlite"), "postgres": partial(_open, kind="postgres")}


@pytest.fixture(params=STORES)
def outbox_world(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    """Runs a scenario over each store."""

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            async with STORES[request.param](tmp_path) as opened:
                await scenario(opened)

        asyncio.run(main())

    return run


async def filled(opened: OutboxWorld) -> tuple[Endpoint, list[Work]]:
    """Add an endpoint with deliveries in all of its partitions: two events of each person."""
    endpoint = await opened.world.endpoint()
    for number, person in enumerate([*PEOPLE, *PEOPLE]):
        await opened.world.post(incoming(f"wamid.{number}", sender=person))
    works = await opened.outbox.backlog(endpoint.id, partitions=EVERY, after="", limit=1000)
    assert {w.delivery.partition for w in works} == set(partitions(endpoint.id))
    return endpoint, works


def attempted(delivery: Delivery, state: DeliveryState, epoch: int) -> Result:
    number = delivery.attempts + 1
    attempt = Attempt(
        delivery_id=delivery.id,
        organization_id=delivery.organization_id,
        number=number,
        started_at=START,
        outcome="delivered" if state is DeliveryState.DELIVERED else "failed",
        cause="",
    )
    return Result(replace(delivery, state=state, attempts=number), attempt, epoch)


def delivered(work: Work, lease: Lease) -> Result:
    return attempted(work.delivery, DeliveryState.DELIVERED, lease.partitions[work.delivery.partition])


# --- leases -----------------------------------------------------------------------------------------------------------


def test_the_first_takes_everything_and_keeps_it(outbox_world):
    async def scenario(opened: OutboxWorld) -> None:
        first = await opened.outbox.renew("one")
        assert set(first.partitions) == set(EVERY)
        assert min(first.partitions.values()) > 0
        assert first.until > opened.world.clock.now()
        assert first.share == PARTITIONS
        again = await opened.outbox.renew("one")
        assert again.partitions == first.partitions
        assert again.until >= first.until

    outbox_world(scenario)


def test_what_was_given_back_is_taken_under_a_higher_epoch(outbox_world):
    async def scenario(opened: OutboxWorld) -> None:
        outbox = opened.outbox
        first = await outbox.renew("one")
        await outbox.release("one", [3, 5])
        await outbox.release("another", [7])
        again = await outbox.renew("one")
        assert set(again.partitions) == set(EVERY)
        assert {p for p in EVERY if again.partitions[p] > first.partitions[p]} == {3, 5}
        await outbox.release("one")
        second = await outbox.renew("two")
        assert set(second.partitions) == set(EVERY)
        assert all(second.partitions[p] > again.partitions[p] for p in EVERY)

    outbox_world(scenario)


def test_a_result_under_an_outdated_epoch_is_refused_and_the_others_are_written(outbox_world):
    async def scenario(opened: OutboxWorld) -> None:
        outbox = opened.outbox
        endpoint, works = await filled(opened)
        first = await outbox.renew("one")
        theirs, ours, *_ = partitions(endpoint.id)
        await outbox.release("one", [theirs])
        assert (await outbox.renew("one")).partitions[theirs] > first.partitions[theirs]
        mine = next(w for w in works if w.delivery.partition == ours)
        stale = next(w for w in works if w.delivery.partition == theirs)
        refused = await outbox.record([delivered(mine, first), delivered(stale, first)])
        assert list(refused) == [stale.delivery.id]
        left = await outbox.backlog(endpoint.id, partitions=EVERY, after="", limit=1000)
        assert [w.delivery for w in left] == [w.delivery for w in works if w is not mine]
        assert await opened.world.query("SELECT delivery_id FROM attempts") == [(mine.delivery.id,)]

    outbox_world(scenario)


def test_results_of_several_callers_are_refused_each_for_itself(outbox_world):
    async def scenario(opened: OutboxWorld) -> None:
        outbox = opened.outbox
        _, works = await filled(opened)
        lease = await outbox.renew("one")
        old = Lease({p: epoch - 1 for p, epoch in lease.partitions.items()}, lease.until, lease.share)
        answers = await asyncio.gather(
            *(outbox.record([delivered(w, old if n % 3 == 0 else lease)]) for n, w in enumerate(works))
        )
        assert [list(each) for each in answers] == [[w.delivery.id] if n % 3 == 0 else [] for n, w in enumerate(works)]

    outbox_world(scenario)


def test_what_is_sent_together_is_recorded_and_nothing_else_of_it(outbox_world):
    async def scenario(opened: OutboxWorld) -> None:
        outbox = opened.outbox
        endpoint, works = await filled(opened)
        lease = await outbox.renew("one")
        theirs, ours, *_ = partitions(endpoint.id)
        await outbox.release("one", [theirs])
        await outbox.renew("one")
        one, two, done, *_ = (w for w in works if w.delivery.partition == ours)
        stale = next(w for w in works if w.delivery.partition == theirs)
        parked = replace(two.delivery, state=DeliveryState.PARKED)
        assert not await outbox.record([Result(parked, None, lease.partitions[ours])])
        joined = [
            Result(replace(w.delivery, together="msg_of_all"), None, lease.partitions[w.delivery.partition], joins=True)
            for w in (one, two, stale)
        ]
        assert list(await outbox.record([*joined, delivered(done, lease)])) == [stale.delivery.id]
        left = {
            w.delivery.id: w.delivery for w in await outbox.backlog(endpoint.id, partitions=EVERY, after="", limit=99)
        }
        assert left[one.delivery.id] == replace(one.delivery, together="msg_of_all")
        assert left[stale.delivery.id] == stale.delivery
        assert not {two.delivery.id, done.delivery.id} & set(left), "one is parked still, one is delivered"
        assert await opened.world.query("SELECT count(*) FROM deliveries WHERE together = 'msg_of_all'") == [(2,)]
        assert not await outbox.record(joined[:1])

    outbox_world(scenario)


def test_a_result_that_is_written_twice_is_written_once(outbox_world):
    async def scenario(opened: OutboxWorld) -> None:
        _, works = await filled(opened)
        lease = await opened.outbox.renew("one")
        for _ in range(2):
            assert not await opened.outbox.record([delivered(works[0], lease)])
        assert len(await opened.world.query("SELECT 1 FROM attempts")) == 1

    outbox_world(scenario)


def test_a_store_with_one_owner_gives_everything_to_the_next(outbox_world):
    async def scenario(opened: OutboxWorld) -> None:
        if not opened.alone:
            pytest.skip("several processes share this store")
        _, works = await filled(opened)
        killed = await opened.outbox.renew("one")
        follower = await opened.outbox.renew("two")
        assert set(follower.partitions) == set(EVERY)
        assert list(await opened.outbox.record([delivered(works[0], killed)])) == [works[0].delivery.id]
        assert not await opened.outbox.record([delivered(works[0], follower)])

    outbox_world(scenario)


# --- rows by partition ------------------------------------------------------------------------------------------------


def test_rows_are_those_of_the_partitions_asked_for(outbox_world):
    async def scenario(opened: OutboxWorld) -> None:
        outbox = opened.outbox
        endpoint, works = await filled(opened)
        places = partitions(endpoint.id)
        for some in (places[:1], places[1:], EVERY):
            found = await outbox.backlog(endpoint.id, partitions=some, after="", limit=1000)
            assert [w.delivery.id for w in found] == [w.delivery.id for w in works if w.delivery.partition in some]
            after = found[len(found) // 2].delivery.id
            rest = await outbox.backlog(endpoint.id, partitions=some, after=after, limit=3)
            assert [w.delivery.id for w in rest] == [w.delivery.id for w in found if w.delivery.id > after][:3]
            assert await outbox.waiting(some) == [endpoint.id]
        elsewhere = set(EVERY) - set(places)
        for none in ((), elsewhere):
            assert await outbox.backlog(endpoint.id, partitions=none, after="", limit=1000) == []
            assert await outbox.waiting(none) == []

    outbox_world(scenario)


def test_late_retries_are_those_of_the_partitions_asked_for(outbox_world):
    async def scenario(opened: OutboxWorld) -> None:
        outbox = opened.outbox
        endpoint, works = await filled(opened)
        lease = await outbox.renew("one")
        now = opened.world.clock.now()
        late = []
        for number, work in enumerate(works):
            result = attempted(work.delivery, DeliveryState.RETRYING, lease.partitions[work.delivery.partition])
            late.append(replace(result, delivery=replace(result.delivery, lane="late", due_at=now - number)))
        assert not await outbox.record(late)
        for some in (partitions(endpoint.id)[:1], EVERY):
            found = await outbox.due(now, partitions=some, limit=1000)
            expected = [r.delivery.id for r in late if r.delivery.partition in some]
            assert [w.delivery.id for w in found] == expected[::-1]
        assert await outbox.due(now, partitions=(), limit=10) == []
        assert await outbox.due(now, partitions=EVERY, limit=10, without=[endpoint.id]) == []

    outbox_world(scenario)
