"""The whole of it: a customer writes at Meta's, an agent answers, and the answer is sent, delivered and read there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from msgspec.json import encode
from sqlalchemy import Connection
from tests.acceptance.test_endpoint_worker import Receiver, subscribe
from tests.contract.listening import listening
from tests.simulator.running import CUSTOMER, NUMBER, WABA, Meta, running

from tellwire.agents.scripted import GREETING
from tellwire.agents.settings import AgentSettings
from tellwire.app import App
from tellwire.model.agents import Agent
from tellwire.model.inbound import EVERYTHING
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, Account
from tellwire.settings import Settings
from tellwire.settings.values import allowed_network
from tellwire.simulator import TOKEN
from tellwire.stores.queries import accounts, agents
from tellwire.stores.queries.audit import AuditChange


def with_agent(app: App) -> Any:
    """The simulator's number with the scripted agent."""

    def work(connection: Connection) -> str:
        deed = AuditChange(DEFAULT_ORGANIZATION, "a test", app.clock.now(), app.store.new_id)
        agent = Agent(
            id=deed.new_id(),
            organization_id=DEFAULT_ORGANIZATION,
            name="Demo",
            kind="ai",
            options=encode(AgentSettings(model="scripted")),
            debounce=0,
        )
        account = Account(
            id=deed.new_id(),
            organization_id=DEFAULT_ORGANIZATION,
            phone_number_id=NUMBER,
            waba_id=WABA,
            access_token=TOKEN,
            agent_id=agent.id,
        )
        agents.add(connection, deed, app.store.vault, agent)
        accounts.add(connection, deed, app.store.vault, account)
        return agent.id

    return app.store.write(work)


def test_a_customer_writes_and_reads_the_agents_answer(tmp_path: Path) -> None:
    async def scenario(there: Meta) -> None:
        settings = Settings(
            database_url=f"sqlite:///{tmp_path}/x.db",
            meta_graph_url=f"{there.simulator.url}/v24.0",
            delivery_allow_cidrs=(allowed_network("127.0.0.1/32"),),
        )
        app = await App.open(settings)
        hears = Receiver()
        async with listening(hears) as subscriber:
            try:
                agent_id = await with_agent(app)
                await subscribe(app, subscriber.url)
                await app.start()
                forwarding = asyncio.create_task(forward(there, app))
                status, written = await there.control("customer", wa_id=CUSTOMER, name="Bharath", text="Hello!")
                assert status == 200, written
                await hears.until(lambda: any("read" in row(each)["status"] for each in ours(hears)))
                forwarding.cancel()
                [accepted] = (await there.look("accepted"))["data"]
                assert accepted["recipient"].removeprefix("+") == CUSTOMER
                first, last = row(ours(hears)[0]), row(ours(hears)[-1])
                assert first["agent_id"] == agent_id
                assert first["content"] == {"type": "text", "text": {"body": GREETING}}
                assert list(first["status"]) == ["pending"]
                assert list(last["status"]) == ["pending", "sent", "delivered", "read"]
                assert (await there.look("receipts"))["data"] == [written["id"]]
                assert (await there.look("counts"))["typing"] == 1
            finally:
                await app.stop(grace_seconds=1)

    running(scenario)


async def forward(there: Meta, app: App) -> None:
    """What Meta posts, to the app."""
    done = 0
    while True:
        await there.callback.until(lambda: len(there.callback.bodies) > done)  # noqa: B023 - asked at once
        for body in there.callback.bodies[done:]:
            await app.ingest.receive(json.dumps(body).encode(), EVERYTHING)
            done += 1


def ours(hears: Receiver) -> list[Any]:
    """What subscribers were told of outgoing rows."""
    return [each for each in hears.came if row(each).get("direction") == "outgoing"]


def row(told: tuple[dict[str, str], Any]) -> Any:
    return told[1]["data"]
