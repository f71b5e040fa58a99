"""Measure one POST with many updates: how long until the durable 200, and whether that grows linearly."""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from bench.load_process import LoadProcess, driver
from bench.options import Options
from bench.product import prepare_tellwire
from bench.protocol import Fill, FilledEndpoint
from bench.report import Case, Metric, PhaseRun, Run, Study, Target
from bench.rounds import carry_out, measure, say, troubles, workspace_for
from bench.stage import SECRET, WARM_UP, FilledDatabase, filled_databases, plan_of, warm_up

SIZES = (100, 500, 1000, 2000, 4000)
PROMISED = 1000


def study_of(sizes: list[int]) -> Study:
    """Return the study of these numbers of updates."""
    one = str(PROMISED if PROMISED in sizes else sizes[0])
    larger = [str(size) for size in sizes if size > int(one)]
    return Study(
        title="One POST with many updates",
        cases=[Case(str(size), f"{size} updates") for size in sizes],
        metrics=[
            Metric("ack_ms", "POST to the durable 200", "ms", "From the POST to the durable 200, in ms"),
            Metric("per_update_ms", "  per update", "ms", "The same per update, in ms"),
            Metric("all_delivered_ms", "POST to the last delivery", "ms", "From the POST to its last delivery, in ms"),
        ],
        targets=[
            Target(title="POST to the durable 200, ms", metric="ack_ms", ours=one, at_most=150),
            *(
                Target(title="time per update", metric="per_update_ms", ours=case, other=one, at_most=1.2)
                for case in larger
            ),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Burst:
    options: Options
    kept: FilledDatabase
    load: LoadProcess

    def one(self, number: int, case: str, folder: Path) -> Run:
        """Send some POSTs of one size, each after the last delivery of the one before."""
        updates, phases = int(case), dict[str, PhaseRun]()
        with self.kept.serving(folder, fresh=True) as served:
            self.load.aim(served.aim(SECRET))
            phases[WARM_UP] = measure(self.load, served.pids, warm_up(self.options))
            plan = replace(plan_of(self.options), messages=updates, updates=updates, connections=1)
            for at in range(self.options.messages):
                phases[f"POST {at + 1}"] = measure(self.load, served.pids, plan)
        posts = [phase.seen for name, phase in phases.items() if name != WARM_UP]
        ack = statistics.median(post.ack.max for post in posts)
        figures = {
            "ack_ms": ack,
            "per_update_ms": ack / updates,
            "all_delivered_ms": statistics.median(post.end_to_end.max for post in posts),
        }
        last = figures["all_delivered_ms"]
        say(f"round {number}  {case:<18}  200 after {ack:.0f} ms, all delivered after {last:.0f} ms")
        return Run(round=number, case=case, figures=figures, phases=phases, troubles=troubles(phases))


def run(options: Options) -> int:
    """Run the scenario; return 1 if an update was lost, refused or garbled."""
    prepare_tellwire(options)
    sizes = [size for size in SIZES if size <= options.events] or [options.events]
    with workspace_for(options) as workspace, ExitStack() as stack:
        databases = stack.enter_context(filled_databases(options, workspace.folder))
        load = stack.enter_context(driver(workspace.folder))
        plan = Fill(secret=SECRET, accounts=1, contacts=options.contacts, endpoints=[FilledEndpoint(url=load.sink)])
        kept = databases.keep("endpoint", plan)
        return carry_out(study_of(sizes), options, workspace, _Burst(options, kept, load).one)
