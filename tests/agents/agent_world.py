"""A world with an AI agent in it: its model is a server on loopback, asked over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, insert
from tests.agents.openai_server import Answering as Says
from tests.agents.openai_server import Loopback, loopback
from tests.world import DAY, NUMBER, World, incoming, play

from tellwire.agents.chat_model import ChatModel
from tellwire.agents.ports import Model
from tellwire.agents.scripted import ScriptedModel
from tellwire.agents.settings import API_KEY, SCRIPTED, AgentSettings
from tellwire.agents.worker import AgentWorker
from tellwire.conversations import outgoing
from tellwire.http_client.connection import ConnectionLimits
from tellwire.http_client.sender import open_sender
from tellwire.model.agents import Agent, AgentRun
from tellwire.model.messaging import Message
from tellwire.model.routing import PARTITIONS
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.ports.http_out import Answer
from tellwire.security.addresses import Reach
from tellwire.settings import LOOPBACK
from tellwire.stores.queries import agents as agent_queries
from tellwire.stores.queries.paging import PageRequest
from tellwire.stores.records import sending_rows
from tellwire.stores.schema.tables import agents
from tellwire.stores.work_queues.turns import SqlAgentTurns

KEY = "sk-an-invented-key-of-a-model"
DEBOUNCE = 3_000_000
REACH = Reach(allow=LOOPBACK, shows_answers=True)


class Meta:
    """Meta's Graph API as a port: keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answer = Answer(status=200, body=b'{"success":true}')

    async def ask(self, token: str, path: str, *, body: bytes = b"", **_more: Any) -> Answer:
        self.asked.append((token, path, msgspec.json.decode(body)))
        return self.answer

    async def close(self) -> None: ...


class AgentWorld:
    """A world, its agent, and what runs the agent's turns."""

    def __init__(self, world: World, server: Loopback) -> None:
        self.world = world
        self.server = server
        self.meta = Meta()
        self.sender = open_sender(reach=REACH, limits=ConnectionLimits(body=1024 * 1024, wire=2 * 1024 * 1024))
        self.tools = open_sender(reach=REACH)
        self.chat = ChatModel(self.sender, self.tools)
        self.agent = Agent(id="", organization_id="", name="")
        self.agent_worker = self.worker()

    def worker(self, model: Model | None = None) -> AgentWorker:
        """Return a worker of its own, as another process has one."""
        scripted = ScriptedModel()

        def model_of(agent: Agent) -> Model:
            return model or (scripted if b'"scripted"' in agent.options else self.chat)

        return AgentWorker(
            self.world.store,
            SqlAgentTurns(self.world.store),
            self.world.clock,
            model_of=model_of,
            owned=lambda: range(PARTITIONS),
            window=DAY,
            counters=self.world.store.counters,
            graph=self.meta,
        )

    async def close(self) -> None:
        await self.agent_worker.stop()
        await self.sender.close()
        await self.tools.close()

    async def add_agent(self, *, kind: str = "ai", secrets: dict[str, str] | None = None, **settings: Any) -> Agent:
        """An agent; an AI agent is set as the account's."""
        options = AgentSettings(**({"model": "some-model", "base_url": self.server.base_url} | settings))
        world = self.world

        def work(connection: Connection) -> Agent:
            agent = Agent(
                id=world.store.new_id(),
                organization_id=DEFAULT_ORGANIZATION,
                name="Ada",
                kind="ai" if kind == "ai" else "human",
                options=msgspec.json.encode(options),
                secrets={API_KEY: KEY} | (secrets or {}),
                debounce=DEBOUNCE,
            )
            connection.execute(insert(agents).values(sending_rows.agent_values(agent, world.store.vault)))
            return agent

        agent = await world.store.write(work)
        await world.set_account(**({"agent_id": agent.id} if kind == "ai" else {"name": "x"}))
        if kind == "ai":
            self.agent = agent
        return agent

    async def customer(self, wamid: str, text: str = "Hello!", **more: Any) -> None:
        await self.world.post(incoming(wamid, text, **({"at": self.world.clock.now() // 1_000_000} | more)))

    async def turn(self, worker: AgentWorker | None = None, *, after: int = DEBOUNCE) -> None:
        """Let the debounce pass, and everything that is due be done."""
        self.world.clock.move(after)
        worker = worker or self.agent_worker
        await worker.round()
        async with asyncio.timeout(30):
            await worker.settled()

    async def sent(self) -> list[str]:
        """Return the texts of outgoing rows, in order."""
        rows = [row for row in await self.world.rows("messages.insert") if row["direction"] == "outgoing"]
        return [row["content"]["text"]["body"] for row in rows]

    async def runs(self) -> list[AgentRun]:
        """What became of the agent's turns, the oldest first."""
        turn = PageRequest(200)
        page = await self.world.store.read(lambda c: agent_queries.runs(c, DEFAULT_ORGANIZATION, self.agent.id, turn))
        return list(reversed(page.items))

    async def outcomes(self) -> list[str]:
        return [run.outcome for run in await self.runs()]

    async def turns(self) -> list[tuple[Any, ...]]:
        return await self.world.query("SELECT message_id, due_at, attempts FROM agent_turns")

    async def conversation(self) -> str:
        return str((await self.world.query("SELECT id FROM conversations"))[0][0])

    async def send(self, text: str, agent_id: str = "") -> Message:
        """Queue a message as the API does."""
        account = self.world.store.registry().accounts[NUMBER]
        content = msgspec.json.encode({"type": "text", "text": {"body": text}})
        draft = outgoing.Draft(account=account, content=content, to="+5215588392274", agent_id=agent_id)
        message, _ = await self.world.store.apply(
            outgoing.keys_of(draft), lambda ledger: outgoing.queue(ledger, draft, window=DAY)
        )
        return message


Scenario = Callable[[AgentWorld], Awaitable[None]]


def at_work(tmp_path: Path, says: Says, scenario: Scenario, *, with_agent: bool = True, **settings: Any) -> None:
    """Run a scenario in a fresh world with an agent whose model says this."""

    async def run(world: World) -> None:
        async with loopback(says) as server:
            agent_world = AgentWorld(world, server)
            try:
                await world.post(incoming("wamid.before"))  # makes the account
                if with_agent:
                    await agent_world.add_agent(**settings)
                await scenario(agent_world)
            finally:
                await agent_world.close()

    play(tmp_path, run)


def scripted(**more: Any) -> dict[str, Any]:
    return {"model": SCRIPTED, "base_url": "", **more}


__all__ = ["KEY", "AgentWorld", "Meta", "at_work", "replace", "scripted"]
