"""PostgreSQL under several processes: one writer per organization at a time, hints, leases, reconnecting, a pooler."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection
from tests.pooler import pooled
from tests.postgres_server import Postgres, drop_database, fresh_database
from tests.world import DAY, HOUR, NUMBER, START, SetClock, World, envelope, incoming, status, statuses

from tellwire.errors import Unavailable
from tellwire.model.deliveries import DeliveryState
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.registry import Registry
from tellwire.model.routing import PARTITIONS
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.ports.storage import Lease, Result
from tellwire.stores.postgres import ledger_load, ledger_write, outbox
from tellwire.stores.postgres.connections import SET_LOCAL, PostgresServer
from tellwire.stores.postgres.store import PostgresStore

EVERY = range(PARTITIONS)


@pytest.fixture(params=["direct", "pooled"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A fresh database, by itself and behind a transaction-mode pooler."""
    url = fresh_database()
    if request.param == "direct":
        yield PostgresServer(url)
    else:
        with pooled(url) as pooler:
            yield PostgresServer(pooler, pooled=True)
    drop_database(url)


@asynccontextmanager
async def processes(server: PostgresServer, *clocks: int) -> AsyncIterator[list[World]]:
    """Give one store for each clock, each like that of a process of its own."""
    async with AsyncExitStack() as stack:
        worlds = []
        for clock in clocks:
            world = World(Path(), SetClock(clock), DAY, auto_accounts=True, server=server)
            await world.store.open()
            stack.push_async_callback(world.close)
            worlds.append(world)
        yield worlds


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    async with asyncio.timeout(30):
        while not (found := condition()) or (isinstance(found, Awaitable) and not await found):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# --- one writer per organization --------------------------------------------------------------------------------------


def test_first_messages_of_a_contact_in_two_processes_at_once(server):
    """The clocks are an hour apart; a reader that continues from the last id misses nothing."""

    async def watch(world: World, seen: list[str]) -> None:
        query = "SELECT id FROM events WHERE organization_id = '{}' AND id > '{}' ORDER BY id"
        while True:
            seen += [row[0] for row in await world.query(query.format(DEFAULT_ORGANIZATION, seen[-1] if seen else ""))]
            await asyncio.sleep(0.001)

    async def main() -> None:
        async with processes(server, START, START - HOUR, START) as (one, two, reader):
            endpoint = await one.endpoint()
            seen: list[str] = []
            watching = asyncio.create_task(watch(reader, seen))
            for turn in range(20):
                await asyncio.gather(
                    *(
                        world.post(incoming(f"wamid.{turn}.{n}.{i}"))
                        for n in range(3)
                        for i, world in enumerate((one, two))
                    )
                )
            assert len(await one.query("SELECT id FROM contacts")) == 1
            assert len(await one.query("SELECT id FROM conversations")) == 1
            events = [event.id for event in await one.events()]
            assert len(events) == 121
            await until(lambda: len(seen) == len(events))
            watching.cancel()
            assert seen == events
            works = await two.outbox.backlog(endpoint.id, partitions=EVERY, after="", limit=1000)
            assert [w.delivery.sequence for w in works] == list(range(1, 122))
            assert [w.event.id for w in works] == events

    asyncio.run(main())


def test_the_same_post_in_two_processes_at_once_is_applied_once(server):
    async def main() -> None:
        async with processes(server, START, START) as worlds:
            for n in range(10):
                came = await asyncio.gather(*(w.post(incoming(f"wamid.{n}")) for w in worlds for _ in range(2)))
                assert sorted(each.outcome for each in came) == ["applied", "duplicate", "duplicate", "duplicate"]
            came = await asyncio.gather(
                *(w.post(statuses(status("wamid.ours", "read"))) for w in worlds for _ in range(2))
            )
            assert sorted(each.outcome for each in came) == ["applied", "duplicate", "duplicate", "duplicate"]
            assert len(await worlds[0].query("SELECT id FROM messages")) == 11
            assert len(await worlds[0].query("SELECT id FROM accounts")) == 1

    asyncio.run(main())


def test_cold_writes_and_ingest_wait_for_each_other(server):
    """Rows that a write outside the ledger reads do not change before it writes, and ids rise across both."""

    async def main() -> None:
        async with processes(server, START, START - HOUR) as (one, two):
            await one.post(incoming("wamid.first"))

            async def write_outside(number: int) -> tuple[str, str]:
                def work(connection: Connection) -> tuple[str, str]:
                    before = connection.exec_driver_sql("SELECT max(id) FROM events").scalar_one()
                    made = two.store.new_id()
                    connection.exec_driver_sql("SELECT pg_sleep(0.005)")
                    assert connection.exec_driver_sql("SELECT max(id) FROM events").scalar() == before, number
                    return before, made

                return await two.store.write(work)

            posts = [one.post(incoming(f"wamid.{n}", sender=f"52155883922{n:02}")) for n in range(30)]
            answers = await asyncio.gather(*posts, *(write_outside(n) for n in range(10)))
            assert all(each[0] < each[1] for each in answers[30:] if isinstance(each, tuple))

    asyncio.run(main())


def test_a_job_that_fails_costs_only_itself(server):
    async def main() -> None:
        async with processes(server, START) as (world,):

            def stumble(_: Ledger) -> None:
                raise ValueError("on purpose")

            answers = await asyncio.gather(
                *(world.post(incoming(f"wamid.{n}")) for n in range(5)),
                world.store.apply(Keys(), stumble),
                *(world.post(incoming(f"wamid.{n}")) for n in range(5, 9)),
                return_exceptions=True,
            )
            assert [type(each).__name__ for each in answers].count("Inbound") == 9
            assert isinstance(answers[5], ValueError)
            assert len(await world.query("SELECT id FROM messages")) == 9

    asyncio.run(main())


@pytest.mark.parametrize("text", ['"', "\\", '\\"', '","', "{}", "NULL", "", " ", "a\nb", "é€😀", 'x","y"'])
def test_any_text_comes_back_as_it_went(text):
    """Columns are sent as the text form of arrays."""
    url = fresh_database()

    async def main() -> None:
        async with processes(PostgresServer(url), START) as (world,):
            await world.post(incoming("wamid.1", name=f"name {text}"), incoming("wamid.2", sender="52155", name=text))
            names = {name for (name,) in await world.query("SELECT name FROM contacts")}
            assert f"name {text}".strip() in {name.strip() for name in names}

    asyncio.run(main())
    drop_database(url)


def test_nul_in_any_text_of_a_post_is_no_error(server):
    async def main() -> None:
        async with processes(server, START) as (world,):
            await world.endpoint()
            found = json.loads(json.dumps(envelope(incoming("wamid.1"))))

            def with_nul(value):
                match value:
                    case str():
                        return f"{value}\0"
                    case list():
                        return [with_nul(each) for each in value]
                    case dict():
                        return {name: with_nul(each) for name, each in value.items()}
                return value

            changed = found["entry"][0]["changes"][0]["value"]
            for holder, name in _texts(changed):
                kept = holder[name]
                holder[name] = f"{kept}\0"
                await world.post_body(found)
                holder[name] = kept
            await world.post_body(with_nul(found))
            await world.post_body(found)
            assert len(await world.query("SELECT id FROM messages")) == 1

    asyncio.run(main())


def _texts(value):
    """Yield the path of every text in a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in list(pairs):
        if isinstance(each, str):
            yield value, name
        elif isinstance(each, dict | list):
            yield from _texts(each)


# --- what processes tell each other -----------------------------------------------------------------------------------


def test_a_change_of_endpoints_is_known_to_the_next_commit_of_every_process(server):
    async def main() -> None:
        async with processes(server, START, START) as (one, two):
            await two.post(incoming("wamid.before"))
            endpoint = await one.endpoint()
            await two.post(incoming("wamid.1"))
            works = await two.outbox.backlog(endpoint.id, partitions=EVERY, after="", limit=10)
            assert len(works) == 1
            assert two.store.registry() == one.store.registry()

    asyncio.run(main())


def test_processes_without_traffic_hear_of_changes_of_endpoints_and_accounts(server):
    async def main() -> None:
        async with processes(server, START, START) as (one, two):
            known: list[Registry] = []
            two.store.on_changed(known.append)

            async def knows(condition: Callable[[Registry], bool]) -> None:
                if server.pooled:
                    await two.store.refresh()  # as the background loops do each second
                await until(lambda: any(condition(each) for each in known))

            endpoint = await one.endpoint()
            await knows(lambda registry: endpoint.id in registry.endpoints)
            await one.post(incoming("wamid.1"))
            await knows(lambda registry: NUMBER in registry.accounts)

    asyncio.run(main())


def test_hints_tell_of_deliveries_events_and_free_partitions_of_others():
    url = fresh_database()

    async def main() -> None:
        async with processes(PostgresServer(url), START, START) as (one, two):
            assert isinstance(two.store, PostgresStore)
            endpoint = await one.endpoint()
            heard: list[str] = []
            two.store.on_elsewhere(heard.extend, lambda: heard.append("released"))
            two.store.on_events(lambda: heard.append("events"))
            await until(lambda: listening(two, 2))
            await one.post(incoming("wamid.1"))
            await until(lambda: {endpoint.id, "events"} <= set(heard))
            assert "released" not in heard
            await one.outbox.release("nobody")
            await until(lambda: "released" in heard)

    asyncio.run(main())
    drop_database(url)


async def listening(world: World, number: int) -> bool:
    """Return whether so many connections exist whose last statement listens or notifies."""
    said = "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
    queries = [str(query) for (query,) in await world.query(said)]
    return number == sum(query.startswith("LISTEN") or "pg_notify(" in query for query in queries)


# --- leases -----------------------------------------------------------------------------------------------------------


def test_a_second_process_gets_its_share_once_the_first_gives_it_back(server):
    async def main() -> None:
        async with processes(server, START, START) as (one, two):
            first = await one.outbox.renew("one")
            second = await two.outbox.renew("two")
            assert (len(first.partitions), len(second.partitions), second.share) == (64, 0, 32)
            first = await one.outbox.renew("one")
            assert (len(first.partitions), first.share) == (64, 32)
            await one.outbox.release("one", list(first.partitions)[:32])
            second = await two.outbox.renew("two")
            first = await one.outbox.renew("one")
            assert set(first.partitions) | set(second.partitions) == set(EVERY)
            assert (len(first.partitions), len(second.partitions)) == (32, 32)
            await two.outbox.release("two")
            first = await one.outbox.renew("one")
            assert (len(first.partitions), first.share) == (64, 64)

    asyncio.run(main())


def test_many_that_renew_at_once_never_own_the_same(server):
    async def main() -> None:
        async with processes(server, START, START, START) as worlds:
            for _ in range(5):
                leases = await asyncio.gather(*(w.outbox.renew(f"p{n}") for n, w in enumerate(worlds)))
                owned = [p for lease in leases for p in lease.partitions]
                assert len(owned) == len(set(owned))
                for number, (world, lease) in enumerate(zip(worlds, leases, strict=True)):
                    if over := list(lease.partitions)[lease.share :]:
                        await world.outbox.release(f"p{number}", over)
            owned = [
                p for w, n in zip(worlds, range(3), strict=True) for p in (await w.outbox.renew(f"p{n}")).partitions
            ]
            assert sorted(owned) == list(EVERY)

    asyncio.run(main())


def test_a_frozen_process_is_fenced_off_when_its_leases_have_lapsed(server):
    async def main() -> None:
        async with processes(server, START, START) as (one, two):
            endpoint = await one.endpoint()
            await one.post(incoming("wamid.1"))
            work = (await one.outbox.backlog(endpoint.id, partitions=EVERY, after="", limit=10))[0]
            frozen = await one.outbox.renew("one")
            await two.store.write(lambda c: c.exec_driver_sql("UPDATE leases SET expires_at = 1").rowcount)
            await two.store.write(lambda c: c.exec_driver_sql("UPDATE dispatchers SET expires_at = 1").rowcount)
            taken = await two.outbox.renew("two")
            assert set(taken.partitions) == set(EVERY)
            assert all(taken.partitions[p] > frozen.partitions[p] for p in EVERY)

            def result(lease: Lease) -> Result:
                done = replace(work.delivery, state=DeliveryState.DELIVERED, attempts=1)
                return Result(done, None, lease.partitions[work.delivery.partition])

            assert list(await one.outbox.record([result(frozen)])) == [work.delivery.id]
            assert not await two.outbox.record([result(taken)])
            back = await one.outbox.renew("one")
            assert (len(back.partitions), back.share) == (0, 32)

    asyncio.run(main())


def test_a_lapsed_lease_that_nobody_took_is_kept_under_its_epoch(server):
    async def main() -> None:
        async with processes(server, START) as (one,):
            first = await one.outbox.renew("one")
            await one.store.write(lambda c: c.exec_driver_sql("UPDATE leases SET expires_at = 1").rowcount)
            assert (await one.outbox.renew("one")).partitions == first.partitions

    asyncio.run(main())


# --- the server -------------------------------------------------------------------------------------------------------


def test_hot_sessions_keep_what_they_commit_and_hold_no_lock_for_ever(server):
    async def main() -> None:
        connection = await server.connect(ledger=True)
        async with connection.transaction():
            if server.pooled:
                await connection.execute(SET_LOCAL)
            assert await connection.fetchval("SHOW synchronous_commit") == "on"
            assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"
            assert await connection.fetchval("SHOW lock_timeout") == "15s"
            assert await connection.fetchval("SHOW enable_seqscan") == "off"
        await connection.close()
        async with processes(server, START) as (world,):

            def write_outside(connection: Connection) -> list[object]:
                names = ("synchronous_commit", "idle_in_transaction_session_timeout", "enable_seqscan")
                return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]

            assert await world.store.write(write_outside) == ["on", "10s", "on"]

    asyncio.run(main())


@pytest.mark.parametrize("statement", [ledger_load.LOAD, ledger_write.RECORD, outbox.BACKLOG, outbox.WAITING])
def test_a_plan_made_while_tables_are_empty_finds_rows_by_their_index(statement):
    """The plan is kept, so one that reads a whole table would still do so when there are millions of rows."""
    url = fresh_database()

    async def main() -> None:
        connection = await PostgresServer(url).connect(ledger=True)
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE ledger_statement AS {statement}")
        count = max(int(number) for number in re.findall(r"\$(\d+)", statement))
        plan = [
            row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE ledger_statement({', '.join(['NULL'] * count)})")
        ]
        await connection.close()
        scans = [(line, plan[n + 1]) for n, line in enumerate(plan) if re.search(r"(Index|Seq|Heap).* Scan", line)]
        assert scans
        for line, below in scans:
            assert "Seq Scan" not in line
            assert "Index Cond" in below, (line, below)
            assert "conversations_to_check" not in line
            assert "deliveries_by_endpoint" not in line

    asyncio.run(main())
    drop_database(url)


def test_a_server_that_is_killed_costs_nothing_that_was_accepted():
    """A refused POST is sent again, as Meta does; the store reconnects by itself."""
    postgres = Postgres()
    postgres.start()
    url = fresh_database(server=postgres.url)

    async def post_until_accepted(world: World, number: int, refused: list[str]) -> None:
        while True:
            try:
                await world.post(incoming(f"wamid.{number}", sender=f"52155883922{number % 10}"))
            except Unavailable as error:
                refused.append(str(error))
                await asyncio.sleep(0.02)
            else:
                return

    async def main() -> None:
        async with processes(PostgresServer(url), START) as (world,):
            endpoint = await world.endpoint()
            changed: list[str] = []
            assert isinstance(world.store, PostgresStore)
            world.store.on_elsewhere(changed.extend, lambda: None)
            refused: list[str] = []
            sent = 0
            for _ in range(3):
                posts = [asyncio.create_task(post_until_accepted(world, sent + n, refused)) for n in range(40)]
                sent += 40
                await until(partial(_any_done, posts))
                await asyncio.to_thread(postgres.kill)
                extra = asyncio.create_task(post_until_accepted(world, sent, refused))
                sent += 1
                await until(lambda: world.store.failing != "")
                with pytest.raises(Unavailable):
                    await world.query("SELECT 1")
                with pytest.raises(Unavailable):
                    await world.outbox.renew("one")
                await asyncio.to_thread(postgres.start)
                await asyncio.gather(*posts, extra)
                await world.outbox.renew("one")
                assert world.store.failing == ""
            assert refused
            assert len(await world.query("SELECT id FROM messages")) == sent
            events = await world.events()
            works = await world.outbox.backlog(endpoint.id, partitions=EVERY, after="", limit=1000)
            assert [w.event.id for w in works] == [event.id for event in events]
            assert len((await world.outbox.renew("one")).partitions) == PARTITIONS
            await until(lambda: endpoint.id in changed)  # it listens again, and looks for what it may have missed

    try:
        asyncio.run(main())
    finally:
        postgres.stop()


def _any_done(tasks: list[asyncio.Task[None]]) -> bool:
    return any(task.done() for task in tasks)
