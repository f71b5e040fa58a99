"""Waiting for a condition, of the event loop or of another process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

PATIENCE = 60.0
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.25
T = TypeVar("T")


class OperationalEvent:
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


async def asked(
    ask: Callable[[], Awaitable[T]], ready: Callable[[T], bool], *, what: str, seconds: float = PATIENCE
) -> T:
    """Ask somebody who does not tell, a little later each time; return the answer once it is `ready`.

    Raises:
        AssertionError: it never was.
    """
    pause = _FIRST_PAUSE
    answers: list[T] = []
    try:
        async with asyncio.timeout(seconds):
            while not (answers and ready(answers[-1])):
                if answers:
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.5, _LONGEST_PAUSE)
                answers = [await ask()]
    except TimeoutError:
        raise AssertionError(f"{what} did not come within {seconds:g} s: {answers}") from None
    return answers[0]
