"""What is kept of agents goes with time, and with the person. Over each store."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.agents.agent_world import DEBOUNCE, Desk, at_work
from tests.agents.openai_server import calling, completion, in_turn
from tests.contract.test_retention import Rounds
from tests.world import CUSTOMER, DAY, incoming

from tellwire.agents.ports import Reply, TranscriptLine, Usage
from tellwire.model.agents import Agent
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.privacy.erasure import ErasureWorker
from tellwire.privacy.retention import RetentionPeriods
from tellwire.stores.queries import erasures
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.work_queues.erasures import SqlErasures

TABLES = ("agent_turns", "handovers", "agent_runs")


@pytest.fixture(autouse=True)
def over_each_store(each_store: None) -> None:
    """Ask for it."""


async def nothing() -> None:
    """There are no files to sweep."""


async def counts(desk: Desk) -> list[int]:
    return [(await desk.world.query(f"SELECT count(*) FROM {table}"))[0][0] for table in TABLES]


def test_runs_go_with_time_and_hand_overs_with_their_conversation(tmp_path):
    async def scenario(desk: Desk):
        await desk.customer("wamid.1", "a person, please")
        await desk.turn()
        assert await counts(desk) == [0, 1, 1]
        await desk.world.store.write(lambda c: c.exec_driver_sql("UPDATE sends SET state = 'accepted'"))
        rounds = Rounds(desk.world, RetentionPeriods(payloads=90 * DAY, messages=30 * DAY))
        desk.world.clock.move(31 * DAY)
        await rounds.round()
        assert await counts(desk) == [0, 1, 1], "its conversation is open still"
        await desk.world.store.write(lambda c: c.exec_driver_sql("UPDATE conversations SET status = 'closed'"))
        await rounds.round()
        assert await counts(desk) == [0, 0, 1]
        assert await desk.world.query("SELECT id FROM conversations") == []
        desk.world.clock.move(60 * DAY)
        await rounds.round()
        assert await counts(desk) == [0, 0, 0]

    at_work(tmp_path, in_turn(calling("hand_over_to_human", reason="asked"), completion("Yes.")), scenario)


def test_what_agents_did_goes_with_the_person(tmp_path):
    async def scenario(desk: Desk):
        await desk.customer("wamid.1", "a person, please")
        await desk.turn()
        other = "5215588390000"
        await desk.world.post(incoming("wamid.other", sender=other))
        assert await counts(desk) == [1, 1, 1]
        [(person,)] = await desk.world.query(f"SELECT contact_id FROM contact_aliases WHERE value = '{CUSTOMER}'")
        store, clock = desk.world.store, desk.world.clock
        deed = AuditChange(DEFAULT_ORGANIZATION, "a test", clock.now(), store.new_id)
        erasure = await store.write(lambda c: erasures.begin(c, deed, store.vault, person))
        assert erasure is not None
        await ErasureWorker(store, SqlErasures(store), clock, lambda _: None, nothing).run(
            DEFAULT_ORGANIZATION, erasure.id
        )
        assert await counts(desk) == [1, 0, 0], "the other one's turn stays"
        [(tokens,)] = await desk.world.query("SELECT tokens FROM agent_usage")
        assert tokens == 36, "a day's figures are nobody's"

    at_work(tmp_path, in_turn(calling("hand_over_to_human", reason="asked"), completion("Yes.")), scenario)


def test_an_answer_to_somebody_who_was_erased_meanwhile_goes_nowhere(tmp_path):
    async def scenario(desk: Desk):
        await desk.customer("wamid.1")
        desk.world.clock.move(DEBOUNCE)
        store, clock = desk.world.store, desk.world.clock

        class Slow:
            async def answer(self, agent: Agent, history: Sequence[TranscriptLine], usage: Usage) -> Reply:
                [(person,)] = await desk.world.query(
                    f"SELECT contact_id FROM contact_aliases WHERE value = '{CUSTOMER}'"
                )
                deed = AuditChange(DEFAULT_ORGANIZATION, "a test", clock.now(), store.new_id)
                erasure = await store.write(lambda c: erasures.begin(c, deed, store.vault, person))
                assert erasure is not None
                await ErasureWorker(store, SqlErasures(store), clock, lambda _: None, nothing).run(
                    DEFAULT_ORGANIZATION, erasure.id
                )
                return Reply(text="never")

        await desk.turn(desk.worker(Slow()), after=0)
        assert await desk.sent() == []
        assert await desk.outcomes() == ["superseded"]
        assert await desk.world.query("SELECT message_id FROM sends") == []

    at_work(tmp_path, in_turn(completion("never")), scenario)
