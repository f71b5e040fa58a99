"""Callers who wait for the same deliveries, one after the other and refused ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tellwire.errors import Conflict, TooMany
from tellwire.web.pulls import Pulls


class Streams:
    """As many places as are left."""

    stopping = False

    def __init__(self, places: int = 10) -> None:
        self.left = places

    @contextmanager
    def waking(self) -> Iterator[asyncio.Event]:
        self.wake = asyncio.Event()
        yield self.wake

    def take_place(self, _organization_id: str) -> Any:
        if not self.left:
            raise TooMany("Too many.", retry_after=1)
        self.left -= 1
        return SimpleNamespace(leave=self._leave)

    def _leave(self) -> None:
        self.left += 1


async def _allowed() -> None: ...


async def _nothing() -> list[str]:
    return []


async def _something() -> list[str]:
    return ["a delivery"]


def _pulls(places: int = 10) -> tuple[Pulls, Streams]:
    streams: Any = Streams(places)
    return Pulls(streams), streams


async def test_one_who_took_over_and_is_gone_still_ended_the_wait_before() -> None:
    pulls, streams = _pulls()
    first = asyncio.create_task(pulls.wait("e", "o", _nothing, seconds=20, check_key=_allowed))
    await asyncio.sleep(0)
    assert await pulls.wait("e", "o", _something, seconds=0, check_key=_allowed) == ["a delivery"]
    with pytest.raises(Conflict):
        await first
    assert streams.left == 10


async def test_who_is_refused_is_not_remembered() -> None:
    pulls, streams = _pulls(places=0)
    with pytest.raises(TooMany):
        await pulls.wait("e", "o", _nothing, seconds=0, check_key=_allowed)
    assert not pulls._waiting
    streams.left = 1
    assert await pulls.wait("e", "o", _something, seconds=0, check_key=_allowed) == ["a delivery"]


async def test_commits_of_others_cost_little_while_somebody_waits() -> None:
    """Every commit wakes all who wait; so many looks would slow down what commits."""
    pulls, streams = _pulls()
    looks = 0

    async def look() -> list[str]:
        nonlocal looks
        looks += 1
        streams.wake.set()
        return []

    assert await pulls.wait("e", "o", look, seconds=0.25, check_key=_allowed) == []
    assert looks <= 4
