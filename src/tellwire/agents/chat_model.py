"""Implements the `Model` port on any server with OpenAI's chat completions API; the libraries that it needs are an
extra, loaded for the first answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tellwire.agents.ports import Model, Reply, TranscriptLine, Usage
from tellwire.errors import ModelFailed
from tellwire.model.agents import Agent
from tellwire.model.extras import lacking
from tellwire.ports.http_out import Sender


def missing() -> str:
    """Return what to install before a model can be asked; "" when everything is there. Nothing is loaded."""
    return lacking("agents", "AI agents need")


class ChatModel:
    """`agents.ports.Model` over HTTP.

    Args:
        models: sends requests to models; its guard decides which addresses they may have.
        tools: sends requests to tools.
    """

    def __init__(self, models: Sender, tools: Sender) -> None:
        self._senders = models, tools
        self._model: Model | None = None

    async def answer(self, agent: Agent, history: Sequence[TranscriptLine], usage: Usage) -> Reply:
        """See `agents.ports.Model.answer`."""
        if self._model is None:
            self._model = await asyncio.to_thread(self._load)
        return await self._model.answer(agent, history, usage)

    def _load(self) -> Model:
        if lacks := missing():
            raise ModelFailed(lacks, retryable=False)
        from tellwire.agents.openai_chat import OpenAIChat  # noqa: PLC0415 - takes a second, and is an extra

        return OpenAIChat(*self._senders)
