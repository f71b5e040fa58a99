"""Measure from Meta's POST to the subscriber's: capacity, CPU at an equal rate, latency at half of the capacity.

Each round starts every system on a new, empty database, one after the other (A B C A B C …): warm-up (one message
of every contact), closed loop at capacity, then the two fixed rates. Only ratios from one run mean something.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from msgspec.structs import replace

from bench.load_process import driver
from bench.options import Options
from bench.product import prepare_tellwire
from bench.protocol import Prepare
from bench.report import Case, Metric, PhaseRun, Run, Study, Target
from bench.rounds import carry_out, measure, report_phase, troubles, workspace_for
from bench.systems import SYSTEMS

WARM_UP, CAPACITY, EQUAL, HALF = "warm-up", "capacity", "equal-rate", "half-capacity"
REFERENCE = "user-built"

CASES = {
    case.name: case
    for case in (
        Case("user-built", "FastAPI + Celery", "peer"),
        Case("bare", "bare prototype", "plain"),
        Case("tellwire", "Tellwire on SQLite"),
        Case("tellwire-postgresql", "on PostgreSQL"),
    )
}

Figure = Callable[[PhaseRun], float]

_FIGURES: tuple[tuple[str, str, Figure], ...] = (
    ("capacity_rate", CAPACITY, lambda run: run.seen.messages_per_second),
    ("capacity_cpu_ms", CAPACITY, lambda run: run.cpu_ms_per_message),
    ("capacity_rss_mib", CAPACITY, lambda run: run.cost.peak_rss_mib),
    ("capacity_pss_mib", CAPACITY, lambda run: run.cost.pss_mib),
    ("equal_rate", EQUAL, lambda run: run.seen.messages_per_second),
    ("equal_cpu_ms", EQUAL, lambda run: run.cpu_ms_per_message),
    ("equal_p50_ms", EQUAL, lambda run: run.seen.end_to_end.p50),
    ("equal_p99_ms", EQUAL, lambda run: run.seen.end_to_end.p99),
    ("half_rate", HALF, lambda run: run.seen.messages_per_second),
    ("half_cpu_ms", HALF, lambda run: run.cpu_ms_per_message),
    ("half_ack_p50_ms", HALF, lambda run: run.seen.ack.p50),
    ("half_ack_p99_ms", HALF, lambda run: run.seen.ack.p99),
    ("half_p50_ms", HALF, lambda run: run.seen.end_to_end.p50),
    ("half_p99_ms", HALF, lambda run: run.seen.end_to_end.p99),
)

METRICS = [
    Metric(
        "capacity_rate",
        "capacity",
        "messages/s",
        "Messages per second, from Meta's POST to the subscriber",
        "longer is better",
    ),
    Metric("capacity_cpu_ms", "  CPU per message", "ms"),
    Metric("capacity_rss_mib", "  peak memory (RSS)", "MiB"),
    Metric("capacity_pss_mib", "  memory after it (PSS)", "MiB"),
    Metric("equal_rate", "equal rate", "messages/s"),
    Metric("equal_cpu_ms", "  CPU per message", "ms", "CPU per message at an equal rate, in ms"),
    Metric("equal_p50_ms", "  end to end p50", "ms"),
    Metric("equal_p99_ms", "  end to end p99", "ms"),
    Metric("half_rate", "half of its capacity", "messages/s"),
    Metric("half_cpu_ms", "  CPU per message", "ms"),
    Metric("half_ack_p50_ms", "  answer p50", "ms"),
    Metric("half_ack_p99_ms", "  answer p99", "ms"),
    Metric("half_p50_ms", "  end to end p50", "ms"),
    Metric("half_p99_ms", "  end to end p99", "ms", "End to end p99 at half of its own capacity, in ms"),
    Metric("ready_seconds", "start to ready", "s"),
]

TARGETS = [
    Target(title="messages/s", metric="capacity_rate", ours="tellwire", other="user-built", at_least=15),
    Target(title="messages/s", metric="capacity_rate", ours="tellwire", other="bare", at_least=0.7),
    Target(title="messages/s", metric="capacity_rate", ours="tellwire-postgresql", other="user-built", at_least=12),
    Target(title="CPU at equal rate", metric="equal_cpu_ms", ours="tellwire", other="user-built", at_most=1 / 8),
    Target(title="CPU at equal rate", metric="equal_cpu_ms", ours="tellwire", other="bare"),
    Target(title="half capacity, answer p99 ms", metric="half_ack_p99_ms", ours="tellwire", at_most=25),
    Target(title="half capacity, end to end p99 ms", metric="half_p99_ms", ours="tellwire", at_most=50),
    Target(title="CPU at equal rate", metric="equal_cpu_ms", ours="tellwire-postgresql", other="user-built"),
    Target(title="half capacity, answer p99 ms", metric="half_ack_p99_ms", ours="tellwire-postgresql", at_most=25),
    Target(title="half capacity, end to end p99 ms", metric="half_p99_ms", ours="tellwire-postgresql", at_most=50),
    Target(title="messages/s", metric="capacity_rate", ours="bare", other="user-built"),
    Target(title="CPU at equal rate", metric="equal_cpu_ms", ours="bare", other="user-built"),
]


def run(options: Options) -> int:
    """Run the scenario, print the table, write JSON and picture; return 1 if a system lost, refused or garbled a
    message."""
    if any(name.startswith("tellwire") for name in options.systems):
        prepare_tellwire(options)
    study = Study(
        title="Tellwire, end to end",
        cases=[CASES[name] for name in options.systems],
        metrics=METRICS,
        targets=TARGETS,
        reference=REFERENCE,
    )

    def one(number: int, name: str, folder: Path) -> Run:
        return _one(number, name, folder, options)

    with workspace_for(options) as workspace:
        return carry_out(study, options, workspace, one)


def _one(number: int, name: str, folder: Path, options: Options) -> Run:
    """Run one system in one round, from its start to its stop."""
    phases: dict[str, PhaseRun] = {}
    with ExitStack() as stack:
        load = stack.enter_context(driver(folder))
        begin = time.monotonic()
        system = SYSTEMS[name](stack, folder, load.sink, options)
        ready = round(time.monotonic() - begin, 3)
        load.aim(system.aim)
        for phase, plan in _plans(options, phases):
            phases[phase] = done = measure(load, system.pids, plan)
            report_phase(number, name, phase, done)
            if not done.seen.whole:
                break
    figures = {metric: figure(phases[phase]) for metric, phase, figure in _FIGURES if phase in phases}
    return Run(
        round=number,
        case=name,
        figures=figures | {"ready_seconds": ready},
        phases=phases,
        troubles=troubles(phases),
    )


def _plans(options: Options, done: dict[str, PhaseRun]) -> Iterator[tuple[str, Prepare]]:
    """Give the phases in their order; the last one uses the capacity that `done` holds by then."""
    plan = Prepare(
        messages=options.messages,
        contacts=options.contacts,
        connections=options.connections,
        pad=options.pad,
        limit_seconds=options.limit_seconds,
    )
    yield WARM_UP, replace(plan, messages=options.contacts)
    yield CAPACITY, plan
    if count := round(options.equal_rate * options.equal_seconds):
        yield EQUAL, replace(plan, messages=count, rate=options.equal_rate)
    half = done[CAPACITY].seen.messages_per_second / 2
    if count := round(half * options.half_seconds):
        yield HALF, replace(plan, messages=count, rate=half)
