"""Recoveries over a store: what they make due, in batches that any process may interrupt or continue."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text
from tests.contract.test_endpoint_queries import run_sql, with_repository
from tests.world import DAY, KIND, NAMES, World, incoming

from tellwire.endpoints import lifecycle, recovery
from tellwire.endpoints.recovery import Include, Job, RecoveryBounds, Wanted
from tellwire.endpoints.worker import RecoveryRunner
from tellwire.model.deliveries import Endpoint
from tellwire.model.routing import PARTITIONS
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.queries import jobs as job_queries
from tellwire.stores.queries import recovery as recovery_queries
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.recovery_store import SqlRecoveryStore

pytestmark = pytest.mark.usefixtures("each_store")


async def asked(
    world: World,
    endpoint: Endpoint,
    include: Include,
    *,
    since: int = 0,
    until: int | None = None,
    new_id: bool = False,
) -> Job:
    """Add a job as the API does."""

    def work(connection: Connection) -> Job:
        now = world.clock.now()
        audit_change = AuditChange(DEFAULT_ORGANIZATION, "a test", now, world.store.new_id)
        job = Job(
            id=audit_change.new_id(),
            organization_id=DEFAULT_ORGANIZATION,
            endpoint_id=endpoint.id,
            wanted=Wanted(since=since, until=now if until is None else until, include=include, new_id=new_id),
            created_at=now,
            updated_at=now,
        )
        job_queries.add(connection, audit_change, job)
        return job

    world.clock.move(1)
    return await world.store.write(work)


async def job_of(world: World, job: Job) -> Job:
    found = await world.store.read(lambda c: job_queries.get(c, DEFAULT_ORGANIZATION, job.id))
    assert found is not None
    return found


def workers(world: World, pace: RecoveryBounds | None = None) -> RecoveryRunner:
    return RecoveryRunner(SqlRecoveryStore(world.store, NAMES, pace), world.clock, lambda: None)


async def finish(world: World, job: Job) -> Job:
    """Do batches until the job is over, delivering in between what becomes due."""
    for _ in range(100):
        await workers(world).go_on()
        if (now := await job_of(world, job)).state == "done":
            return now
        world.clock.move(1_000_000)
        await run_sql(world, "UPDATE deliveries SET state='delivered' WHERE lane='replay' AND state='pending'")
    raise AssertionError("it does not end")


async def rows(world: World, endpoint: Endpoint, columns: str = "state, lane, replay") -> list[tuple[Any, ...]]:
    return await world.query(f"SELECT {columns} FROM deliveries WHERE endpoint_id='{endpoint.id}' ORDER BY id")


async def due(world: World) -> list[str]:
    """Return event ids in the order in which they are due."""
    works = await world.outbox.due(world.clock.now() + DAY, partitions=range(PARTITIONS), limit=10_000)
    return [work.event.id for work in works]


async def messages(world: World, count: int, *, since: int = 0) -> None:
    for index in range(since, since + count):
        world.clock.move(1_000)
        await world.post(incoming(f"wamid.{index}", sender=f"521555000{index % 7:04}"))


async def test_failed_makes_due_what_failed_in_the_span_in_order(world: World) -> None:
    endpoint = await world.endpoint(events=("messages.insert",))
    other = await world.endpoint(events=("messages.insert",))
    start = world.clock.now()
    await messages(world, 10)
    await run_sql(world, "UPDATE deliveries SET state='failed', counted_attempts=10, attempts=10")
    await run_sql(world, f"UPDATE deliveries SET state='delivered' WHERE created_at = {start + 5_000}")
    job = await asked(world, endpoint, "failed", since=start + 3_000, until=start + 9_000)
    assert not await workers(world).go_on()
    events = await world.query(
        f"SELECT event_id FROM deliveries WHERE endpoint_id='{endpoint.id}' AND state='pending' ORDER BY id"
    )
    assert await due(world) == [row[0] for row in events]
    made = await rows(world, endpoint, "state, lane, replay, counted_attempts, attempts")
    failed, again = ("failed", "live", 0, 10, 10), ("pending", "replay", 1, 0, 10)
    assert made == [*[failed] * 2, again, again, ("delivered", "live", 0, 10, 10), *[again] * 3, *[failed] * 2]
    assert {row[0] for row in await rows(world, other)} == {"failed", "delivered"}
    after = await job_of(world, job)
    assert (after.state, after.done, after.finished_at) == ("done", 5, world.clock.now())


async def test_missing_also_makes_what_was_never_there_without_a_sequence(world: World) -> None:
    await messages(world, 5)
    endpoint = await world.endpoint(events=("messages.insert",))
    await messages(world, 4, since=5)
    await run_sql(world, "UPDATE deliveries SET state='delivered' WHERE sequence = 1")
    first = (await rows(world, endpoint, "id"))[0][0]
    await run_sql(world, f"UPDATE deliveries SET state='failed' WHERE id='{first}'")
    await asked(world, endpoint, "missing")
    await workers(world).go_on()
    made = await rows(world, endpoint, "state, lane, sequence")
    assert sorted(made).count(("pending", "replay", 0)) == 5
    assert ("pending", "replay", 1) in made
    order = [event.id for event in await world.events() if event.name == "messages.insert"]
    assert await due(world) == order[:6]
    assert len({row[0] for row in await rows(world, endpoint, "webhook_id")}) == 9
    await asked(world, endpoint, "missing")
    await workers(world).go_on()
    assert len(await rows(world, endpoint)) == 9


async def test_missing_is_what_the_endpoint_subscribes_to_now(world: World) -> None:
    await messages(world, 3)
    watched = await world.endpoint(events=("messages.insert",))
    await world.outbox.disable(watched.id, "gone")
    await with_repository(world, lambda s: lifecycle.resume(s, watched.id))
    conversations = await world.endpoint(events=("conversations.insert",))
    elsewhere = await world.endpoint(accounts=("another",))
    change = lifecycle.EndpointChange(events=("endpoint.disabled",))
    await with_repository(world, lambda s: lifecycle.change(s, watched.id, change))
    for endpoint, count in ((conversations, 3), (elsewhere, 0), (watched, 0)):
        await asked(world, endpoint, "missing")
        await workers(world).go_on()
        assert len(await rows(world, endpoint)) == count, endpoint.events


async def test_all_is_everything_but_what_is_on_its_way(world: World) -> None:
    await messages(world, 2)
    endpoint = await world.endpoint(events=("messages.insert",))
    await messages(world, 6, since=2)
    states = ("delivered", "failed", "retrying", "parked", "cancelled", "pending")
    before = await rows(world, endpoint, "id, webhook_id")
    for (identifier, _), state in zip(before, states, strict=True):
        await run_sql(world, f"UPDATE deliveries SET state='{state}' WHERE id='{identifier}'")
    job = await asked(world, endpoint, "all", new_id=True)
    await workers(world).go_on()
    again = ("pending", "replay", 1)
    left = [(state, "live", 0) for state in states[2:]]
    assert await rows(world, endpoint) == [again, again, *left, again, again]
    after = dict(await rows(world, endpoint, "id, webhook_id"))
    assert [after[i] != webhook_id for i, webhook_id in before] == [True, True, False, False, False, False]
    assert (await job_of(world, job)).done == 4


SMALL = RecoveryBounds(scan=7, batch=5, window=8)


@pytest.mark.parametrize("include", ["failed", "missing", "all"])
async def test_cut_off_after_any_stride_it_goes_on_and_does_each_once(world: World, include: Include) -> None:
    endpoint = await world.endpoint(events=("messages.insert",))
    await messages(world, 60)
    await run_sql(world, "UPDATE deliveries SET state='failed'")
    if include != "failed":
        await run_sql(world, "DELETE FROM deliveries WHERE sequence % 2 = 0")
    order = [event.id for event in await world.events() if event.name == "messages.insert"]
    job, went = await asked(world, endpoint, include), []
    for _ in range(200):
        # Every batch is another process's, which read the job anew and knows nothing of the last.
        stale = await job_of(world, job)
        for _ in range(2):  # the second works with the job as read before the first one's batch
            await SqlRecoveryStore(world.store, NAMES, SMALL).advance(stale, world.clock.now())
        assert (await job_of(world, job)).turns <= stale.turns + 1
        waiting = await due(world)
        assert len(waiting) <= 8
        went += waiting
        await run_sql(world, "UPDATE deliveries SET state='delivered' WHERE lane='replay' AND state='pending'")
        world.clock.move(-1_000)
        if (await job_of(world, job)).state == "done":
            break
    assert went == order
    assert {row[0] for row in await rows(world, endpoint, "replay")} == {1}
    after = await job_of(world, job)
    assert (after.state, after.done) == ("done", 60)
    assert await world.query("SELECT count(*) FROM deliveries") == [(60,)]


async def test_it_adds_no_more_than_fits_beside_what_waits_already(world: World) -> None:
    endpoint = await world.endpoint(events=("messages.insert",))
    await messages(world, 30)
    await run_sql(world, "UPDATE deliveries SET state='failed'")
    job = await asked(world, endpoint, "failed")
    for _ in range(3):
        await workers(world, SMALL).go_on()
        assert len(await due(world)) == 8
    turns = (await job_of(world, job)).turns
    await workers(world, SMALL).go_on()
    assert (await job_of(world, job)).turns == turns  # nothing is written while nothing fits
    assert (await finish(world, job)).done == 30


async def test_it_waits_while_the_endpoint_is_paused_and_ends_with_it(world: World) -> None:
    endpoint = await world.endpoint(events=("messages.insert",))
    await messages(world, 3)
    await run_sql(world, "UPDATE deliveries SET state='failed'")
    await with_repository(world, lambda s: lifecycle.pause(s, endpoint.id))
    job = await asked(world, endpoint, "failed")
    for _ in range(2):
        await workers(world).go_on()
    waits = await job_of(world, job)
    assert (waits.state, waits.detail) == ("queued", "waits until the endpoint is resumed: it is paused")
    await with_repository(world, lambda s: lifecycle.resume(s, endpoint.id))
    await workers(world).go_on()
    assert (await job_of(world, job)).state == "done"
    job = await asked(world, endpoint, "all")
    await with_repository(world, lambda s: lifecycle.delete(s, endpoint.id))
    ended = await job_of(world, job)
    assert (ended.state, ended.detail) == ("cancelled", "the endpoint was deleted")
    assert not await workers(world).go_on()


async def test_what_is_no_longer_kept_is_passed_over(world: World) -> None:
    endpoint = await world.endpoint(events=("messages.insert",))
    await messages(world, 3)
    await run_sql(world, "UPDATE deliveries SET state='failed'")
    await run_sql(world, "DELETE FROM events WHERE id IN (SELECT event_id FROM deliveries WHERE sequence = 1 LIMIT 1)")
    job = await asked(world, endpoint, "failed")
    await workers(world).go_on()
    assert len(await due(world)) == (await job_of(world, job)).done == 2


class Stumbling(SqlRecoveryStore):
    """A store with one job that raises."""

    bad = ""

    async def advance(self, job: Job, now: int) -> Any:
        if job.id == self.bad:
            raise KeyError("a mistake of ours")
        return await super().advance(job, now)


async def test_a_job_that_stumbles_ends_as_failed_and_holds_up_no_other(world: World) -> None:
    first = await world.endpoint(events=("messages.insert",))
    second = await world.endpoint(events=("messages.insert",))
    bad, good = await asked(world, first, "all"), await asked(world, second, "all")
    recoveries = Stumbling(world.store, NAMES)
    recoveries.bad = bad.id
    recovering = RecoveryRunner(recoveries, world.clock, lambda: None)
    for _ in range(5):
        with pytest.raises(KeyError):
            await recovering.go_on()
    assert not await recovering.go_on()
    ended = await job_of(world, bad)
    assert (ended.state, ended.detail) == ("failed", "stopped by an error (KeyError); the server's log has it")
    assert (await job_of(world, good)).state == "done"


async def test_its_queries_find_their_indexes(world: World) -> None:
    if KIND.get() == "postgres":
        pytest.skip("explains SQLite's plans")

    endpoint = await world.endpoint(events=("messages.insert",))
    await messages(world, 3)
    jobs = [await asked(world, endpoint, "failed")]
    jobs.append(replace(jobs[0], wanted=replace(jobs[0].wanted, include="all")))

    def plans(connection: Connection) -> str:
        raw = connection.connection.driver_connection
        assert raw is not None
        statements: list[str] = []
        raw.set_trace_callback(statements.append)
        routes = recovery.wants(endpoint, recovery_queries.accounts_of(connection, DEFAULT_ORGANIZATION), NAMES)
        for job in jobs:
            recovery_queries.find(connection, job, routes, 10)
        recovery_queries.free_places(connection, endpoint.id, 10)
        raw.set_trace_callback(None)
        explained = [f"EXPLAIN QUERY PLAN {each}" for each in statements if each.startswith("SELECT")]
        return "\n".join(str(row) for each in explained for row in connection.execute(text(each)))

    found = await world.store.write(plans)
    for index in ("deliveries_failed", "deliveries_replayed", "deliveries_by_event"):
        assert f"INDEX {index}" in found
    assert "SCAN deliveries" not in found
    assert "SCAN events" not in found
