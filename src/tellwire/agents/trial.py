"""USE CASE. Tries an AI agent before a customer does: whether it can run at all, and what its model says to a text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct

from tellwire.agents import chat_model
from tellwire.agents.ports import Model, TranscriptLine, Usage
from tellwire.agents.settings import SCRIPTED, Fault, settings_of
from tellwire.errors import ModelFailed
from tellwire.model.agents import Agent
from tellwire.ports.http_out import Request, Sender

CONNECT_SECONDS = 5.0
TRY_SECONDS = 60.0
"""The time limit of one try, tools included."""


class Tried(Struct, frozen=True, kw_only=True):
    """What a model said to a text. `cause`: why there is no answer, "" when there is one. `handed_over`: why it wants a
    person to take over, "" when it does not."""

    text: str = ""
    handed_over: str = ""
    cause: str = ""
    usage: Usage
    seconds: float


class AgentTrial:
    """Tries agents; nothing is kept and nothing is sent to a customer.

    Args:
        model_of: gives the model of an agent.
        models: sends requests to models.
    """

    def __init__(self, model_of: Callable[[Agent], Model], models: Sender) -> None:
        self._model_of = model_of
        self._models = models

    async def obstacle(self, agent: Agent) -> Fault | None:
        """Return why an AI agent could not run here: the extra is missing, or no connection to its model comes about.
        Its model is asked nothing."""
        settings = settings_of(agent)
        if settings.model == SCRIPTED:
            return None
        if missing := chat_model.missing():
            return "/model", missing
        connecting = Request(url=settings.base_url, method="GET", timeout=CONNECT_SECONDS, may_send=lambda: False)
        answer = await self._models.send(connecting)
        if not answer.failure:
            return None
        return "/base_url", f"cannot be reached: {answer.cause.replace('your server', 'its server', 1)}"

    async def ask(self, agent: Agent, text: str) -> Tried:
        """Have the agent's model answer a text as a customer's first message; tools are called if it asks for them."""
        usage, clock = Usage(), asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(TRY_SECONDS):
                reply = await self._model_of(agent).answer(agent, [TranscriptLine(by_customer=True, text=text)], usage)
        except (ModelFailed, TimeoutError) as error:
            cause = str(error) or f"no answer within {TRY_SECONDS:.0f} s"
            return Tried(cause=cause, usage=usage, seconds=clock() - started)
        return Tried(text=reply.text, handed_over=reply.handed_over, usage=usage, seconds=clock() - started)
