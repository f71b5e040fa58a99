"""SQLite's writer: a job whose caller stopped waiting is not applied, and commits are counted."""

from __future__ import annotations

import asyncio
import threading

import pytest
from tests.world import World, incoming

from tellwire.errors import TellwireError


async def test_a_post_that_was_given_up_while_it_waited_is_not_applied(world: World) -> None:
    begun, go = threading.Event(), threading.Event()

    def hold(_connection: object) -> None:
        begun.set()
        go.wait(20)

    holding = asyncio.create_task(world.store.write(hold))
    await asyncio.to_thread(begun.wait, 20)
    posts = [asyncio.create_task(world.post(incoming(f"wamid.{number}"))) for number in range(3)]
    kept = asyncio.create_task(world.post(incoming("wamid.kept")))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.gather(*posts)
    go.set()
    await holding
    await kept
    assert await world.query("SELECT wamid FROM messages") == [("wamid.kept",)]


async def test_commits_are_counted_with_their_jobs_and_time(world: World) -> None:
    counters = world.store.counters
    await asyncio.gather(*(world.post(incoming(f"wamid.{number}")) for number in range(40)))
    assert 1 <= counters.commits <= 40
    assert sum(counters.commit_jobs.counts) == sum(counters.commit_seconds.counts) == counters.commits
    assert counters.commit_jobs.total == 40
    assert counters.commit_seconds.total > 0
    before = counters.commits

    def fails(_connection: object) -> None:
        raise TellwireError("no")

    with pytest.raises(TellwireError):
        await world.store.write(fails)
    assert counters.commits == before
