"""Run the frame of every scenario: a folder, the machine, the cases in turns over the rounds, the report's files."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.load_process import LoadProcess
from bench.machine import Machine, describe
from bench.measure import Meter
from bench.options import Options
from bench.picture import draw
from bench.processes import tail
from bench.protocol import PhaseResult, Prepare
from bench.report import PhaseRun, Report, Run, Study, claims, doubts, fault, medians, table

SETTLE_SECONDS = 0.3
"""How long to measure after the last delivery: recording its result is part of the cost."""

RunCase = Callable[[int, str, Path], Run]
"""A function (number of the round, name of the case, empty folder) that runs the case and returns the result."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of a scenario, the machine before it ran, and when it began."""

    folder: Path
    machine: Machine
    at: datetime
    begin: float


@contextmanager
def workspace_for(options: Options) -> Iterator[Workspace]:
    """Give a new folder with the machine's description; the folder is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tellwire-bench-", dir=options.folder))
    folder.chmod(0o711)  # PostgreSQL runs as another user in a folder below
    try:
        machine = describe(folder)
        for doubt in machine.doubts:
            say(f"careful: {doubt}")
        yield Workspace(folder, machine, datetime.now(UTC), time.monotonic())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def carry_out(study: Study, options: Options, workspace: Workspace, run_case: RunCase) -> int:
    """Run every case in every round (A B C A B C …), print the table, write JSON and picture.

    Returns: 1 if a run had troubles, whatever the figures are; else 0.
    """
    runs = [
        _in_a_folder(run_case, number, case.name, workspace.folder)
        for number in range(1, options.rounds + 1)
        for case in study.cases
    ]
    report = Report(
        scenario=options.scenario,
        study=study,
        started_at=workspace.at.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - workspace.begin, 1),
        machine=workspace.machine,
        options=_shown(options),
        medians=medians(runs),
        claims=claims(study.targets, runs),
        doubts=doubts(workspace.machine, runs, rounds=options.rounds, enough=study.enough_rounds),
        runs=runs,
    )
    return _publish(report, options.json)


def measure(load: LoadProcess, pids: Sequence[int], plan: Prepare) -> PhaseRun:
    """Run a phase and measure what it costs the processes."""
    load.prepare(plan)
    meter = Meter(pids)
    meter.start()
    try:
        seen = load.go()
        time.sleep(SETTLE_SECONDS)
    finally:
        cost = meter.stop()
    delivered = max(1, seen.delivered)
    return PhaseRun(
        seen=seen,
        cost=cost,
        cpu_ms_per_message=round(cost.cpu_seconds * 1000 / delivered, 3),
        written_kib_per_message=round(cost.written_kib / delivered, 2),
    )


def troubles(phases: dict[str, PhaseRun]) -> list[str]:
    """Return the problems of a run's phases, in words."""
    return [f"{name}: {fault(phase.seen)}" for name, phase in phases.items() if not phase.seen.whole]


def say(text: str) -> None:
    """Print a line of progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def report_phase(number: int, case: str, phase: str, done: PhaseRun) -> None:
    """Print the result of a phase on stderr."""
    say(f"round {number}  {case:<18}  {phase:<13}  {_line(done)}")


def _in_a_folder(run_case: RunCase, number: int, case: str, parent: Path) -> Run:
    folder = parent / f"{number}-{case.replace(' ', '-')}"
    folder.mkdir()
    folder.chmod(0o711)
    try:
        run = run_case(number, case, folder)
        for trouble in run.troubles:
            say(f"careful: round {number}, {case}: {trouble}")
        if run.troubles:
            for log in sorted(folder.glob("*.log")):
                say(f"  {log.name}:\n{tail(log)}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return run


def _publish(report: Report, path: Path) -> int:
    picture = path.with_suffix(".svg")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        picture.write_text(draw(report))
    except OSError as error:
        raise BenchError(f"cannot write the result: {error}") from error
    print(table(report.study, report.runs, report.claims))
    for doubt in report.doubts:
        print(f"careful: {doubt}")
    print(f"{path} and {picture.name}, after {report.seconds:g} s")
    return 1 if any(run.troubles for run in report.runs) else 0


def _shown(options: Options) -> dict[str, object]:
    """Return the options that shaped the result, without paths of this machine."""
    return {k: v for k, v in asdict(options).items() if k not in {"json", "folder", "tellwire_python", "scenario"}}


def _line(run: PhaseRun) -> str:
    seen: PhaseResult = run.seen
    return (
        f"{seen.delivered:>6} in {seen.seconds:>7.2f} s  {seen.messages_per_second:>7.1f}/s"
        f"  answer p50 {seen.ack.p50:.1f} p99 {seen.ack.p99:.1f} ms"
        f"  end to end p50 {seen.end_to_end.p50:.1f} p99 {seen.end_to_end.p99:.1f} ms"
        f"  CPU {run.cpu_ms_per_message:.2f} ms  {run.cost.peak_rss_mib:.0f} MiB"
    )
