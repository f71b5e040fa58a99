"""Measure how long fresh events of one endpoint wait while another endpoint has a hundred thousand due retries.

`late`: late retries, out of order, that are all due at once. `comes back`: deliveries in order that waited while their
endpoint was down; now it is up again. The endpoint accepts everything at once, from the start.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from bench.load_process import LoadProcess, driver
from bench.options import Options
from bench.product import prepare_tellwire
from bench.protocol import Aim, Batch, BatchState, Fill, FilledEndpoint
from bench.report import Case, Metric, Run, Study, Target
from bench.rounds import carry_out, measure, report_phase, troubles, workspace_for
from bench.stage import SECRET, STEADY, FilledDatabase, filled_databases, plan_of, steady

CALM, LATE, BACK = "calm", "late", "comes back"
_STATES: dict[str, BatchState] = {LATE: "late", BACK: "waiting"}
_NOWHERE = Aim(ports=(0,), path="", app_secret="", signing_secret=SECRET)
"""The target of the storm's driver, which sends nothing: it only receives and counts."""

STUDY = Study(
    title="A storm of due retries beside fresh events of another endpoint",
    cases=[Case(CALM, "no storm", "plain"), Case(LATE, "retries are due"), Case(BACK, "endpoint comes back")],
    metrics=[
        Metric("p50_ms", "fresh ones, end to end p50", "ms"),
        Metric("p99_ms", "  p99", "ms", "End to end p99 of the fresh events, in ms"),
        Metric("max_ms", "  slowest", "ms", "The slowest of the fresh events, in ms"),
        Metric("ack_p99_ms", "  answer p99", "ms"),
        Metric("stormed", "of the storm delivered by then", "messages"),
        Metric("rss_mib", "peak memory (RSS)", "MiB"),
        Metric("ready_seconds", "start to ready", "s"),
    ],
    targets=[
        Target(title="slowest fresh event, ms", metric="max_ms", ours=LATE, at_most=1000),
        Target(title="slowest fresh event, ms", metric="max_ms", ours=BACK, at_most=1000),
    ],
    reference=CALM,
)


@dataclass(frozen=True, slots=True)
class _Storm:
    options: Options
    kept: dict[str, FilledDatabase]
    fresh: LoadProcess
    storm: LoadProcess

    def one(self, number: int, case: str, folder: Path) -> Run:
        """Send fresh events at the steady rate from the moment when the server is ready."""
        self.storm.aim(_NOWHERE)
        self.storm.prepare(replace(plan_of(self.options), messages=0, connections=0))
        with self.kept[case].serving(folder, fresh=True, gently=False) as served:
            self.fresh.aim(served.aim(SECRET))
            done = measure(self.fresh, served.pids, steady(self.options))
            stormed = self.storm.go().foreign
            report_phase(number, case, STEADY, done)
        seen, phases = done.seen, {STEADY: done}
        figures = {
            "p50_ms": seen.end_to_end.p50,
            "p99_ms": seen.end_to_end.p99,
            "max_ms": seen.end_to_end.max,
            "ack_p99_ms": seen.ack.p99,
            "stormed": stormed,
            "rss_mib": done.cost.peak_rss_mib,
            "ready_seconds": served.ready_seconds,
        }
        wrong = troubles(phases)
        if case != CALM and not stormed:
            wrong.append("the storm did not begin")
        return Run(round=number, case=case, figures=figures, phases=phases, troubles=wrong)


def run(options: Options) -> int:
    """Run the scenario; return 1 if a fresh event was lost, or if no retry came."""
    prepare_tellwire(options)
    with workspace_for(options) as workspace, ExitStack() as stack:
        databases = stack.enter_context(filled_databases(options, workspace.folder))
        fresh, storm = (stack.enter_context(driver(workspace.folder, name)) for name in ("fresh", "storm"))
        plan = Fill(
            secret=SECRET,
            accounts=2,
            contacts=options.contacts,
            endpoints=[FilledEndpoint(url=fresh.sink), FilledEndpoint(url=storm.sink, first_account=1)],
        )
        kept = {CALM: databases.keep(CALM, plan)}
        for case in (LATE, BACK):
            batch = Batch(messages=options.events, endpoint=1, state=_STATES[case])
            kept[case] = databases.keep(case, replace(plan, batches=[batch]))
        return carry_out(STUDY, options, workspace, _Storm(options, kept, fresh, storm).one)
