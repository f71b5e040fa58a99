"""The final row is the same whatever the order, duplication and loss of statuses, and whenever the send's answer comes.

Source: docs/reference/formats.md, "Merge".
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from tests.inbox.orders import STEPS, whatever_order
from tests.world import DAY, START, SetClock, World

Played = tuple[asyncio.Runner, World]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """One world for all orders: each has a message and a recipient of its own."""
    path: Path = tmp_path_factory.mktemp("orders") / "world.db"
    with asyncio.Runner() as runner:
        world = World(path, SetClock(), DAY, auto_accounts=True)
        runner.run(world.store.open())
        try:
            yield runner, world
        finally:
            runner.run(world.close())


PRICED_LATE = [
    {"name": "delivered", "at": START // 1_000_000, "ours": False, "pricing": {"billable": True}},
    "timeout",
    {"name": "delivered", "at": START // 1_000_000 + 1, "ours": False},
    "answer",
]
"""A price that only a repeated status had, of a row that turned out to be ours."""


@settings(max_examples=150, deadline=None)
@example(steps=PRICED_LATE)
@example(steps=[PRICED_LATE[2], "timeout", PRICED_LATE[0], "answer"])
@given(steps=STEPS)
def test_the_final_row_is_the_same_in_any_order(played: Played, steps: list[Any]) -> None:
    runner, world = played
    runner.run(whatever_order(world, steps, next(_numbers)))
