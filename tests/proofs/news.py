"""Waiting for a condition that changes on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 60.0


class News:
    """Who changes something says so; who waits asks again."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def tell(self) -> None:
        """Something has changed."""
        for event in self._waiting:
            event.set()

    async def until(self, ready: Callable[[], bool], *, what: str, seconds: float = PATIENCE) -> None:
        """Return once `ready`.

        Raises:
            AssertionError: it never was.
        """
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(seconds):
                while not ready():
                    event.clear()
                    await event.wait()
        except TimeoutError:
            raise AssertionError(f"{what} did not come within {seconds:g} s") from None
        finally:
            self._waiting.discard(event)
