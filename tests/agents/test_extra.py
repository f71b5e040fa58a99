"""Without the extra a server starts as ever, and who asks for a model is told what is missing."""

from __future__ import annotations

import subprocess
import sys

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
QUIET = """
import tellwire.agents.openai_chat, pydantic_ai
print(pydantic_ai.BANNER_ENABLED)
"""


def said(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_a_server_starts_without_the_extra() -> None:
    assert said(STARTS) == "[]"


def test_who_asks_is_told_what_is_missing() -> None:
    assert said(ASKS) == "AI agents need the extra `agents`: pip install 'tellwire[agents]' False"


def test_the_library_of_the_extra_prints_no_banner() -> None:
    assert said(QUIET) == "False"
