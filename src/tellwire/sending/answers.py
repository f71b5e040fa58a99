"""What Meta answered to messages whose callers wait, handed from the worker to them within one process.

Only a hint, as all that goes past the rows: whoever is not told, because another process sends, looks at the row.
"""

from __future__ import annotations

import asyncio

from msgspec import Struct

from tellwire.sending.outcomes import Word

_MOST_EARLY = 1000


class MetaAnswer(Struct, frozen=True):
    """What an attempt came to, and Meta's answer as it came; `status` 0 when there was none."""

    word: Word
    status: int = 0
    body: bytes = b""


class SendAnswers:
    """The answers that callers of this process wait for."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[MetaAnswer]] = {}
        self._early: dict[str, MetaAnswer] = {}

    def tell(self, message_id: str, answer: MetaAnswer) -> None:
        """Hand an answer to its caller, who may begin to wait a moment later."""
        waiting = self._waiting.get(message_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
            return
        while len(self._early) >= _MOST_EARLY:
            del self._early[next(iter(self._early))]
        self._early[message_id] = answer

    async def wait(self, message_id: str, seconds: float) -> MetaAnswer | None:
        """Return the answer to a message as soon as it is told; None when it was not within the time."""
        early = self._early.pop(message_id, None)
        if early is not None:
            return early
        waiting = self._waiting[message_id] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait({waiting}, timeout=seconds)
            return waiting.result() if waiting.done() else None
        finally:
            del self._waiting[message_id]
