"""Measure quiet endpoints, alone and beside a hanging and a flooding one: their p99 must not double.

Every endpoint has a business number of its own, so that one message is one delivery. The quiet ones share the steady
rate; the flooding one gets three times that rate, the hanging one takes connections and never answers.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from bench.load_process import LoadProcess, driver
from bench.options import Options
from bench.product import Served, prepare_tellwire
from bench.protocol import Fill, FilledEndpoint, Prepare
from bench.report import Case, Metric, Run, Study, Target
from bench.rounds import carry_out, measure, report_phase, troubles, workspace_for
from bench.stage import LATER, SECRET, STEADY, WARM_UP, FilledDatabase, beside, filled_databases, steady, warm_up

QUIET, BESIDE = "quiet", "beside"
QUIET_ENDPOINTS = 200
FLOOD_RATE, HANG_RATE = 3.0, 0.05
"""The rates of the flooding and the hanging endpoint, as shares of the steady rate."""
_HEAD_START = 0.1
"""How long the other endpoints are loaded before the measurement begins, as a share of its length."""

STUDY = Study(
    title="200 quiet endpoints beside a hanging and a flooding one",
    cases=[Case(QUIET, "alone", "plain"), Case(BESIDE, "beside both")],
    metrics=[
        Metric("p50_ms", "quiet ones, end to end p50", "ms"),
        Metric("p99_ms", "  p99", "ms", "End to end p99 of the quiet endpoints, in ms"),
        Metric("max_ms", "  slowest", "ms"),
        Metric("ack_p99_ms", "  answer p99", "ms", "Answer to Meta p99, in ms"),
        Metric("flood_rate", "flooding one", "messages/s"),
        Metric("flood_p99_ms", "  end to end p99", "ms"),
    ],
    targets=[
        Target(title="quiet p99", metric="p99_ms", ours=BESIDE, other=QUIET, at_most=2),
        Target(title="quiet p50", metric="p50_ms", ours=BESIDE, other=QUIET),
    ],
    reference=QUIET,
)


@dataclass(frozen=True, slots=True)
class _Isolation:
    options: Options
    kept: FilledDatabase
    quiet: LoadProcess
    flood: LoadProcess
    hang: LoadProcess

    def one(self, number: int, case: str, folder: Path) -> Run:
        """Load the quiet endpoints for the time of the steady load, with or without the others."""
        with self.kept.serving(folder, fresh=True, gently=False) as served:
            self._aim(served)
            phases = {WARM_UP: measure(self.quiet, served.pids, warm_up(self.options))}
            noise = self._noise() if case == BESIDE else []
            with beside(noise) as others:
                time.sleep(_HEAD_START * self.options.seconds if noise else 0)
                phases[STEADY] = done = measure(self.quiet, served.pids, steady(self.options))
            report_phase(number, case, STEADY, done)
        figures = {
            "p50_ms": done.seen.end_to_end.p50,
            "p99_ms": done.seen.end_to_end.p99,
            "max_ms": done.seen.end_to_end.max,
            "ack_p99_ms": done.seen.ack.p99,
        }
        if others:
            figures |= {"flood_rate": others[0].messages_per_second, "flood_p99_ms": others[0].end_to_end.p99}
        return Run(round=number, case=case, figures=figures, phases=phases, troubles=troubles(phases))

    def _aim(self, served: Served) -> None:
        self.quiet.aim(served.aim(SECRET, accounts=QUIET_ENDPOINTS))
        self.flood.aim(served.aim(SECRET, first_account=QUIET_ENDPOINTS, first_message=LATER))
        self.hang.aim(served.aim(SECRET, first_account=QUIET_ENDPOINTS + 1, first_message=2 * LATER, sink="hangs"))

    def _noise(self) -> list[tuple[LoadProcess, Prepare]]:
        longer = replace(self.options, seconds=self.options.seconds * (1 + _HEAD_START))
        hanging = structs.replace(steady(longer, HANG_RATE), awaited=False)
        return [(self.flood, steady(longer, FLOOD_RATE)), (self.hang, hanging)]


def run(options: Options) -> int:
    """Run the scenario; return 1 if a quiet endpoint missed a message."""
    prepare_tellwire(options)
    with workspace_for(options) as workspace, ExitStack() as stack:
        databases = stack.enter_context(filled_databases(options, workspace.folder))
        quiet, flood, hang = (
            stack.enter_context(driver(workspace.folder, name)) for name in ("quiet", "flood", "hang")
        )
        endpoints = [
            FilledEndpoint(url=quiet.sink, count=QUIET_ENDPOINTS),
            FilledEndpoint(url=flood.sink, first_account=QUIET_ENDPOINTS),
            FilledEndpoint(url=hang.sink, first_account=QUIET_ENDPOINTS + 1),
        ]
        plan = Fill(secret=SECRET, accounts=QUIET_ENDPOINTS + 2, contacts=options.contacts, endpoints=endpoints)
        kept = databases.keep("endpoints", plan)
        return carry_out(STUDY, options, workspace, _Isolation(options, kept, quiet, flood, hang).one)
