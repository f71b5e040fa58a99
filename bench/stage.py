"""Share what the scenarios about Tellwire alone need: filled databases, a server on one, loads, the usual figures."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path

from msgspec.structs import replace

from bench.databases import Databases, databases_for
from bench.load_process import LoadProcess
from bench.measure import Meter
from bench.options import Options
from bench.product import Installation, Served, fill, serve
from bench.protocol import Fill, Filled, PhaseResult, Prepare
from bench.report import Metric, PhaseRun
from bench.rounds import measure, report_phase, say

WARM_UP, STEADY, CAPACITY = "warm-up", "steady", "capacity"
LATER = 1_000_000_000
"""How far apart the message numbers of drivers are that load one server at the same time."""

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
"""The signing secret of every endpoint in a filled database."""

USUAL = [
    Metric("steady_cpu_ms", "steady, CPU per message", "ms", "CPU per message at the steady rate, in ms"),
    Metric("steady_written_kib", "  written per message", "KiB", "Written per message at that rate, in KiB"),
    Metric("steady_p50_ms", "  end to end p50", "ms"),
    Metric("steady_p99_ms", "  end to end p99", "ms", "End to end p99 at that rate, in ms"),
    Metric("capacity_rate", "capacity", "messages/s", "Messages per second at capacity", "longer is better"),
    Metric("capacity_cpu_ms", "  CPU per message", "ms"),
    Metric("capacity_written_kib", "  written per message", "KiB"),
    Metric("rss_mib", "  own memory after it (RSS)", "MiB"),
    Metric("ready_seconds", "start to ready", "s", "From the start of `serve` to ready, in s"),
]
"""The figures that `usual` returns."""


@dataclass(frozen=True, slots=True)
class FilledDatabase:
    """A filled database that several rounds use, each the database itself or a copy."""

    origin: FilledDatabases
    name: str
    url: str
    filled: Filled

    @contextmanager
    def serving(self, folder: Path, *, fresh: bool, gently: bool = True) -> Iterator[Served]:
        """Run Tellwire on the database, or on a `fresh` copy, until the block ends; then kill it unless `gently`."""
        with ExitStack() as stack:
            url = self.url
            if fresh:
                url = stack.enter_context(self.origin.databases.copied(url, f"copy_of_{self.name}"))
            installation = self.origin.installation(url)
            yield serve(stack, folder, self.origin.options, installation, gently=gently)


@dataclass(frozen=True, slots=True)
class FilledDatabases:
    """The filled databases of a scenario."""

    folder: Path
    options: Options
    databases: Databases

    def installation(self, url: str) -> Installation:
        """Return an installation on this database; all installations of a scenario have the same secrets."""
        return replaced(_INSTALLATION, database=url, pids=self.databases.pids)

    def keep(self, name: str, plan: Fill) -> FilledDatabase:
        """Create a database and fill it. Raises BenchError."""
        plain = "kept_" + name.replace(" ", "_").replace(".", "_").lower()
        url = self.databases.new(plain)
        filled = fill(self.folder, self.options, self.installation(url), plan)
        if plan.batches:
            rows = sum(filled.rows.values())
            say(f"filled {name}: {rows} rows, {filled.mib:.0f} MiB, in {filled.seconds:.0f} s")
        return FilledDatabase(self, plain, url, filled)


_INSTALLATION = Installation(database="")


@contextmanager
def filled_databases(options: Options, folder: Path) -> Iterator[FilledDatabases]:
    """Give the filled databases of a scenario, until the block ends. Raises BenchError."""
    with databases_for(options, folder) as databases:
        yield FilledDatabases(folder, options, databases)


def plan_of(options: Options) -> Prepare:
    """Return the closed loop that the options ask for; other loads are derived from it."""
    return Prepare(
        messages=options.messages,
        contacts=options.contacts,
        connections=options.connections,
        pad=options.pad,
        limit_seconds=options.limit_seconds,
    )


def warm_up(options: Options) -> Prepare:
    """Return the load of one message from every contact."""
    return replace(plan_of(options), messages=options.contacts)


def steady(options: Options, share: float = 1.0) -> Prepare:
    """Return the load at `share` of the steady rate, for the time of the options."""
    rate = options.rate * share
    return replace(plan_of(options), messages=max(1, round(rate * options.seconds)), rate=rate)


@contextmanager
def beside(loads: Sequence[tuple[LoadProcess, Prepare]]) -> Iterator[list[PhaseResult]]:
    """Run other loads at the same time as the block, and to their end; the list then holds their results."""
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
    """Run warm-up, the steady rate, then capacity; return the figures of `USUAL`, and the phases."""
    phases: dict[str, PhaseRun] = {}
    own = Meter([served.child.pid])
    for name, plan in ((WARM_UP, warm_up(options)), (STEADY, steady(options)), (CAPACITY, plan_of(options))):
        phases[name] = done = measure(load, served.pids, plan)
        report_phase(number, case, name, done)
    calm, full = phases[STEADY], phases[CAPACITY]
    return {
        "steady_cpu_ms": calm.cpu_ms_per_message,
        "steady_written_kib": calm.written_kib_per_message,
        "steady_p50_ms": calm.seen.end_to_end.p50,
        "steady_p99_ms": calm.seen.end_to_end.p99,
        "capacity_rate": full.seen.messages_per_second,
        "capacity_cpu_ms": full.cpu_ms_per_message,
        "capacity_written_kib": full.written_kib_per_message,
        "rss_mib": round(own.rss_mib(), 1),
        "ready_seconds": served.ready_seconds,
    }, phases
