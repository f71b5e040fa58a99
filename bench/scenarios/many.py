"""Measure one installation of several processes on one PostgreSQL: whether the work is shared, and what it costs.

On two cores, which the load, the subscriber and the database's server use too, there is little to gain; what counts is
that every message arrives once and in order, and that each process does its part.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import servers
from bench.load_process import driver
from bench.measure import Meter
from bench.options import Options
from bench.product import Installation, Served, prepare_tellwire, serve, subscribe
from bench.report import Case, Metric, PhaseRun, Run, Study, Target
from bench.rounds import carry_out, measure, report_phase, say, troubles, workspace_for
from bench.stage import CAPACITY, STEADY, WARM_UP, plan_of, steady, warm_up

ALONE = "1 all"


@dataclass(frozen=True, slots=True)
class Split:
    """The number of processes of each role in an installation."""

    everything: int = 0
    ingest: int = 0
    deliver: int = 0

    @property
    def roles(self) -> list[str]:
        return ["all"] * self.everything + ["ingest"] * self.ingest + ["deliver"] * self.deliver


def splits(processes: int) -> dict[str, Split]:
    """Return the cases' splits by name."""
    found = {ALONE: Split(everything=1)}
    if processes > 1:
        found[f"{processes} all"] = Split(everything=processes)
    found["1 ingest 1 deliver"] = Split(ingest=1, deliver=1)
    if processes > 1:
        found[f"1 ingest {processes} deliver"] = Split(ingest=1, deliver=processes)
    return found


def study_of(processes: int) -> Study:
    """Return the study; little is promised, because the machine has no free cores."""
    cases = list(splits(processes))
    return Study(
        title="One installation of several processes on PostgreSQL",
        cases=[Case(name, name, "plain" if name == ALONE else "ours") for name in cases],
        metrics=[
            Metric("rate", "capacity", "messages/s", "Messages per second at capacity", "longer is better"),
            Metric("cpu_ms", "  CPU per message", "ms", "CPU per message at capacity, server included, in ms"),
            Metric("busiest", "  busiest deliverer's part", "of 1"),
            Metric("p50_ms", "steady, end to end p50", "ms"),
            Metric("p99_ms", "  end to end p99", "ms", "End to end p99 at the steady rate, in ms"),
            Metric("ack_p99_ms", "  answer p99", "ms"),
            Metric("pss_mib", "memory (PSS)", "MiB"),
        ],
        targets=[
            target
            for case in cases[1:]
            for target in (
                Target(title="messages/s", metric="rate", ours=case, other=ALONE),
                Target(title="CPU per message", metric="cpu_ms", ours=case, other=ALONE),
            )
        ],
        reference=ALONE,
    )


def run(options: Options) -> int:
    """Run the scenario; return 1 if a message was lost, refused or garbled."""
    prepare_tellwire(options)
    cases = splits(options.processes)

    def one(number: int, case: str, folder: Path) -> Run:
        return _one(number, case, folder, cases[case], options)

    with workspace_for(options) as workspace:
        return carry_out(study_of(options.processes), options, workspace, one)


def _one(number: int, case: str, folder: Path, split: Split, options: Options) -> Run:
    phases: dict[str, PhaseRun] = {}
    with ExitStack() as stack:
        load = stack.enter_context(driver(folder))
        database = servers.postgres(stack, folder)
        served = _start(stack, folder, database.url, split, options)
        fronts = [each for role, each in zip(split.roles, served, strict=True) if role != "deliver"]
        load.aim(fronts[0].aim(subscribe(fronts[0], load.sink), others=tuple(fronts[1:])))
        pids = [database.child.pid, *(each.child.pid for each in served)]
        deliverers = [
            Meter([each.child.pid]) for role, each in zip(split.roles, served, strict=True) if role != "ingest"
        ]
        phases[WARM_UP] = measure(load, pids, warm_up(options))
        before = [meter.cpu_seconds() for meter in deliverers]
        for name, plan in ((CAPACITY, plan_of(options)), (STEADY, steady(options))):
            phases[name] = done = measure(load, pids, plan)
            report_phase(number, case, name, done)
        parts = [meter.cpu_seconds() - begin for meter, begin in zip(deliverers, before, strict=True)]
    say(f"round {number}  {case:<18}  deliverers' CPU: {', '.join(f'{part:.1f} s' for part in parts)}")
    full, calm = phases[CAPACITY], phases[STEADY]
    figures = {
        "rate": full.seen.messages_per_second,
        "cpu_ms": full.cpu_ms_per_message,
        "busiest": round(max(parts) / (sum(parts) or 1), 3),
        "p50_ms": calm.seen.end_to_end.p50,
        "p99_ms": calm.seen.end_to_end.p99,
        "ack_p99_ms": calm.seen.ack.p99,
        "pss_mib": full.cost.pss_mib,
    }
    return Run(round=number, case=case, figures=figures, phases=phases, troubles=troubles(phases))


def _start(stack: ExitStack, folder: Path, database: str, split: Split, options: Options) -> Sequence[Served]:
    """Start the processes of an installation, the first of which migrates the database."""
    installation = Installation(database=database)
    return [
        serve(
            stack,
            folder,
            options,
            installation,
            *("--role", role),
            *(["--migrate"] if at == 0 else []),
            name=f"tellwire-{at}-{role}",
        )
        for at, role in enumerate(split.roles)
    ]
