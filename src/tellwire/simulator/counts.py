"""PURE. Record the messages that the simulator accepted, and count what happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

_KEPT = 200_000


class AcceptedMessage(Struct, frozen=True, kw_only=True):
    """An accepted message: the `number`-th since the start, at `at` (micros). `body` is the JSON of the send."""

    number: int
    id: str
    phone_number_id: str
    recipient: str
    type: str
    callback_data: str
    at: int
    answered: bool
    body: Mapping[str, Any]


class SimulatorCounts(Struct, kw_only=True):
    """How often each thing happened. `refused` and `failed` are by error code: in the answer, in a failed status.

    `unanswered`: accepted, but never answered. `without_body`: answered 5xx without a body.
    `accepted_again`: accepted with the callback data of an earlier message.
    """

    requests: int = 0
    sends: int = 0
    accepted: int = 0
    accepted_again: int = 0
    unanswered: int = 0
    without_body: int = 0
    refused: dict[int, int] = {}
    failed: dict[int, int] = {}
    receipts: int = 0
    typing: int = 0


class Journal:
    """The newest accepted messages, the read receipts, and the counts."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all messages, receipts and counts."""
        self.counts = SimulatorCounts()
        self.accepted: deque[AcceptedMessage] = deque(maxlen=_KEPT)
        self.receipts: deque[str] = deque(maxlen=_KEPT)
        self._data: set[str] = set()

    def accept(self, message: AcceptedMessage) -> None:
        """Record an accepted message."""
        self.accepted.append(message)
        self.counts.accepted += 1
        if not message.answered:
            self.counts.unanswered += 1
        if message.callback_data in self._data:
            self.counts.accepted_again += 1
        elif message.callback_data:
            self._data.add(message.callback_data)

    def receipt(self, message_id: str, *, typing: bool) -> None:
        """Record that the business read a message, and whether it shows that it is typing."""
        self.receipts.append(message_id)
        self.counts.receipts += 1
        self.counts.typing += typing

    def refuse(self, code: int) -> None:
        """Count a send that was refused with this error code."""
        self.counts.refused[code] = self.counts.refused.get(code, 0) + 1

    def fail(self, code: int) -> None:
        """Count an accepted message that will fail with this error code."""
        self.counts.failed[code] = self.counts.failed.get(code, 0) + 1
