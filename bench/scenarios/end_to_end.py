"""Meta's POST in, the subscriber's POST out: capacity, CPU at an equal rate, latency at half of the capacity.

Each round starts every system afresh on an empty database, one after the other (A B C A B C …): warm-up (one message
of every contact), closed loop at capacity, then the two fixed rates. Only ratios from one run mean something.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.load_process import LoadProcess, driver
from bench.machine import describe
from bench.measure import Meter
from bench.options import Options
from bench.picture import draw
from bench.processes import tail
from bench.protocol import PhaseResult, Prepare
from bench.report import CAPACITY, EQUAL, HALF, PhaseRun, Report, Run, claims, doubts, medians, table
from bench.systems import SYSTEMS, System, prepare_tellwire

WARM_UP = "warm-up"
_SETTLE_SECONDS = 0.3
"""After the last delivery a system still has its result to record: that is part of the cost."""


def run(options: Options) -> int:
    """Run it, print the table, write JSON and picture; returns 1 when a system lost, refused or garbled a message."""
    if "tellwire" in options.systems:
        prepare_tellwire(options)
    begin, started_at = time.monotonic(), datetime.now(UTC)
    place = Path(tempfile.mkdtemp(prefix="tellwire-bench-", dir=options.folder))
    place.chmod(0o711)  # PostgreSQL runs as another user in a folder below
    try:
        machine = describe(place)
        for doubt in machine.doubts:
            _say(f"careful: {doubt}")
        runs = [
            _one(number, system, place, options)
            for number in range(1, options.rounds + 1)
            for system in options.systems
        ]
    finally:
        shutil.rmtree(place, ignore_errors=True)
    report = Report(
        scenario=options.scenario,
        started_at=started_at.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - begin, 1),
        machine=machine,
        options=_shown(options),
        medians=medians(runs),
        claims=claims(runs),
        doubts=doubts(machine, runs, options.rounds),
        runs=runs,
    )
    return _publish(report, options.json)


def _one(number: int, name: str, place: Path, options: Options) -> Run:
    """One system in one round, from its start to its stop."""
    folder = place / f"{number}-{name}"
    folder.mkdir()
    folder.chmod(0o711)
    phases: dict[str, PhaseRun] = {}
    with ExitStack() as stack:
        load = stack.enter_context(driver(folder))
        begin = time.monotonic()
        system = SYSTEMS[name](stack, folder, load.sink, options)
        ready = round(time.monotonic() - begin, 3)
        load.aim(system.aim)
        for phase, plan in _plans(options, phases):
            phases[phase] = done = _phase(load, system, plan)
            _say(f"round {number}  {name:<10}  {phase:<13}  {_line(done)}")
            if not done.seen.whole:
                _say(f"careful: {name} did not do all of {phase}: {', '.join(done.seen.trouble) or 'see the result'}")
                for log in sorted(folder.glob("*.log")):
                    _say(f"  {log.name}:\n{tail(log)}")
                break
    shutil.rmtree(folder, ignore_errors=True)
    return Run(round=number, system=name, ready_seconds=ready, phases=phases)


def _plans(options: Options, done: dict[str, PhaseRun]) -> Iterator[tuple[str, Prepare]]:
    """The phases in their order; the last one looks at what `done` says of the capacity by then."""
    plan = Prepare(
        messages=options.messages,
        contacts=options.contacts,
        connections=options.connections,
        pad=options.pad,
        limit_seconds=options.limit_seconds,
    )
    yield WARM_UP, msgspec.structs.replace(plan, messages=options.contacts)
    yield CAPACITY, plan
    if count := round(options.equal_rate * options.equal_seconds):
        yield EQUAL, msgspec.structs.replace(plan, messages=count, rate=options.equal_rate)
    half = done[CAPACITY].seen.messages_per_second / 2
    if count := round(half * options.half_seconds):
        yield HALF, msgspec.structs.replace(plan, messages=count, rate=half)


def _phase(load: LoadProcess, system: System, plan: Prepare) -> PhaseRun:
    load.prepare(plan)
    meter = Meter(system.pids)
    meter.start()
    try:
        seen = load.go()
        time.sleep(_SETTLE_SECONDS)
    finally:
        cost = meter.stop()
    return PhaseRun(seen=seen, cost=cost, cpu_ms_per_message=round(cost.cpu_seconds * 1000 / max(1, seen.delivered), 3))


def _publish(report: Report, path: Path) -> int:
    picture = path.with_suffix(".svg")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        picture.write_text(draw(report))
    except OSError as error:
        raise BenchError(f"cannot write the result: {error}") from error
    print(table(report.runs, report.claims))
    for doubt in report.doubts:
        print(f"careful: {doubt}")
    print(f"{path} and {picture.name}, after {report.seconds:g} s")
    return 0 if all(phase.seen.whole for one in report.runs for phase in one.phases.values()) else 1


def _shown(options: Options) -> dict[str, object]:
    """The options that shaped the result, without places on this machine."""
    return {k: v for k, v in asdict(options).items() if k not in {"json", "folder", "tellwire_python", "scenario"}}


def _line(run: PhaseRun) -> str:
    seen: PhaseResult = run.seen
    return (
        f"{seen.delivered:>6} in {seen.seconds:>7.2f} s  {seen.messages_per_second:>7.1f}/s"
        f"  answer p50 {seen.ack.p50:.1f} p99 {seen.ack.p99:.1f} ms"
        f"  end to end p50 {seen.end_to_end.p50:.1f} p99 {seen.end_to_end.p99:.1f} ms"
        f"  CPU {run.cpu_ms_per_message:.2f} ms  {run.cost.peak_rss_mib:.0f} MiB"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
