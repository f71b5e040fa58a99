"""Measure with more and more stored, delivered events: the cost of the next event, the start, list calls, memory.

The filler makes the rows (see `bench/past.py`); the load of the rounds makes a thousandth of them.
"""

from __future__ import annotations

from contextlib import ExitStack

from bench.load_process import driver
from bench.options import Options
from bench.product import prepare_tellwire
from bench.protocol import Batch, Fill, FilledEndpoint
from bench.report import Case, Study, Target, flat
from bench.rounds import carry_out, workspace_for
from bench.sizes import powers, words
from bench.stage import SECRET, filled_databases
from bench.usual_case import METRICS, UsualCase

SMALLEST = 10_000
_PER_CONTACT = 50


def study_of(sizes: list[int]) -> Study:
    """Return the study of these numbers of stored events."""
    cases = [words(size) for size in sizes]
    promised = [words(size) for size in sizes if size <= 1_000_000]
    return Study(
        title="From 10 000 stored events up",
        cases=[Case(name, f"{name} events") for name in cases],
        metrics=METRICS,
        targets=[
            *flat("steady_cpu_ms", "CPU per message at the steady rate", cases),
            *flat("capacity_cpu_ms", "CPU per message at capacity", cases),
            *flat("steady_written_kib", "written per message", cases),
            Target(title="start to ready, s", metric="ready_seconds", ours=promised[-1], at_most=1.5),
            Target(title="slowest list call, p95 ms", metric="list_p95_ms", ours=promised[-1], at_most=200),
            Target(title="slowest page, p95 ms", metric="page_p95_ms", ours=promised[-1], at_most=200),
            Target(title="memory (RSS), MiB", metric="rss_mib", ours=cases[-1], at_most=238),
        ],
        reference=cases[0],
    )


def past_of(size: int, sink: str, options: Options) -> Fill:
    """Return the plan of `size` delivered events, fifty of each contact, but with at least the contacts of the load."""
    return Fill(
        secret=SECRET,
        accounts=1,
        contacts=max(options.contacts, size // _PER_CONTACT),
        endpoints=[FilledEndpoint(url=sink)],
        batches=[Batch(messages=size, endpoint=0, state="delivered")],
    )


def run(options: Options) -> int:
    """Run the scenario; return 1 if a message was lost, refused or garbled."""
    prepare_tellwire(options)
    sizes = powers(SMALLEST, max(options.events, SMALLEST))
    with workspace_for(options) as workspace, ExitStack() as stack:
        databases = stack.enter_context(filled_databases(options, workspace.folder))
        load = stack.enter_context(driver(workspace.folder))
        kept = {words(size): databases.keep(words(size), past_of(size, load.sink, options)) for size in sizes}
        return carry_out(study_of(sizes), options, workspace, UsualCase(options, kept, load).one)
