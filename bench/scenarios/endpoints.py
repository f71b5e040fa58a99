"""Measure with more and more endpoints, of which one matches: the cost of an event must not depend on the others."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.load_process import LoadProcess, driver
from bench.options import Options
from bench.product import prepare_tellwire
from bench.protocol import Fill, FilledEndpoint
from bench.report import Case, Run, Study, Target, flat
from bench.rounds import carry_out, troubles, workspace_for
from bench.sizes import powers, words
from bench.stage import SECRET, USUAL, FilledDatabase, filled_databases, usual


def study_of(sizes: list[int]) -> Study:
    """Return the study of these numbers of endpoints."""
    cases = [words(size) for size in sizes]
    return Study(
        title="From one endpoint to very many, of which one matches",
        cases=[Case(name, f"{name} endpoint" + ("s" if name != "1" else "")) for name in cases],
        metrics=USUAL,
        targets=[
            *flat("steady_cpu_ms", "CPU per message at the steady rate", cases),
            *flat("capacity_cpu_ms", "CPU per message at capacity", cases),
            Target(title="start to ready, s", metric="ready_seconds", ours=cases[-1]),
        ],
        reference=cases[0],
    )


@dataclass(frozen=True, slots=True)
class _Endpoints:
    options: Options
    kept: dict[str, FilledDatabase]
    load: LoadProcess

    def one(self, number: int, case: str, folder: Path) -> Run:
        """Run the usual phases with the case's number of endpoints."""
        with self.kept[case].serving(folder, fresh=True) as served:
            self.load.aim(served.aim(SECRET))
            figures, phases = usual(number, case, self.load, served, self.options)
        return Run(round=number, case=case, figures=figures, phases=phases, troubles=troubles(phases))


def run(options: Options) -> int:
    """Run the scenario; return 1 if a message was lost, refused or garbled."""
    prepare_tellwire(options)
    sizes = powers(1, options.events)
    with workspace_for(options) as workspace, ExitStack() as stack:
        databases = stack.enter_context(filled_databases(options, workspace.folder))
        load = stack.enter_context(driver(workspace.folder))
        kept = {}
        for size in sizes:
            endpoints = [FilledEndpoint(url=load.sink)]
            if size > 1:
                endpoints.append(FilledEndpoint(url=load.sink, count=size - 1, first_account=1))
            plan = Fill(secret=SECRET, accounts=1, contacts=options.contacts, endpoints=endpoints)
            kept[words(size)] = databases.keep(words(size), plan)
        return carry_out(study_of(sizes), options, workspace, _Endpoints(options, kept, load).one)
