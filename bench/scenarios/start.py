"""Measure how soon `serve` is ready, by the number of stored events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.measure import Meter
from bench.options import Options
from bench.product import prepare_tellwire
from bench.report import Case, Metric, Run, Study, Target
from bench.rounds import carry_out, say, workspace_for
from bench.scenarios.growth import SMALLEST, past_of
from bench.sizes import powers, words
from bench.stage import FilledDatabase, filled_databases

NOWHERE = "http://127.0.0.1:9/hook"


def study_of(sizes: list[int]) -> Study:
    """Return the study of these numbers of stored events."""
    cases = [words(size) for size in sizes]
    bound = [Target(title="start to ready, s", metric="ready_seconds", ours=case, at_most=1.5) for case in cases]
    return Study(
        title="From the start of `serve` to ready",
        cases=[Case(name, f"{name} events") for name in cases],
        metrics=[
            Metric("ready_seconds", "start to ready", "s", "From the start of `serve` to ready, in s"),
            Metric("cpu_seconds", "  CPU", "s", "CPU time of that, in s"),
            Metric("rss_mib", "  memory then (RSS)", "MiB"),
        ],
        targets=bound,
        reference=cases[0],
    )


@dataclass(frozen=True, slots=True)
class _Start:
    options: Options
    kept: dict[str, FilledDatabase]

    def one(self, number: int, case: str, folder: Path) -> Run:
        """Start the server once."""
        with self.kept[case].serving(folder, fresh=False) as served:
            meter = Meter([served.child.pid])
            figures = {
                "ready_seconds": served.ready_seconds,
                "cpu_seconds": round(meter.cpu_seconds(), 3),
                "rss_mib": round(meter.rss_mib(), 1),
            }
        say(f"round {number}  {case:<18}  ready after {served.ready_seconds:.2f} s")
        return Run(round=number, case=case, figures=figures)


def run(options: Options) -> int:
    """Run the scenario; return 0."""
    prepare_tellwire(options)
    sizes = powers(SMALLEST, max(options.events, SMALLEST))
    with workspace_for(options) as workspace, filled_databases(options, workspace.folder) as databases:
        kept = {words(size): databases.keep(words(size), past_of(size, NOWHERE, options)) for size in sizes}
        return carry_out(study_of(sizes), options, workspace, _Start(options, kept).one)
