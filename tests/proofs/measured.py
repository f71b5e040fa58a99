"""What the proofs measured, gathered from the processes they ran in and printed at the end, whatever the verbosity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
from tests.proofs.table import MATRIX, SENT, aligned

SECTIONS = {"kill matrix": MATRIX, "messages sent": SENT, "figures of the proofs": None}
"""The heads of the tables; figures are sentences."""


class Measured:
    """The properties of tests that belong to a section."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Sequence[str]]] = {name: [] for name in SECTIONS}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what the fixtures of a test left."""
        if report.when == "teardown":
            for name, lines in report.user_properties:
                self._lines[name].extend(cast("list[Sequence[str]]", lines))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the sections that have anything."""
        for name, head in SECTIONS.items():
            if lines := self._lines[name]:
                terminalreporter.section(name)
                terminalreporter.write_line(aligned(head, lines) if head else "\n".join(map(str, lines)))
