"""The `Model` port on any server that speaks OpenAI's chat completions; what it is built on is an extra, loaded when
the first customer is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tellwire.agents.ports import Line, Model, Reply, Use
from tellwire.errors import ModelFailed
from tellwire.model.agents import Agent
from tellwire.ports.http_out import Sender

_MISSING = "AI agents need the extra `agents`: pip install 'tellwire[agents]'"


class ChatModel:
    """`model_port.Model` over HTTP.

    Args:
        models: the sender that models are asked with; its guard says which addresses they may have.
        tools: the one that their tools are called with.
    """

    def __init__(self, models: Sender, tools: Sender) -> None:
        self._senders = models, tools
        self._model: Model | None = None

    async def answer(self, agent: Agent, history: Sequence[Line], use: Use) -> Reply:
        """See `model_port.Model.answer`."""
        if self._model is None:
            self._model = await asyncio.to_thread(self._load)
        return await self._model.answer(agent, history, use)

    def _load(self) -> Model:
        try:
            from tellwire.agents.openai_chat import OpenAIChat  # noqa: PLC0415 - takes a second, and is an extra
        except ImportError as error:
            raise ModelFailed(_MISSING, again=False) from error
        return OpenAIChat(*self._senders)
