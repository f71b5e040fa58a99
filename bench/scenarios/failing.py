"""Measure the latency and throughput of healthy endpoints while 5 % of the endpoints hang and 10 % answer 500.

Every endpoint has a business number of its own and gets its share of the messages. Without failures the same messages
go to the same endpoints, and all of them answer 200.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from bench.load_process import LoadProcess, driver
from bench.options import Options
from bench.product import Served, prepare_tellwire
from bench.protocol import Fill, FilledEndpoint, Prepare
from bench.report import Case, Metric, Run, Study, Target
from bench.rounds import carry_out, measure, report_phase, troubles, workspace_for
from bench.stage import (
    CAPACITY,
    LATER,
    SECRET,
    STEADY,
    WARM_UP,
    FilledDatabase,
    beside,
    filled_databases,
    plan_of,
    steady,
    warm_up,
)

SOUND, FAILING = "none failing", "15 % failing"
ENDPOINTS, HANGING, BROKEN = 200, 10, 20
HEALTHY = ENDPOINTS - HANGING - BROKEN

STUDY = Study(
    title="5 % of 200 endpoints hang, 10 % fail: what the others see",
    cases=[Case(SOUND, SOUND, "plain"), Case(FAILING, FAILING)],
    metrics=[
        Metric("p50_ms", "healthy ones, end to end p50", "ms"),
        Metric("p99_ms", "  p99", "ms", "End to end p99 of the healthy endpoints, in ms"),
        Metric("max_ms", "  slowest", "ms"),
        Metric("ack_p99_ms", "  answer p99", "ms"),
        Metric("rate", "  at capacity", "messages/s", "Messages per second to the healthy ones", "longer is better"),
    ],
    targets=[
        Target(title="healthy p99", metric="p99_ms", ours=FAILING, other=SOUND, at_most=2),
        Target(title="healthy messages/s", metric="rate", ours=FAILING, other=SOUND, at_least=0.8),
    ],
    reference=SOUND,
)


@dataclass(frozen=True, slots=True)
class _Failing:
    options: Options
    kept: FilledDatabase
    healthy: LoadProcess
    hang: LoadProcess
    fail: LoadProcess

    def one(self, number: int, case: str, folder: Path) -> Run:
        """Load the healthy endpoints at the steady rate, then at capacity, with the others loaded at the same time."""
        with self.kept.serving(folder, fresh=True, gently=False) as served:
            self._aim(served, failing=case == FAILING)
            pids = served.pids
            phases = {WARM_UP: measure(self.healthy, pids, warm_up(self.options))}
            for name, plan in (
                (STEADY, steady(self.options, HEALTHY / ENDPOINTS)),
                (CAPACITY, plan_of(self.options)),
            ):
                with beside(self._others(awaited=case == SOUND)):
                    phases[name] = done = measure(self.healthy, pids, plan)
                report_phase(number, case, name, done)
        calm, full = phases[STEADY].seen, phases[CAPACITY].seen
        figures = {
            "p50_ms": calm.end_to_end.p50,
            "p99_ms": calm.end_to_end.p99,
            "max_ms": calm.end_to_end.max,
            "ack_p99_ms": calm.ack.p99,
            "rate": full.messages_per_second,
        }
        return Run(round=number, case=case, figures=figures, phases=phases, troubles=troubles(phases))

    def _aim(self, served: Served, *, failing: bool) -> None:
        self.healthy.aim(served.aim(SECRET, accounts=HEALTHY))
        self.hang.aim(
            served.aim(
                SECRET,
                accounts=HANGING,
                first_account=HEALTHY,
                first_message=LATER,
                sink="hangs" if failing else "takes",
            )
        )
        self.fail.aim(
            served.aim(
                SECRET,
                accounts=BROKEN,
                first_account=HEALTHY + HANGING,
                first_message=2 * LATER,
                sink="fails" if failing else "takes",
            )
        )

    def _others(self, *, awaited: bool) -> list[tuple[LoadProcess, Prepare]]:
        shares = ((self.hang, HANGING / ENDPOINTS), (self.fail, BROKEN / ENDPOINTS))
        return [(load, replace(steady(self.options, share), awaited=awaited)) for load, share in shares]


def run(options: Options) -> int:
    """Run the scenario; return 1 if a healthy endpoint missed a message."""
    prepare_tellwire(options)
    with workspace_for(options) as workspace, ExitStack() as stack:
        databases = stack.enter_context(filled_databases(options, workspace.folder))
        healthy, hang, fail = (
            stack.enter_context(driver(workspace.folder, name)) for name in ("healthy", "hang", "fail")
        )
        endpoints = [
            FilledEndpoint(url=healthy.sink, count=HEALTHY),
            FilledEndpoint(url=hang.sink, count=HANGING, first_account=HEALTHY),
            FilledEndpoint(url=fail.sink, count=BROKEN, first_account=HEALTHY + HANGING),
        ]
        plan = Fill(secret=SECRET, accounts=ENDPOINTS, contacts=options.contacts, endpoints=endpoints)
        kept = databases.keep("endpoints", plan)
        return carry_out(STUDY, options, workspace, _Failing(options, kept, healthy, hang, fail).one)
