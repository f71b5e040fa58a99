"""An agent is tried before a customer meets it: what its model says, or in plain words why it says nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.acceptance.processes import logged_url, request, running
from tests.agents.agent_world import REACH, AgentWorld, at_work, scripted
from tests.agents.openai_server import Said, calling, completion, error, in_turn

from tellwire.agents.models import model_selector
from tellwire.agents.settings import AgentSettings
from tellwire.agents.trial import AgentTrial
from tellwire.http_client.sender import open_sender
from tellwire.model.agents import Agent

ADMIN = "an-invented-admin-key-for-these-tests"
WITHOUT = """
import asyncio, sys
sys.modules[sys.argv[1]] = None
import msgspec
from tellwire.agents.settings import AgentSettings
from tellwire.agents.trial import AgentTrial
from tellwire.model.agents import Agent
settings = AgentSettings(model="some-model", base_url="https://models.example.com/v1")
agent = Agent(id="", organization_id="", name="", kind="ai", options=msgspec.json.encode(settings))
print(asyncio.run(AgentTrial(None, None).obstacle(agent)))
"""


def trial_of(agent_world: AgentWorld) -> AgentTrial:
    return AgentTrial(model_selector(agent_world.sender, agent_world.tools), agent_world.sender)


def test_what_the_model_says_is_told(tmp_path: Path) -> None:
    async def scenario(agent_world: AgentWorld) -> None:
        tried = await trial_of(agent_world).ask(agent_world.agent, "When are you open?")
        assert (tried.text, tried.cause, tried.handed_over) == ("From nine to five.", "", "")
        assert (tried.usage.input_tokens, tried.usage.output_tokens) == (11, 7)
        assert agent_world.server.asked[-1].said == [("user", "When are you open?")]
        assert await agent_world.sent() == []
        assert await agent_world.runs() == []

    at_work(tmp_path, lambda _: completion("From nine to five."), scenario)


@pytest.mark.parametrize(
    ("says", "cause"),
    [
        (error(401, "invalid_api_key"), "the model's server answered 401 (invalid_api_key)"),
        (error(404, "model_not_found"), "the model's server answered 404 (model_not_found)"),
        ((200, b"<html>"), "the model's answer could not be used"),
        (completion(" "), "the model's answer was empty"),
    ],
)
def test_why_it_says_nothing_is_told(tmp_path: Path, says: Said, cause: str) -> None:
    async def scenario(agent_world: AgentWorld) -> None:
        tried = await trial_of(agent_world).ask(agent_world.agent, "Hello!")
        assert (tried.text, tried.cause) == ("", cause)

    at_work(tmp_path, lambda _: says, scenario)


def test_that_it_hands_over_is_told(tmp_path: Path) -> None:
    async def scenario(agent_world: AgentWorld) -> None:
        tried = await trial_of(agent_world).ask(agent_world.agent, "A person, please")
        assert (tried.handed_over, tried.text, tried.usage.tool_calls) == ("asked for one", "Goodbye", 1)

    at_work(tmp_path, in_turn(calling("hand_over_to_human", reason="asked for one"), completion("Goodbye")), scenario)


def test_a_model_that_is_there_is_no_obstacle_and_is_asked_nothing(tmp_path: Path) -> None:
    async def scenario(agent_world: AgentWorld) -> None:
        assert await trial_of(agent_world).obstacle(agent_world.agent) is None
        assert agent_world.server.asked == []

    at_work(tmp_path, lambda _: error(500), scenario)


def test_a_script_needs_nothing(tmp_path: Path) -> None:
    async def scenario(agent_world: AgentWorld) -> None:
        trial = trial_of(agent_world)
        assert await trial.obstacle(agent_world.agent) is None
        assert "9 to 17" in (await trial.ask(agent_world.agent, "When are you open?")).text

    at_work(tmp_path, lambda _: error(500), scenario, **scripted())


@pytest.mark.anyio
async def test_a_model_that_nobody_serves_is_an_obstacle() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    sender = open_sender(reach=REACH)
    trial = AgentTrial(model_selector(sender, sender), sender)
    for url, why in (
        (f"http://127.0.0.1:{port}/v1", "cannot be reached: connection refused"),
        ("http://192.0.2.1/v1", "cannot be reached: deliveries may not reach 192.0.2.1"),
    ):
        settings = AgentSettings(model="some-model", base_url=url)
        agent = Agent(id="", organization_id="", name="", kind="ai", options=msgspec.json.encode(settings))
        fault = await trial.obstacle(agent)
        assert fault is not None
        assert fault[0] == "/base_url"
        assert fault[1].startswith(why), fault
    await sender.close()


@pytest.mark.parametrize("library", ["pydantic_ai", "openai", "httpx2"])
def test_a_missing_extra_is_an_obstacle_and_how_to_install_it_is_told(library: str) -> None:
    program = [sys.executable, "-c", WITHOUT, library]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == str(("/model", "AI agents need the extra `agents`: pip install 'tellwire[agents]'"))


def test_over_http_an_agent_that_cannot_run_is_refused_and_one_that_can_is_tried(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        base_url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    settings = {"ADMIN_KEY": ADMIN, "META_APP_SECRET": "x", "MODEL_ALLOW_CIDRS": "127.0.0.0/8"}
    draft = {"name": "Ada", "kind": "ai", "model": "some-model", "base_url": base_url}
    with running("serve", cwd=tmp_path, **settings) as server:
        agents = server.wait_for(logged_url, stream="err") + "/v1/agents"
        status, problem = request(agents, key=ADMIN, method="POST", body=draft)
        assert (status, problem["errors"]) == (
            422,
            [{"pointer": "/base_url", "message": "cannot be reached: connection refused"}],
        )
        status, made = request(agents, key=ADMIN, method="POST", body=draft | {"state": "paused"})
        assert status == 201
        one = f"{agents}/{made['id']}"
        assert request(one, key=ADMIN, method="PATCH", body={"state": "active"})[0] == 422
        assert request(one, key=ADMIN, method="PATCH", body={"name": "Eva"})[0] == 200
        status, tried = request(f"{one}/try", key=ADMIN, method="POST", body={"text": "Hello!"})
        assert (status, tried["ok"], tried["cause"]) == (
            200,
            False,
            "the model's server could not be reached (refused)",
        )
        by_script = {"model": "scripted", "state": "active"}
        assert request(one, key=ADMIN, method="PATCH", body=by_script)[0] == 200
        status, tried = request(f"{one}/try", key=ADMIN, method="POST", body={"text": "your prices?"})
        assert (status, tried["ok"]) == (200, True)
        assert "example.com/prices" in tried["text"]
