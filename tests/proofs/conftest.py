"""What was measured is printed at the end of a run, whatever the run's verbosity."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.postgres_server import Postgres
from tests.proofs.table import SENT, Row, aligned, table

_ROWS = pytest.StashKey[list[Row]]()
_SENT = pytest.StashKey[list[tuple[str, ...]]]()
_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def matrix(request: pytest.FixtureRequest) -> list[Row]:
    """The lines of the kill matrix so far."""
    return request.config.stash.setdefault(_ROWS, [])


@pytest.fixture
def sent(request: pytest.FixtureRequest) -> list[tuple[str, ...]]:
    """The lines about messages that were sent, so far."""
    return request.config.stash.setdefault(_SENT, [])


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Other figures, a sentence each."""
    return request.config.stash.setdefault(_FIGURES, [])


@pytest.fixture(scope="session")
def own_server() -> Iterator[Postgres]:
    """A PostgreSQL that may be killed, and runs again when the test is over."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if rows := config.stash.get(_ROWS, []):
        terminalreporter.section("kill matrix")
        terminalreporter.write_line(table(rows))
    if sent := config.stash.get(_SENT, []):
        terminalreporter.section("messages sent")
        terminalreporter.write_line(aligned(SENT, sent))
    if figures := config.stash.get(_FIGURES, []):
        terminalreporter.section("figures of the proofs")
        terminalreporter.write_line("\n".join(figures))
