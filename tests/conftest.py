"""Fixtures of every suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.world import KIND


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def each_store(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the test once over each store: worlds are made of the one that is chosen."""
    token = KIND.set(request.param)
    yield
    KIND.reset(token)
