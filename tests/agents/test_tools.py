"""Tools over HTTP, asked for by a model over HTTP; and the demo agent that needs neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.agents.agent_world import KEY, AgentWorld, Scenario, at_work, scripted
from tests.agents.openai_server import Asked, Loopback, Said, calling, completion, in_turn, loopback

from tellwire.agents.scripted import GREETING, NOTE
from tellwire.agents.settings import Tool

SECRET = "a-secret-of-the-shop"
PARAMETERS = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "note": {"type": "string"}},
    "required": ["order"],
}


def order_tool(origin: str, **more: Any) -> dict[str, Any]:
    """Settings with a tool on this server, and the secret of its header."""
    fields = {"url": f"{origin}/orders/{{order}}", "headers": {"Authorization": ""}, "parameters": PARAMETERS}
    return {
        "tools": (Tool(name="order_status", description="Where an order is.", **(fields | more)),),
        "allowed_tool_origins": (origin,),
        "secrets": {"tools/order_status/authorization": f"Bearer {SECRET}"},
    }


def with_shop(tmp_path: Path, model: list[Said], shop: Any, scenario: Any, **more: Any) -> None:
    """A agent_world whose agent has a tool on a second server."""

    async def run(agent_world: AgentWorld) -> None:
        async with loopback(shop) as server:
            await agent_world.add_agent(**order_tool(server.origin, **more))
            await agent_world.customer("wamid.1", "Where is my order?")
            await agent_world.turn()
            await scenario(agent_world, server)

    at_work(tmp_path, in_turn(*model), run, with_agent=False)


def tool_answer(agent_world: AgentWorld) -> Any:
    """What the model was told of the tool's answer."""
    [told] = [m["content"] for m in agent_world.server.asked[-1].json["messages"] if m["role"] == "tool"]
    return json.loads(told)


def test_a_tool_is_called_and_its_answer_told(tmp_path):
    async def scenario(agent_world: AgentWorld, shop: Loopback):
        [asked] = shop.asked
        assert (asked.method, asked.target) == ("GET", "/orders/A-17?note=x")
        assert asked.headers["authorization"] == f"Bearer {SECRET}"
        assert tool_answer(agent_world) == {"status": 200, "body": '{"state": "on its way"}', "cut": False}
        [function] = [
            t["function"] for t in agent_world.server.asked[0].json["tools"] if t["function"]["name"] == "order_status"
        ]
        assert (function["description"], function["parameters"]["required"]) == ("Where an order is.", ["order"])
        assert await agent_world.sent() == ["It is on its way."]
        [run] = await agent_world.runs()
        assert (run.outcome, run.tool_calls) == ("replied", 1)
        assert all(SECRET.encode() not in each.body for each in agent_world.server.asked)

    model = [calling("order_status", order="A-17", note="x"), completion("It is on its way.")]
    with_shop(tmp_path, model, lambda _: (200, b'{"state": "on its way"}'), scenario)


def test_a_secret_that_a_tool_repeats_does_not_reach_the_model(tmp_path):
    async def scenario(agent_world: AgentWorld, shop: Loopback):
        assert shop.asked[0].json == {"note": "x"}
        assert tool_answer(agent_world)["body"] == "you sent ********, ********"
        assert KEY.encode() not in agent_world.server.asked[-1].body

    def echo(asked: Asked) -> Said:
        value = asked.headers["authorization"]
        return 200, f"you sent {value}, {value.removeprefix('Bearer ')}".encode()

    model = [calling("order_status", order="1", note="x"), completion("ok")]
    with_shop(tmp_path, model, echo, scenario, method="POST")


@pytest.mark.parametrize("order", ["../admin", "..", "1/../../admin", "1?admin=1", "%2e%2e", "1#"])
def test_a_hostile_parameter_reaches_nobody(tmp_path, order: str):
    async def scenario(agent_world: AgentWorld, shop: Loopback):
        assert shop.asked == []
        assert "must not be empty" in tool_answer(agent_world)["error"]
        assert await agent_world.sent() == ["Sorry."]

    model = [calling("order_status", order=order), completion("Sorry.")]
    with_shop(tmp_path, model, lambda _: (200, b""), scenario)


def test_redirects_are_not_followed_and_long_answers_are_cut(tmp_path):
    async def scenario(agent_world: AgentWorld, shop: Loopback):
        answer = tool_answer(agent_world)
        assert (answer["status"], answer["cut"], len(answer["body"])) == (302, True, 16 * 1024)
        assert len(shop.asked) == 1

    model = [calling("order_status", order="1"), completion("Sorry.")]
    with_shop(tmp_path, model, lambda _: (302, b"x" * 20_000), scenario)


def test_addresses_that_deliveries_may_not_reach_are_not_reached_by_tools(tmp_path):
    async def scenario(agent_world: AgentWorld) -> None:
        await agent_world.add_agent(**order_tool("http://169.254.169.254"))
        await agent_world.customer("wamid.1")
        await agent_world.turn()
        assert tool_answer(agent_world) == {"error": "the tool could not be reached", "failure": "forbidden"}

    at_work(tmp_path, in_turn(calling("order_status", order="1"), completion("Sorry.")), scenario, with_agent=False)


def test_a_model_that_calls_tools_for_ever_is_stopped(tmp_path):
    async def scenario(agent_world: AgentWorld, shop: Loopback):
        [run] = await agent_world.runs()
        assert (run.outcome, run.detail) == ("failed", "the model asked for more than 10 rounds or 32 calls of tools")
        assert run.input_tokens == 110
        assert len(agent_world.server.asked) == 10
        assert await agent_world.sent() == []

    with_shop(tmp_path, [calling("order_status", order="1")], lambda _: (200, b"{}"), scenario)


# --- without a model --------------------------------------------------------------------------------------------------


def test_the_scripted_agent_answers_and_says_what_it_is(tmp_path):
    async def scenario(agent_world: AgentWorld):
        await agent_world.customer("wamid.1", "Hello!")
        await agent_world.turn()
        await agent_world.customer("wamid.2", "When are you open?")
        await agent_world.turn()
        await agent_world.customer("wamid.3", "Tell me a story")
        await agent_world.turn()
        await agent_world.customer("wamid.4", "I want a human, please")
        await agent_world.turn()
        texts = await agent_world.sent()
        assert texts[0] == GREETING
        assert "9 to 17" in texts[1]
        assert len(texts) == 4
        assert all(NOTE in text for text in texts)
        assert await agent_world.outcomes() == ["replied", "replied", "replied", "handed_over"]
        assert agent_world.server.asked == []

    scenario_: Scenario = scenario
    at_work(tmp_path, in_turn(completion("never")), scenario_, **scripted())
