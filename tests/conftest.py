"""Hooks and fixtures of every suite."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.parallel import Room, Sharing, is_worker, order, workers
from tests.proofs.measured import Measured
from tests.world import DAY, KIND, SetClock, World, opened
from xdist.remote import Producer

# How long an example takes says how busy the machine is.
settings.register_profile("suite", deadline=None)
# On other Pythons a property is tried with few examples: what differs there is the language, not the inputs.
settings.register_profile("brief", deadline=None, max_examples=10)
settings.load_profile("suite")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Decide in how many processes the tests run, before xdist starts them."""
    if number := workers(config):
        config.option.numprocesses = number
    config.option.loadscopereorder = False


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Room() if is_worker(config) else Measured())


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=order)


def pytest_collection_finish() -> None:
    """What all the tests have loaded stays until the end: it is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def each_store(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the test once over each store: worlds are made of the one that is chosen."""
    token = KIND.set(request.param)
    yield
    KIND.reset(token)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests and fixtures run on asyncio."""
    return "asyncio"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A fresh world."""
    async with opened(World(tmp_path / "world.db", SetClock(), DAY, auto_accounts=True, kind=KIND.get())) as fresh:
        yield fresh
