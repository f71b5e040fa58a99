"""Declares what AI agents need of a model, and the values that pass between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from tellwire.model.agents import Agent


class TranscriptLine(Struct, frozen=True):
    """What the customer or the business said in a conversation, as text."""

    by_customer: bool
    text: str


class Usage(Struct, kw_only=True):
    """What an answer has cost so far; updated while it is made, so that the cost of a failure is known too."""

    input_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0


class Reply(Struct, frozen=True, kw_only=True):
    """A model's answer. `handed_over`: why a person is to take over from here, "" when none is; only then `text` may be
    empty."""

    text: str = ""
    handed_over: str = ""


class Model(Protocol):
    """A model that answers customers."""

    async def answer(self, agent: Agent, history: Sequence[TranscriptLine], usage: Usage) -> Reply:
        """Answer the last line of a conversation.

        Args:
            agent: its settings and secrets are used.
            history: what was said, the oldest first; the last line is the customer's.
            usage: updated with what the answer costs.

        Raises:
            ModelFailed: there is no answer that a customer could be sent.
        """
        ...
