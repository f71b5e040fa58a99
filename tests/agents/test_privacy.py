"""Retention and erasure remove what is kept about agents. Over each store."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.agents.agent_world import DEBOUNCE, AgentWorld, at_work
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


async def counts(agent_world: AgentWorld) -> list[int]:
    return [(await agent_world.world.query(f"SELECT count(*) FROM {table}"))[0][0] for table in TABLES]


def test_runs_go_with_time_and_hand_overs_with_their_conversation(tmp_path):
    async def scenario(agent_world: AgentWorld):
        await agent_world.customer("wamid.1", "a person, please")
        await agent_world.turn()
        assert await counts(agent_world) == [0, 1, 1]
        await agent_world.world.store.write(lambda c: c.exec_driver_sql("UPDATE sends SET state = 'accepted'"))
        rounds = Rounds(agent_world.world, RetentionPeriods(payloads=90 * DAY, messages=30 * DAY))
        agent_world.world.clock.move(31 * DAY)
        await rounds.round()
        assert await counts(agent_world) == [0, 1, 1], "its conversation is open still"
        await agent_world.world.store.write(lambda c: c.exec_driver_sql("UPDATE conversations SET status = 'closed'"))
        await rounds.round()
        assert await counts(agent_world) == [0, 0, 1]
        assert await agent_world.world.query("SELECT id FROM conversations") == []
        agent_world.world.clock.move(60 * DAY)
        await rounds.round()
        assert await counts(agent_world) == [0, 0, 0]

    at_work(tmp_path, in_turn(calling("hand_over_to_human", reason="asked"), completion("Yes.")), scenario)


def test_what_agents_did_goes_with_the_person(tmp_path):
    async def scenario(agent_world: AgentWorld):
        await agent_world.customer("wamid.1", "a person, please")
        await agent_world.turn()
        other = "5215588390000"
        await agent_world.world.post(incoming("wamid.other", sender=other))
        assert await counts(agent_world) == [1, 1, 1]
        [(person,)] = await agent_world.world.query(
            f"SELECT contact_id FROM contact_aliases WHERE value = '{CUSTOMER}'"
        )
        store, clock = agent_world.world.store, agent_world.world.clock
        deed = AuditChange(DEFAULT_ORGANIZATION, "a test", clock.now(), store.new_id)
        erasure = await store.write(lambda c: erasures.begin(c, deed, store.vault, person))
        assert erasure is not None
        await ErasureWorker(store, SqlErasures(store), clock, lambda _: None, nothing).run(
            DEFAULT_ORGANIZATION, erasure.id
        )
        assert await counts(agent_world) == [1, 0, 0], "the other one's turn stays"
        [(tokens,)] = await agent_world.world.query("SELECT tokens FROM agent_usage")
        assert tokens == 36, "a day's figures are nobody's"

    at_work(tmp_path, in_turn(calling("hand_over_to_human", reason="asked"), completion("Yes.")), scenario)


def test_an_answer_to_somebody_who_was_erased_meanwhile_goes_nowhere(tmp_path):
    async def scenario(agent_world: AgentWorld):
        await agent_world.customer("wamid.1")
        agent_world.world.clock.move(DEBOUNCE)
        store, clock = agent_world.world.store, agent_world.world.clock

        class Slow:
            async def answer(self, agent: Agent, history: Sequence[TranscriptLine], usage: Usage) -> Reply:
                [(person,)] = await agent_world.world.query(
                    f"SELECT contact_id FROM contact_aliases WHERE value = '{CUSTOMER}'"
                )
                deed = AuditChange(DEFAULT_ORGANIZATION, "a test", clock.now(), store.new_id)
                erasure = await store.write(lambda c: erasures.begin(c, deed, store.vault, person))
                assert erasure is not None
                await ErasureWorker(store, SqlErasures(store), clock, lambda _: None, nothing).run(
                    DEFAULT_ORGANIZATION, erasure.id
                )
                return Reply(text="never")

        await agent_world.turn(agent_world.worker(Slow()), after=0)
        assert await agent_world.sent() == []
        assert await agent_world.outcomes() == ["superseded"]
        assert await agent_world.world.query("SELECT message_id FROM sends") == []

    at_work(tmp_path, in_turn(completion("never")), scenario)
