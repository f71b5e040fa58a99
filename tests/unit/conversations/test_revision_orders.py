"""A message, its edits and its revocation come to one end in any order and grouping.

Source: docs/reference/formats.md, "Edits and revocations".
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from tests.inbox.revisions import Arrangement, arrangements, opened_account, play
from tests.world import DAY, SetClock, World

Played = tuple[asyncio.Runner, World]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """One world for all arrangements: each has a message and a person of its own."""
    with asyncio.Runner() as runner:
        world = World(tmp_path_factory.mktemp("orders") / "world.db", SetClock(), DAY, auto_accounts=True)
        runner.run(world.store.open())
        runner.run(opened_account(world))
        try:
            yield runner, world
        finally:
            runner.run(world.close())


@settings(max_examples=200, deadline=None)
@given(arrangement=arrangements())
def test_every_arrangement_comes_to_one_end(played: Played, arrangement: Arrangement) -> None:
    runner, world = played
    runner.run(play(world, arrangement, next(_numbers)))
