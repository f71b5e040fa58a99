"""Measure what a system costs: CPU time and memory of its process trees."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else needs

from bench.errors import BenchError
from bench.report import Usage

_PERIOD_SECONDS = 0.5
_MIB = 1 << 20


class Meter:
    """A meter of the process trees below `pids`, from `start` to `stop`.

    The time of a process that ends in between still counts: it is part of its parent's children's time. Raises
    BenchError when a root process has ended already.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        try:
            self._roots = [psutil.Process(pid) for pid in pids]
        except psutil.Error as error:
            raise BenchError(f"the system is gone: {error}") from error
        self._begin = 0.0
        self._written = 0
        self._peak = 0
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="memory", daemon=True)

    def start(self) -> None:
        self._begin = self._cpu()
        self._written = self._bytes()
        self._sampler.start()

    def stop(self) -> Usage:
        used, written = self._cpu() - self._begin, self._bytes() - self._written
        self._over.set()
        self._sampler.join()
        pss = sum(_pss(process) for process in self._tree())
        return Usage(
            cpu_seconds=round(used, 3),
            peak_rss_mib=round(self._peak / _MIB, 1),
            pss_mib=round(pss / _MIB, 1),
            written_kib=round(written / 1024, 1),
        )

    def cpu_seconds(self) -> float:
        """Return the CPU time (s) that the trees have used since they began."""
        return self._cpu()

    def rss_mib(self) -> float:
        """Return the current resident memory of the trees in MiB."""
        return sum(_rss(process) for process in self._tree()) / _MIB

    def _sample(self) -> None:
        while True:
            self._peak = max(self._peak, sum(_rss(process) for process in self._tree()))
            if self._over.wait(_PERIOD_SECONDS):
                return

    def _bytes(self) -> int:
        return sum(_written(process) for process in self._tree())

    def _cpu(self) -> float:
        return sum(_cpu(process) for process in self._tree())

    def _tree(self) -> Iterator[psutil.Process]:
        for root in self._roots:
            try:
                yield root
                yield from root.children(recursive=True)
            except psutil.Error:
                continue


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _written(process: psutil.Process) -> int:
    """Return the bytes of its write calls. Linux's other count, of bytes sent to disk, is in whole pages, however few
    bytes changed."""
    try:
        return int(process.io_counters().write_chars)
    except (psutil.Error, AttributeError):
        return 0


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _pss(process: psutil.Process) -> int:
    try:
        return int(getattr(process.memory_full_info(), "pss", 0))
    except psutil.Error:
        return 0
