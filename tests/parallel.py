"""The whole suite runs in several processes side by side, because much of it waits: for leases, kills and outages.

Each worker has servers, databases and ports of its own. A part of the suite runs in one process, which starts sooner.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

WORKERS_PER_CORE = 2
WAITING = "tests/proofs/"
"""Where tests mostly wait."""
LONG = (WAITING, "tests/test_architecture.py")
"""Where each test is a piece of work of its own. Elsewhere a file is one, whose tests share what they serve."""
ALONE = "alone"
"""The mark of a test that measures: no other test of this run runs meanwhile."""


def is_worker(config: pytest.Config) -> bool:
    """Whether this process runs tests for another one."""
    return hasattr(config, "workerinput")


def workers(config: pytest.Config) -> int | None:
    """How many processes a run is to have; none if it says so itself, runs a part of the suite or is one of them."""
    if is_worker(config):
        return None
    option = config.option
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    part = option.keyword or option.markexpr or getattr(option, "lf", False) or option.collectonly or option.usepdb
    if option.numprocesses is not None or part or not whole:
        return None
    return WORKERS_PER_CORE * (os.cpu_count() or 1)


def order(item: pytest.Item) -> int:
    """What takes long comes first, what measures last."""
    if item.get_closest_marker(ALONE):
        return 2
    return 0 if item.nodeid.startswith(LONG) else 1


class Sharing(LoadScopeScheduling):
    """Half of the workers begin with what waits, the others with what computes."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(LONG) else nodeid.partition("::")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        if int(node.gateway.id.removeprefix("gw")) % 2:
            computing = (scope for scope in self.workqueue if not scope.startswith(WAITING))
            self.workqueue.move_to_end(next(computing, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)


class Room:
    """One for all tests of a run, or for one alone. Whoever wants it alone lets nobody else in any more."""

    def __init__(self) -> None:
        # Any two files do: it is open files that are locked, and the kernel frees what a dead worker held.
        here = Path(__file__)
        self._door, self._room = (path.open() for path in (here.with_name("conftest.py"), here))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Run a test in the room."""
        alone = item.get_closest_marker(ALONE)
        fcntl.flock(self._door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)
