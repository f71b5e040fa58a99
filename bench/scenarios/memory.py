"""Measure memory under a steady load, with a million deliveries that wait on disk for an endpoint that is down.

The run lasts minutes, not the hour of the promise: a straight line through the samples of its second half, when the
database's page cache is full, estimates the memory after an hour.
"""

from __future__ import annotations

import dataclasses
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from bench.load_process import LoadProcess, driver
from bench.measure import Meter
from bench.options import Options
from bench.processes import free_port
from bench.product import prepare_tellwire
from bench.protocol import Batch, Fill, FilledEndpoint
from bench.report import Case, Metric, Run, Study, Target
from bench.rounds import carry_out, measure, report_phase, troubles, workspace_for
from bench.sizes import words
from bench.stage import SECRET, STEADY, WARM_UP, FilledDatabase, filled_databases, steady, warm_up

_PERIOD_SECONDS = 1.0
_HOUR = 3600.0
NONE = "no backlog"

Sample = tuple[float, float]
"""A sample: seconds since the beginning, MiB."""


def study_of(events: int) -> Study:
    """Return the study with so many deliveries waiting."""
    waiting = words(events)
    bounds = [
        target
        for case in (NONE, waiting)
        for target in (
            Target(title="peak memory (RSS), MiB", metric="peak_mib", ours=case, at_most=238),
            Target(title="after an hour, by a straight line, MiB", metric="hour_mib", ours=case, at_most=238),
        )
    ]
    return Study(
        title=f"Memory under steady load, {waiting} deliveries waiting on disk",
        cases=[Case(NONE, NONE, "plain"), Case(waiting, f"{waiting} waiting")],
        metrics=[
            Metric("ready_mib", "when ready (RSS)", "MiB"),
            Metric("half_mib", "after half of the time", "MiB"),
            Metric("last_mib", "at the end", "MiB", "Resident memory at the end, in MiB"),
            Metric("peak_mib", "peak", "MiB", "Peak of the resident memory, in MiB"),
            Metric("mib_per_hour", "growth by a straight line", "MiB/h"),
            Metric("hour_mib", "an hour on, by that line", "MiB"),
            Metric("p99_ms", "end to end p99", "ms"),
        ],
        targets=bounds,
        reference=NONE,
        enough_rounds=1,
    )


def slope(samples: Sequence[Sample]) -> float:
    """Return the slope, in MiB per second, of the straight line through the samples (least squares); 0 for fewer than
    two."""
    if len(samples) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*samples, strict=True)).slope


@contextmanager
def sampling(meter: Meter) -> Iterator[list[Sample]]:
    """Sample the memory every second while the block runs."""
    samples: list[Sample] = []
    over = threading.Event()
    begin = time.monotonic()

    def sample() -> None:
        while True:
            samples.append((time.monotonic() - begin, meter.rss_mib()))
            if over.wait(_PERIOD_SECONDS):
                return

    thread = threading.Thread(target=sample, name="memory", daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class _Memory:
    options: Options
    kept: dict[str, FilledDatabase]
    load: LoadProcess

    def one(self, number: int, case: str, folder: Path) -> Run:
        """Run the steady load for its time."""
        with self.kept[case].serving(folder, fresh=False) as served:
            meter = Meter([served.child.pid])
            ready = meter.rss_mib()
            self.load.aim(served.aim(SECRET))
            phases = {WARM_UP: measure(self.load, served.pids, warm_up(self.options))}
            with sampling(meter) as samples:
                phases[STEADY] = done = measure(self.load, served.pids, steady(self.options))
            report_phase(number, case, STEADY, done)
        later = samples[len(samples) // 2 :]
        growth = slope(later) * _HOUR
        figures = {
            "ready_mib": round(ready, 1),
            "half_mib": round(later[0][1], 1),
            "last_mib": round(later[-1][1], 1),
            "peak_mib": round(max(mib for _, mib in samples), 1),
            "mib_per_hour": round(growth, 1),
            "hour_mib": round(later[-1][1] + max(0.0, growth), 1),
            "p99_ms": done.seen.end_to_end.p99,
        }
        each = [(round(at, 1), round(mib, 1)) for at, mib in samples[:: max(1, len(samples) // 60)]]
        return Run(
            round=number,
            case=case,
            figures=figures,
            phases=phases,
            troubles=troubles(phases),
            more={"seconds_and_mib": each},
        )


def run(options: Options) -> int:
    """Run the scenario; return 1 if a message was lost, refused or garbled."""
    options = _long_enough(options)
    prepare_tellwire(options)
    with workspace_for(options) as workspace, ExitStack() as stack:
        databases = stack.enter_context(filled_databases(options, workspace.folder))
        load = stack.enter_context(driver(workspace.folder))
        down = FilledEndpoint(url=f"http://127.0.0.1:{free_port()}/hook", first_account=1)
        plan = Fill(
            secret=SECRET,
            accounts=2,
            contacts=max(options.contacts, options.events // 50),
            endpoints=[FilledEndpoint(url=load.sink), down],
        )
        batch = Batch(messages=options.events, endpoint=1, state="waiting")
        kept = {
            NONE: databases.keep(NONE, plan),
            words(options.events): databases.keep("backlog", replace(plan, batches=[batch])),
        }
        return carry_out(study_of(options.events), options, workspace, _Memory(options, kept, load).one)


def _long_enough(options: Options) -> Options:
    """Return the options with a phase limit that is longer than the steady load."""
    if options.limit_seconds > options.seconds + 60:
        return options
    return dataclasses.replace(options, limit_seconds=options.seconds + 60)
