"""Fixtures of the proofs. What a test adds to the first three is printed at the end of the run (see `measured`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.postgres_server import Postgres
from tests.proofs.table import Row


@pytest.fixture
def matrix(request: pytest.FixtureRequest) -> Iterator[list[Row]]:
    """The test's lines of the kill matrix."""
    rows: list[Row] = []
    yield rows
    request.node.user_properties.append(("kill matrix", [row.cells() for row in rows]))


@pytest.fixture
def sent(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, ...]]]:
    """The test's lines about messages that were sent."""
    lines: list[tuple[str, ...]] = []
    yield lines
    request.node.user_properties.append(("messages sent", lines))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Other figures, a sentence each."""
    lines: list[str] = []
    yield lines
    request.node.user_properties.append(("figures of the proofs", lines))


@pytest.fixture(scope="session")
def own_server() -> Iterator[Postgres]:
    """A PostgreSQL that may be killed, and runs again when the test is over."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.stop()
