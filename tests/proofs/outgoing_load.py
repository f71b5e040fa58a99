"""Customers of ours who have messages sent over the REST API, and insist until each is queued."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence

from tests.contract.listening import sending
from tests.proofs.deployments import ADMIN
from tests.world import NUMBER

from tellwire.http_client.connection import ConnectionLimits
from tellwire.ports.http_out import Request, Sender

_AT_ONCE = 24
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


class Orders:
    """Messages numbered per recipient, each asked for after the one before was queued.

    Args:
        url: of the server.
        seed: of the order in which recipients are served.
        counts: how many messages each recipient gets.
    """

    def __init__(self, url: str, *, seed: int, counts: Sequence[int]) -> None:
        self.queued: dict[str, str] = {}
        """Our id of a message → what it says: recipient and number."""
        self._url = f"{url}/v1/messages"
        self._counts = counts
        self._seed = seed

    async def place(self) -> None:
        """Have everything queued."""
        turn = asyncio.Semaphore(_AT_ONCE)
        recipients = list(enumerate(self._counts))
        random.Random(self._seed).shuffle(recipients)

        async def serve(recipient: int, count: int) -> None:
            async with turn:
                for number in range(count):
                    await self._insist(sender, recipient, number)

        async with sending(limits=ConnectionLimits(idle_per_host=_AT_ONCE)) as sender, asyncio.TaskGroup() as group:
            for recipient, count in recipients:
                group.create_task(serve(recipient, count))

    async def _insist(self, sender: Sender, recipient: int, number: int) -> None:
        text = f"{recipient}/{number}"
        draft = {"account": NUMBER, "to": f"+49151{recipient:08}", "type": "text", "text": {"body": text}}
        headers = (
            ("Authorization", f"Bearer {ADMIN}"),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", text),
        )
        request = Request(url=self._url, headers=headers, body=json.dumps(draft).encode())
        pause = _FIRST_PAUSE
        while (answer := await sender.send(request)).status != 202:
            assert answer.status in (0, 409, 503), answer.body
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        self.queued[json.loads(answer.body)["id"]] = text
