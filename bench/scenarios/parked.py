"""Measure with a million deliveries parked at a paused endpoint: the cost of another endpoint's event, start, list
calls."""

from __future__ import annotations

from contextlib import ExitStack

from msgspec.structs import replace

from bench.load_process import driver
from bench.options import Options
from bench.product import prepare_tellwire
from bench.protocol import Batch, Fill, FilledEndpoint
from bench.report import Case, Study, Target, flat
from bench.rounds import carry_out, workspace_for
from bench.sizes import words
from bench.stage import SECRET, filled_databases
from bench.usual_case import METRICS, UsualCase

NONE = "none"


def study_of(events: int) -> Study:
    """Return the study with so many parked deliveries."""
    parked = words(events)
    return Study(
        title=f"{parked} parked deliveries",
        cases=[Case(NONE, "none parked", "plain"), Case(parked, f"{parked} parked")],
        metrics=METRICS,
        targets=[
            *flat("steady_cpu_ms", "CPU per message at the steady rate", [NONE, parked]),
            *flat("capacity_cpu_ms", "CPU per message at capacity", [NONE, parked]),
            Target(title="start to ready, s", metric="ready_seconds", ours=parked, at_most=1.5),
            Target(title="slowest list call, p95 ms", metric="list_p95_ms", ours=parked, at_most=200),
            Target(title="slowest page, p95 ms", metric="page_p95_ms", ours=parked, at_most=200),
            Target(title="memory (RSS), MiB", metric="rss_mib", ours=parked, at_most=238),
        ],
        reference=NONE,
    )


def run(options: Options) -> int:
    """Run the scenario; return 1 if a message was lost, refused or garbled."""
    prepare_tellwire(options)
    with workspace_for(options) as workspace, ExitStack() as stack:
        databases = stack.enter_context(filled_databases(options, workspace.folder))
        load = stack.enter_context(driver(workspace.folder))
        paused = FilledEndpoint(url=load.sink, first_account=1, state="paused")
        plan = Fill(
            secret=SECRET,
            accounts=2,
            contacts=max(options.contacts, options.events // 50),
            endpoints=[FilledEndpoint(url=load.sink), paused],
        )
        batch = Batch(messages=options.events, endpoint=1, state="parked")
        kept = {
            NONE: databases.keep(NONE, plan),
            words(options.events): databases.keep("parked", replace(plan, batches=[batch])),
        }
        case = UsualCase(options, kept, load, listed=1)
        return carry_out(study_of(options.events), options, workspace, case.one)
