"""The kill matrix is printed at the end of a run, whatever the run's verbosity."""

from __future__ import annotations

import pytest
from tests.proofs.table import Row, table

_ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture
def matrix(request: pytest.FixtureRequest) -> list[Row]:
    """The lines of the table so far."""
    return request.config.stash.setdefault(_ROWS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(_ROWS, [])
    if rows:
        terminalreporter.section("kill matrix")
        terminalreporter.write_line(table(rows))
