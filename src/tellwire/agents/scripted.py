"""PURE. Implements an agent without a model: it answers from a script and says so, to show how agents work."""

from __future__ import annotations

from collections.abc import Sequence

from tellwire.agents.ports import Reply, TranscriptLine, Usage
from tellwire.model.agents import Agent

NOTE = "(I am a scripted demo agent, not a model.)"
GREETING = f"Hi! How can I help you today? {NOTE}"
SCRIPT: tuple[tuple[tuple[str, ...], str], ...] = (
    (("hour", "open", "when"), f"We are open Monday to Friday, 9 to 17. {NOTE}"),
    (("price", "cost", "how much"), f"Our price list is at https://example.com/prices. {NOTE}"),
    (("thank",), f"You are welcome! {NOTE}"),
    (("hello", "hi", "hey", "hola", "good"), GREETING),
)
"""Words that the customer may use, and the answer to them; the first entry that matches is used."""
OTHERWISE = f'I only know a few lines: ask for our opening hours or prices, or write "human". {NOTE}'
A_PERSON = ("human", "person", "agent")


class ScriptedModel:
    """Implements `agents.ports.Model` without a model."""

    async def answer(self, agent: Agent, history: Sequence[TranscriptLine], usage: Usage) -> Reply:  # noqa: ARG002
        """Answer from the script."""
        asked = history[-1].text.lower() if history else ""
        words = set("".join(c if c.isalnum() else " " for c in asked).split())
        if words & set(A_PERSON):
            return Reply(text=f"I am passing you on to a person. {NOTE}", handed_over="the customer asked for a person")
        for marks, text in SCRIPT:
            if any(mark in words or (len(mark) > 3 and mark in asked) for mark in marks):
                return Reply(text=text)
        return Reply(text=GREETING if len(history) == 1 else OTHERWISE)
