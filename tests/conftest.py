"""Fixtures of every suite."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from tests.world import KIND


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
