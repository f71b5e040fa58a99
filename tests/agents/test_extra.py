"""Without the extra a server starts as ever, and who asks for a model is told what is missing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

STARTS = """
import sys
import tellwire.app, tellwire.cli
print(sorted({"pydantic_ai", "openai", "httpx2", "pydantic"} & set(sys.modules)))
"""
ASKS = """
import asyncio, sys
sys.modules["pydantic_ai"] = None
from tellwire.agents.chat_model import ChatModel
from tellwire.errors import ModelFailed
from tellwire.model.agents import Agent
from tellwire.agents.ports import Usage
try:
    asyncio.run(ChatModel(None, None).answer(Agent(id="", organization_id="", name=""), [], Usage()))
except ModelFailed as failure:
    print(failure, failure.retryable)
"""
STARTED = """
import asyncio, sys
from contextlib import suppress
sys.modules["openai"] = None
import msgspec
from tellwire.agents.settings import AgentSettings
from tellwire.agents.worker import AgentWorker
from tellwire.clock import SystemClock
from tellwire.model.agents import Agent
from tellwire.model.registry import Registry
from tellwire.observability import logs
from tellwire.observability.counters import Counters
kind, model = sys.argv[1:]
options = msgspec.json.encode(AgentSettings(model=model))
agent = Agent(id="a", organization_id="o", name="Ada", kind=kind, options=options)
registry = Registry(version=1, accounts={}, endpoints={}, agents={"a": agent})

class Store:
    def registry(self): return registry
    def on_due_work(self, wake): pass

async def main():
    worker = AgentWorker(Store(), None, SystemClock(), model_of=None, owned=set, window=0, counters=Counters())
    worker.start()
    await worker.stop()

logs.set_up()
asyncio.run(main())
"""
QUIET = """
import tellwire.agents.openai_chat, pydantic_ai
print(pydantic_ai.BANNER_ENABLED)
"""


def done(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


def said(program: str) -> str:
    return done(program).stdout.strip()


def test_a_server_starts_without_the_extra() -> None:
    assert said(STARTS) == "[]"


def test_who_asks_is_told_what_is_missing() -> None:
    assert said(ASKS) == "AI agents need the extra `agents`: pip install 'tellwire[agents]' False"


def test_the_library_of_the_extra_prints_no_banner() -> None:
    assert said(QUIET) == "False"


@pytest.mark.parametrize(
    ("kind", "model", "told"), [("ai", "some-model", True), ("ai", "scripted", False), ("human", "", False)]
)
def test_that_an_agent_cannot_answer_is_told_at_the_start(kind: str, model: str, *, told: bool) -> None:
    lines = [json.loads(line) for line in done(STARTED, kind, model).stderr.splitlines()]
    causes = [line["cause"] for line in lines if line["event"] == "agents_cannot_answer"]
    assert causes == ["AI agents need the extra `agents`: pip install 'tellwire[agents]'"] * told
