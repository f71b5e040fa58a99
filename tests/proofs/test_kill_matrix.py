"""The kill matrix: SIGKILL at random moments under load; afterwards everything accepted is delivered, in order, once.

What was in flight at a kill is counted from both ends: the subscriber had got the whole request on a connection that
ended with the victim, and the delivery was not recorded in the database when the victim was dead. Those, and no
others, may come a second time. A dead database ends no connection: there it is what had come and was not recorded
when the server was back.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from msgspec import Struct
from tests.postgres_server import Postgres
from tests.proofs.deployments import DATABASE, Deployment, OnPostgres, OnSqlite
from tests.proofs.meta_load import ANSWERED, Load, loading
from tests.proofs.reconciler import reconcile
from tests.proofs.subscriber import THOUGHT_SECONDS, Subscriber, subscribing, thinking
from tests.proofs.table import Row

ENDPOINTS = ("row", "chat")
BUFFERED = ("row-buffered",)
BUFFER = {"seconds": 0.5, "most": 6}
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID")
"""The same in every process of a run."""
SEED = int(os.environ.get("PROOFS_SEED", "0")) or random.Random(RUN).randrange(1, 1_000_000)
KILLS = int(os.environ.get("PROOFS_KILLS", "5"))
BUFFERED_KILLS = max(2, KILLS // 2)
"""Fewer, because a buffer makes each take longer, and it is the same engine."""


class Kill(Struct, frozen=True):
    """What was known when the victims were dead: what had come by then, which connections had ended before, and what
    was not recorded."""

    came: int
    ended: frozenset[int]
    unrecorded: frozenset[str]


async def survive(
    deployment: Deployment, rounds: Sequence[Sequence[str]], *, store: str, victim: str, buffered: bool
) -> Row:
    """Kill and restart, each round its victims, under load; return what came of it."""
    endpoints, options, answered = (BUFFERED, {"buffer": BUFFER}, 8) if buffered else (ENDPOINTS, {}, ANSWERED)
    rng = random.Random(f"{SEED}/{store}/{victim}")
    subscriber = Subscriber(otherwise=thinking(random.Random(SEED)))
    kills: list[Kill] = []
    async with subscribing(subscriber):
        await deployment.subscribe(subscriber.url, *endpoints, **options)
        load = Load(*deployment.ingests, seed=SEED, answered=answered)
        async with loading(load):
            for names in rounds:
                await subscriber.more(rng.randint(10, 100 if buffered else 300))
                await asyncio.sleep(rng.uniform(0, THOUGHT_SECONDS))
                ended = frozenset(subscriber.ended)
                await asyncio.gather(*map(deployment.kill, names))
                await subscriber.caught_up()
                came = len(subscriber.arrivals)
                if DATABASE in names:
                    await deployment.start(DATABASE)
                kills.append(Kill(came, ended, frozenset(await deployment.unrecorded())))
                await asyncio.gather(*(deployment.start(name) for name in names if name != DATABASE))
            ended = frozenset(subscriber.ended)
            silence = max(later - earlier for earlier, later in pairwise(subscriber.times))
        owed = load.owed(endpoints)
        expected = sum(map(len, owed.values()))
        await subscriber.until(lambda: told(subscriber) >= expected, what="every delivery")
        for name in list(deployment.processes):
            assert await deployment.stop(name) == 0
        assert await deployment.unrecorded() == set()
    most = max(len(arrival.facts) for arrival in subscriber.arrivals)
    assert 2 < most <= BUFFER["most"] if buffered else most == 1
    verdict = reconcile(owed, subscriber.arrivals, in_flight(subscriber, kills, rounds, ended))
    return Row(
        store=store,
        victim=victim,
        seed=SEED,
        kills=sum(map(len, rounds)),
        posts=load.answers[200],
        verdict=verdict,
        silence=silence,
    )


def told(subscriber: Subscriber) -> int:
    """How much has come, each fact counted once."""
    return len({(arrival.lane, fact) for arrival in subscriber.arrivals for fact in arrival.facts})


def in_flight(
    subscriber: Subscriber, kills: Sequence[Kill], rounds: Sequence[Sequence[str]], ended: frozenset[int]
) -> Iterator[set[str]]:
    """The webhook-ids that each kill may have doubled; `ended`: the connections that had ended when all was over."""
    following = [*(kill.ended for kill in kills[1:]), ended]
    for kill, names, ended_by_then in zip(kills, rounds, following, strict=True):
        cut = ended_by_then - kill.ended
        came = zip(subscriber.arrivals[: kill.came], subscriber.lines, strict=False)
        yield {
            arrival.webhook_id
            for arrival, line in came
            if arrival.webhook_id in kill.unrecorded and (line in cut or DATABASE in names)
        }


def prove(
    deployment: Deployment, rounds: Sequence[Sequence[str]], matrix: list[Row], *, victim: str, buffered: bool = False
) -> None:
    store = "SQLite" if isinstance(deployment, OnSqlite) else "PostgreSQL"

    async def run() -> Row:
        async with deployment:
            return await survive(deployment, rounds, store=store, victim=victim, buffered=buffered)

    row = asyncio.run(run())
    matrix.append(row)
    assert row.verdict.faults == []


def turns(*names: str, kills: int = KILLS) -> list[tuple[str]]:
    """One victim after the other, until there were enough."""
    return [(names[number % len(names)],) for number in range(kills)]


def test_the_one_process_on_sqlite(tmp_path: Path, matrix: list[Row]) -> None:
    prove(OnSqlite(tmp_path), turns("all"), matrix, victim="all (one process)")


def test_ingest_on_postgres(tmp_path: Path, matrix: list[Row]) -> None:
    parts = {"ingest": ("--role", "ingest"), "deliver": ("--role", "deliver")}
    prove(OnPostgres(tmp_path, parts), turns("ingest"), matrix, victim="ingest")


def test_one_dispatcher_of_two_on_postgres(tmp_path: Path, matrix: list[Row]) -> None:
    parts = {"ingest": ("--role", "ingest"), "one": ("--role", "deliver"), "other": ("--role", "deliver")}
    prove(OnPostgres(tmp_path, parts), turns("one", "other"), matrix, victim="dispatcher (of 2)")


def test_one_process_of_two_then_both_on_postgres(tmp_path: Path, matrix: list[Row]) -> None:
    rounds = [*turns("one", "other"), ("one", "other")]
    prove(OnPostgres(tmp_path, {"one": (), "other": ()}), rounds, matrix, victim="all (of 2, then both)")


def test_postgres_itself(tmp_path: Path, matrix: list[Row], own_server: Postgres) -> None:
    parts = {"ingest": ("--role", "ingest"), "deliver": ("--role", "deliver")}
    prove(OnPostgres(tmp_path, parts, server=own_server), turns(DATABASE), matrix, victim="PostgreSQL")


def test_the_one_process_on_sqlite_with_a_buffer(tmp_path: Path, matrix: list[Row]) -> None:
    prove(OnSqlite(tmp_path), turns("all", kills=BUFFERED_KILLS), matrix, victim="all, buffered", buffered=True)


def test_one_process_of_two_then_both_on_postgres_with_a_buffer(tmp_path: Path, matrix: list[Row]) -> None:
    rounds = [*turns("one", "other", kills=BUFFERED_KILLS), ("one", "other")]
    deployment = OnPostgres(tmp_path, {"one": (), "other": ()})
    prove(deployment, rounds, matrix, victim="all (of 2, then both), buffered", buffered=True)


def test_postgres_itself_with_a_buffer(tmp_path: Path, matrix: list[Row], own_server: Postgres) -> None:
    parts = {"ingest": ("--role", "ingest"), "deliver": ("--role", "deliver")}
    deployment = OnPostgres(tmp_path, parts, server=own_server)
    prove(deployment, turns(DATABASE, kills=BUFFERED_KILLS), matrix, victim="PostgreSQL, buffered", buffered=True)
