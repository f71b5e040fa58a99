"""What the scenarios about Tellwire alone share: a filled database, a server on it, loads, and the usual figures."""

from __future__ import annotations

import base64
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from bench.load_process import LoadProcess
from bench.options import Options
from bench.product import Installation, Served, fill, serve
from bench.protocol import Fill, Filled, PhaseResult, Prepare
from bench.report import Metric, PhaseRun
from bench.rounds import measure, say, tell

WARM_UP, STEADY, CAPACITY = "warm-up", "steady", "capacity"
LATER = 1_000_000_000
"""Drivers that load one server at once number their messages this far apart."""

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
"""The signing secret of every endpoint that is filled in."""

USUAL = [
    Metric("steady_cpu_ms", "steady, CPU per message", "ms", "CPU per message at the steady rate, in ms"),
    Metric("steady_written_kib", "  written per message", "KiB", "Written to disk per message at that rate, in KiB"),
    Metric("steady_p50_ms", "  end to end p50", "ms"),
    Metric("steady_p99_ms", "  end to end p99", "ms", "End to end p99 at that rate, in ms"),
    Metric("capacity_rate", "capacity", "messages/s", "Messages per second at capacity", "longer is better"),
    Metric("capacity_cpu_ms", "  CPU per message", "ms"),
    Metric("capacity_written_kib", "  written per message", "KiB"),
    Metric("rss_mib", "  peak memory (RSS)", "MiB"),
    Metric("ready_seconds", "start to ready", "s", "From the start of `serve` to ready, in s"),
]
"""The figures of `usual`."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A filled database in a folder of its own."""

    folder: Path
    filled: Filled

    @property
    def url(self) -> str:
        return url_in(self.folder)

    def copy_to(self, folder: Path) -> str:
        """Copy the database, with the key of its secrets, and return the copy's URL."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return url_in(folder)


def url_in(folder: Path) -> str:
    """The database URL of a folder."""
    return f"sqlite:///{folder / 'bench.db'}"


def keep(place: Path, name: str, options: Options, plan: Fill) -> Kept:
    """Fill a database that several rounds use."""
    folder = place / f"kept-{name.replace(' ', '-')}"
    folder.mkdir()
    filled = fill(folder, options, database=url_in(folder), plan=plan)
    if plan.batches:
        rows = sum(filled.rows.values())
        say(f"filled {name}: {rows} rows, {filled.mib:.0f} MiB, in {filled.seconds:.0f} s")
    return Kept(folder, filled)


@contextmanager
def serving(folder: Path, options: Options, database: str, *, gently: bool = True) -> Iterator[Served]:
    """Tellwire on a database, until the block ends; then killed unless `gently`."""
    with ExitStack() as stack:
        yield serve(stack, folder, options, Installation(database=database), gently=gently)


def plan_of(options: Options) -> Prepare:
    """The closed loop that the options ask for; others are made of it."""
    return Prepare(
        messages=options.messages,
        contacts=options.contacts,
        connections=options.connections,
        pad=options.pad,
        limit_seconds=options.limit_seconds,
    )


def warm_up(options: Options) -> Prepare:
    """One message of every contact."""
    return replace(plan_of(options), messages=options.contacts)


def steady(options: Options, share: float = 1.0) -> Prepare:
    """A part of the steady rate, for its time."""
    rate = options.rate * share
    return replace(plan_of(options), messages=max(1, round(rate * options.seconds)), rate=rate)


@contextmanager
def beside(loads: Sequence[tuple[LoadProcess, Prepare]]) -> Iterator[list[PhaseResult]]:
    """Run other loads while the block runs and to their end; what they came to is then in the list."""
    results: list[PhaseResult] = []
    for load, plan in loads:
        load.prepare(plan)
    for load, _ in loads:
        load.begin()
    yield results
    results += [load.end() for load, _ in loads]


def usual(
    number: int, case: str, load: LoadProcess, served: Served, options: Options
) -> tuple[dict[str, float], dict[str, PhaseRun]]:
    """Warm-up, the steady rate, then capacity: the figures of `USUAL`, and the phases."""
    phases: dict[str, PhaseRun] = {}
    for name, plan in ((WARM_UP, warm_up(options)), (STEADY, steady(options)), (CAPACITY, plan_of(options))):
        phases[name] = done = measure(load, [served.child.pid], plan)
        tell(number, case, name, done)
    calm, full = phases[STEADY], phases[CAPACITY]
    return {
        "steady_cpu_ms": calm.cpu_ms_per_message,
        "steady_written_kib": calm.written_kib_per_message,
        "steady_p50_ms": calm.seen.end_to_end.p50,
        "steady_p99_ms": calm.seen.end_to_end.p99,
        "capacity_rate": full.seen.messages_per_second,
        "capacity_cpu_ms": full.cpu_ms_per_message,
        "capacity_written_kib": full.written_kib_per_message,
        "rss_mib": full.cost.peak_rss_mib,
        "ready_seconds": served.ready_seconds,
    }, phases
