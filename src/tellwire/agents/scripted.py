"""PURE. An agent without a model: it answers from a script, says that it does, and so shows how agents work."""

from __future__ import annotations

from collections.abc import Sequence

from tellwire.agents.ports import Line, Reply, Use
from tellwire.model.agents import Agent

NOTE = "(I am a scripted demo agent, not a model.)"
GREETING = f"Hi! How can I help you today? {NOTE}"
SCRIPT: tuple[tuple[tuple[str, ...], str], ...] = (
    (("hour", "open", "when"), f"We are open Monday to Friday, 9 to 17. {NOTE}"),
    (("price", "cost", "how much"), f"Our price list is at https://example.com/prices. {NOTE}"),
    (("thank",), f"You are welcome! {NOTE}"),
    (("hello", "hi", "hey", "hola", "good"), GREETING),
)
"""Words of the customer's, and what is answered to them; the first that fits."""
OTHERWISE = f'I only know a few lines: ask for our opening hours or prices, or write "human". {NOTE}'
A_PERSON = ("human", "person", "agent")


class ScriptedModel:
    """`model_port.Model` without a model."""

    async def answer(self, agent: Agent, history: Sequence[Line], use: Use) -> Reply:  # noqa: ARG002
        """Answer from the script."""
        asked = history[-1].text.lower() if history else ""
        words = set("".join(c if c.isalnum() else " " for c in asked).split())
        if words & set(A_PERSON):
            return Reply(text=f"I am passing you on to a person. {NOTE}", handed_over="the customer asked for a person")
        for marks, text in SCRIPT:
            if any(mark in words or (len(mark) > 3 and mark in asked) for mark in marks):
                return Reply(text=text)
        return Reply(text=GREETING if len(history) == 1 else OTHERWISE)
