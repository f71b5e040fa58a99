"""What AI agents need of a model, as a small Protocol, and what passes between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from tellwire.model.agents import Agent


class Line(Struct, frozen=True):
    """Something that was said in a conversation, in words: by the customer, or by the business."""

    by_customer: bool
    text: str


class Use(Struct, kw_only=True):
    """What an answer has cost so far; counted on while it is made, so that a failure's cost is known too."""

    input_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0


class Reply(Struct, frozen=True, kw_only=True):
    """What a model answers. `handed_over`: why a person is to take over from here, "" when none is; then `text` may be
    empty."""

    text: str = ""
    handed_over: str = ""


class Model(Protocol):
    """Something that answers customers."""

    async def answer(self, agent: Agent, history: Sequence[Line], use: Use) -> Reply:
        """Answer the last line of a conversation.

        Args:
            agent: whose settings and secrets count.
            history: what was said, the oldest first; the last line is the customer's.
            use: filled with what it costs.

        Raises:
            ModelFailed: there is no answer that a customer could be sent.
        """
        ...
