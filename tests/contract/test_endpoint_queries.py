"""The repository of endpoints: deliveries are moved in batches, by the indexes made for that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, text
from tests.world import KIND, World, incoming, play

from tellwire.endpoints import lifecycle
from tellwire.errors import NotFound
from tellwire.model.deliveries import Endpoint
from tellwire.model.routing import PARTITIONS
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.queries.endpoints import SqlEndpointRepository

T = TypeVar("T")


pytestmark = pytest.mark.usefixtures("each_store")


def repository(
    world: World, connection: Connection, organization_id: str = DEFAULT_ORGANIZATION
) -> SqlEndpointRepository:
    audit_change = AuditChange(organization_id, "a test", world.clock.now(), world.store.new_id)
    return SqlEndpointRepository(connection, audit_change, world.store.vault)


async def with_repository(world: World, work: Callable[[SqlEndpointRepository], T]) -> T:
    return await world.store.write(lambda c: work(repository(world, c)))


async def run_sql(world: World, sql: str) -> None:
    await world.store.write(lambda c: c.execute(text(sql)).rowcount)


async def rotate(world: World, endpoint: Endpoint, secret: str) -> None:
    await with_repository(world, lambda s: lifecycle.rotate(s, endpoint.id, secret, overlap=10**12))


async def states(world: World, endpoint: Endpoint) -> list[str]:
    rows = await world.query(f"SELECT state FROM deliveries WHERE endpoint_id = '{endpoint.id}' ORDER BY id")
    return [row[0] for row in rows]


def with_seven(tmp_path: Path, scenario: Callable[[World, Endpoint, Endpoint], Awaitable[None]]) -> None:
    """A world in which two endpoints have seven deliveries each, one of them late."""

    async def run(world: World) -> None:
        first, second = await world.endpoint(), await world.endpoint()
        for index in range(6):
            await world.post(incoming(f"wamid.{index}"))
        sql = "UPDATE deliveries SET lane = 'late', state = 'retrying' WHERE sequence = 3"
        await run_sql(world, sql)
        await scenario(world, first, second)

    play(tmp_path, run)


def test_strides_park_unpark_and_cancel_everything_of_one_endpoint(tmp_path: Path) -> None:
    async def scenario(world: World, first: Endpoint, second: Endpoint) -> None:
        done = [await with_repository(world, lambda s: s.park(first.id, 3)) for _ in range(3)]
        assert done == [False, False, True]
        assert await states(world, first) == ["parked"] * 7
        assert (await states(world, second)).count("parked") == 0
        done = [await with_repository(world, lambda s: s.unpark(first.id, 4)) for _ in range(2)]
        assert done == [False, True]
        assert await states(world, first) == ["pending"] * 7
        await with_repository(world, lambda s: s.park(first.id, 2))
        done = [await with_repository(world, lambda s: s.cancel(first.id, 5)) for _ in range(2)]
        assert done == [False, True]
        assert await states(world, first) == ["cancelled"] * 7
        assert (await states(world, second)).count("cancelled") == 0

    with_seven(tmp_path, scenario)


def test_unparking_makes_due_now_and_keeps_the_lane(tmp_path: Path) -> None:
    async def scenario(world: World, first: Endpoint, second: Endpoint) -> None:
        await with_repository(world, lambda s: s.park(first.id, 100))
        world.clock.move(5_000_000)
        await with_repository(world, lambda s: s.unpark(first.id, 100))
        rows = await world.query(f"SELECT DISTINCT due_at FROM deliveries WHERE endpoint_id = '{first.id}'")
        assert rows == [(world.clock.now(),)]
        rows = await world.query(f"SELECT sequence FROM deliveries WHERE endpoint_id = '{first.id}' AND lane = 'late'")
        assert rows == [(3,)]

    with_seven(tmp_path, scenario)


def test_what_comes_between_strides_is_not_forgotten(tmp_path: Path) -> None:
    async def scenario(world: World, first: Endpoint, second: Endpoint) -> None:
        await with_repository(world, lambda s: lifecycle.pause(s, first.id))
        await with_repository(world, lambda s: s.unpark(first.id, 3))
        await world.post(incoming("wamid.between"))
        assert (await states(world, first))[-1] == "parked"
        endpoint, done = await with_repository(world, lambda s: lifecycle.resume(s, first.id))
        assert (endpoint.state, done) == ("active", True)
        assert await states(world, first) == ["pending"] * 8
        outbox = world.outbox
        backlog = await outbox.backlog(first.id, partitions=range(PARTITIONS), after="", limit=100)
        assert [work.delivery.sequence for work in backlog] == [1, 2, 4, 5, 6, 7, 8]

    with_seven(tmp_path, scenario)


def test_deletion_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    async def scenario(world: World, first: Endpoint, second: Endpoint) -> None:
        assert not await with_repository(world, lambda s: s.cancel(first.id, 3))
        assert first.id in world.store.registry().endpoints
        _, done = await with_repository(world, lambda s: lifecycle.delete(s, first.id))
        assert done
        assert first.id not in world.store.registry().endpoints
        with pytest.raises(NotFound):
            await with_repository(world, lambda s: lifecycle.delete(s, first.id))

    with_seven(tmp_path, scenario)


def test_what_is_over_stays_as_it_is(tmp_path: Path) -> None:
    async def scenario(world: World, first: Endpoint, second: Endpoint) -> None:
        over = ["delivered", "failed", "cancelled"]
        for sequence, state in enumerate(over, 1):
            sql = f"UPDATE deliveries SET state = '{state}', lane = 'live' WHERE sequence = {sequence}"
            await run_sql(world, sql)
        await with_repository(world, lambda s: lifecycle.pause(s, first.id))
        assert (await states(world, first))[:3] == over
        await with_repository(world, lambda s: lifecycle.resume(s, first.id))
        assert (await states(world, first))[:3] == over
        await with_repository(world, lambda s: lifecycle.delete(s, first.id))
        assert await states(world, first) == ["delivered", "failed", *["cancelled"] * 5]

    with_seven(tmp_path, scenario)


def test_shelf_shows_only_its_organization(tmp_path: Path) -> None:
    async def scenario(world: World, first: Endpoint, second: Endpoint) -> None:
        def work(connection: Connection) -> None:
            elsewhere = repository(world, connection, "another")
            assert elsewhere.get(first.id) is None
            assert elsewhere.cancel(first.id, 100)

        await world.store.write(work)
        assert set(await states(world, first)) == {"pending", "retrying"}

    with_seven(tmp_path, scenario)


def test_strides_find_their_indexes(tmp_path: Path) -> None:
    if KIND.get() != "sqlite":
        pytest.skip("PostgreSQL chooses by statistics")

    async def scenario(world: World, first: Endpoint, second: Endpoint) -> None:
        def work(connection: Connection) -> str:
            plans = []
            raw = connection.connection.driver_connection
            assert raw is not None

            def trace(statement: str) -> None:
                if statement.startswith("UPDATE deliveries"):
                    plans.append(statement)

            raw.set_trace_callback(trace)
            repository(world, connection).cancel(first.id, 100)
            raw.set_trace_callback(None)
            return "\n".join(str(row) for plan in plans for row in raw.execute(f"EXPLAIN QUERY PLAN {plan}").fetchall())

        plan = await world.store.write(work)
        for index in ("deliveries_live", "deliveries_due", "deliveries_parked"):
            assert f"INDEX {index}" in plan
        assert "SCAN deliveries\n" not in plan

    with_seven(tmp_path, scenario)


async def test_secrets_are_sealed(world: World) -> None:
    endpoint = await world.endpoint(token="an-invented-token", headers={"x-team": "an-invented-value"})
    await with_repository(world, lambda s: lifecycle.rotate(s, endpoint.id, "another invented secret", overlap=10))
    rows = str(await world.query("SELECT * FROM endpoints"))
    assert "invented" not in rows
    assert [s.value for s in world.store.registry().endpoints[endpoint.id].secrets] == [
        "another invented secret",
        "an invented secret of 32 characters",
    ]


async def test_at_most_ten_secrets_live(world: World) -> None:
    endpoint = await world.endpoint()
    for index in range(15):
        await rotate(world, endpoint, f"the invented secret no. {index}")
    live = world.store.registry().endpoints[endpoint.id].secrets
    assert [s.value[-2:].strip() for s in live] == [str(index) for index in range(14, 4, -1)]
