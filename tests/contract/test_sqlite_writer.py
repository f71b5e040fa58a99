"""SQLite's writer: what nobody waits for any more is not applied, what it does is counted."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from tests.world import World, incoming, play

from tellwire.errors import TellwireError


def test_a_post_that_was_given_up_while_it_waited_is_not_applied(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
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

    play(tmp_path, scenario)


def test_commits_are_counted_with_their_jobs_and_time(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
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

    play(tmp_path, scenario)
