"""Wait for the deliveries of endpoints that are pulled; the newest caller for an endpoint ends the wait of the one
before, which may hang on a connection that broke."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tellwire.errors import Conflict
from tellwire.web.streams import Streams

T = TypeVar("T")

_LOOK_SECONDS = 0.25
"""How often to look: replays wake nobody. What is looked at is an index without rows."""

_BETWEEN_SECONDS = 0.1
"""The least time between two looks: every commit of anybody wakes, and must not be slowed down by those who wait."""


class Pulls:
    """The callers that wait for deliveries, by endpoint."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._waiting: dict[str, asyncio.Event] = {}

    async def wait(
        self,
        endpoint_id: str,
        organization_id: str,
        look: Callable[[], Awaitable[list[T]]],
        *,
        seconds: float,
        check_key: Callable[[], Awaitable[None]],
    ) -> list[T]:
        """Return what `look` finds, as soon as that is something; nothing after the time, or when the server stops.

        Raises:
            TooMany, Busy: as a stream does.
            Conflict: somebody else has begun to wait for the same endpoint.
            Unauthorized: the key was revoked.
        """
        loop = asyncio.get_running_loop()
        over = loop.time() + seconds
        with self._streams.waking() as wake:
            self._take_turn(endpoint_id, wake)
            try:
                place = self._streams.take_place(organization_id)
                try:
                    while True:
                        wake.clear()
                        looked = loop.time()
                        found = await look()
                        left = over - loop.time()
                        if found or left <= 0 or self._streams.stopping:
                            return found
                        await _wait(wake, min(left, _LOOK_SECONDS))
                        await check_key()
                        if self._waiting.get(endpoint_id) is not wake:  # who took over may be gone already
                            detail = "Somebody else pulls the deliveries of this webhook endpoint now."
                            raise Conflict(detail, kind="pulled-elsewhere")
                        await asyncio.sleep(looked + _BETWEEN_SECONDS - loop.time())
                finally:
                    place.leave()
            finally:
                if self._waiting.get(endpoint_id) is wake:
                    del self._waiting[endpoint_id]

    def _take_turn(self, endpoint_id: str, wake: asyncio.Event) -> None:
        before = self._waiting.get(endpoint_id)
        self._waiting[endpoint_id] = wake
        if before is not None:
            before.set()


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        pass
