"""10 000 messages to 2 000 recipients through a Meta that throttles, breaks and falls silent, and five `kill -9`.

By default fewer are sent, so that the suite stays short; PROOFS_SENDS says how many (a fifth as many recipients) and
PROOFS_SEND_RATE how fast at the most.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from tests.postgres_server import free_port
from tests.proofs.deployments import Deployment, OnPostgres, OnSqlite
from tests.proofs.meta_load import APP_SECRET
from tests.proofs.news import asked
from tests.proofs.outgoing_load import Orders
from tests.world import DISPLAY, NUMBER, WABA

from tellwire.sending.rate_limits import PAIR_BURST
from tellwire.simulator import TOKEN, Business, Knobs, Simulator, State

SEED = int(os.environ.get("PROOFS_SEED", "20261124"))
MESSAGES = int(os.environ.get("PROOFS_SENDS", "600"))
RATE = int(os.environ.get("PROOFS_SEND_RATE", "200"))
KILLS = 5
EACH = 5
OVER_THE_BURST = 1
PATIENCE = 60.0 + MESSAGES / 20
PORT = free_port()
GRAPH = f"http://127.0.0.1:{PORT}/v24.0"


def weather() -> Knobs:
    """A bad day at Meta's; customers don't read."""
    return Knobs(
        throttle_rate=0.05,
        error_rate=0.02,
        error_accept_rate=0.5,
        timeout_rate=0.01,
        hang_seconds=0.5,
        sends_per_second=RATE,
        delivered_rate=0.0,
        batch=50,
        batch_seconds=0.1,
    )


async def states(deployment: Deployment) -> dict[str, str]:
    """Where every message stands."""
    return {row[0]: row[1] for row in await deployment.query("SELECT message_id, state FROM sends")}


async def taken_by(state: State) -> int:
    """How many messages Meta has taken."""
    return state.journal.counts.accepted


def over(stand: Mapping[str, str], state: State) -> bool:
    """Whether nothing is on its way any more, and Meta's statuses have settled what Meta had taken."""
    open_ = {"scheduled", "queued", "sending"}
    taken = {message.callback_data for message in state.journal.accepted}
    return open_.isdisjoint(stand.values()) and all(stand[identifier] == "accepted" for identifier in taken)


async def survive(deployment: Deployment, *, store: str, messages: int, kills: int) -> tuple[str, ...]:
    rng = random.Random(SEED)
    business = Business(phone_number_id=NUMBER, display_phone_number=DISPLAY, waba_id=WABA)
    state = State(businesses=(business,), knobs=weather(), seed=SEED)
    counts = [*[EACH] * (messages // EACH), PAIR_BURST + OVER_THE_BURST]
    simulator = Simulator(state)
    began = perf_counter()
    await simulator.start(port=PORT)
    try:
        async with deployment:
            simulator.set_callback(f"{deployment.url()}/meta/webhook", APP_SECRET)
            draft = {"phone_number_id": NUMBER, "waba_id": WABA, "access_token": TOKEN, "send_rate": RATE}
            status, answer = await deployment.call("POST", "/v1/accounts", draft)
            assert status == 201, answer
            orders = Orders(deployment.url(), seed=SEED, counts=counts)
            placing = asyncio.create_task(orders.place())
            for goal in sorted(rng.sample(range(messages // 20, messages * 9 // 10), kills)):
                await asked(partial(taken_by, state), goal.__le__, what=f"{goal} sends", seconds=PATIENCE)
                victim = next(iter(deployment.processes))
                await deployment.kill(victim)
                await deployment.start(victim)
            await placing
            stand = await asked(
                lambda: states(deployment), lambda found: over(found, state), what="the end", seconds=PATIENCE
            )
            took = perf_counter() - began
            assert await deployment.stop(next(iter(deployment.processes))) == 0
    finally:
        await simulator.stop()
    told = {message.callback_data for message in state.journal.accepted}
    count = Counter(stand.values())
    times = Counter(message.callback_data for message in state.journal.accepted)
    unanswered = {m.callback_data for m in state.journal.accepted if not m.answered}
    settled = sum(stand[identifier] == "accepted" for identifier in unanswered)
    twice = [identifier for identifier, number in times.items() if number > 1]
    order: dict[str, list[int]] = defaultdict(list)
    for message in state.journal.accepted:
        recipient, _, number = orders.queued[message.callback_data].partition("/")
        order[recipient].append(int(number))
    disordered = [who for who, numbers in order.items() if any(a >= b for a, b in pairwise(numbers))]
    rates, pairs = state.rates[NUMBER], state.pairs[NUMBER]
    assert stand.keys() == orders.queued.keys()
    assert twice == []
    assert disordered == []
    assert (rates.broken, pairs.broken) == (0, {})
    assert {identifier for identifier, at in stand.items() if at == "accepted"} == told
    numbers = (
        SEED, kills, len(stand), len(counts), count["accepted"], count["failed"], count["unknown"], settled, len(twice),
        len(disordered), rates.broken, sum(pairs.broken.values()), rates.peak,
    )  # fmt: skip
    return (store, *map(str, numbers), f"{took:.0f} s")


def prove(
    deployment: Deployment, table: list[tuple[str, ...]], *, store: str, messages: int, kills: int = KILLS
) -> None:
    table.append(asyncio.run(survive(deployment, store=store, messages=messages, kills=kills)))


def test_on_sqlite(tmp_path: Path, sent: list[tuple[str, ...]]) -> None:
    prove(OnSqlite(tmp_path, META_GRAPH_URL=GRAPH), sent, store="SQLite", messages=MESSAGES)


def test_on_postgres(tmp_path: Path, sent: list[tuple[str, ...]]) -> None:
    """Fewer, because each restart waits until the leases of the dead process have lapsed."""
    deployment = OnPostgres(tmp_path, {"all": ()}, META_GRAPH_URL=GRAPH)
    prove(deployment, sent, store="PostgreSQL", messages=MESSAGES // 4, kills=2)
