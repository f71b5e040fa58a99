"""What the runs of a scenario add up to: medians, ratios from the same run, verdicts. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from msgspec import Struct

from bench.machine import Machine
from bench.protocol import PhaseResult

CAPACITY, EQUAL, HALF = "capacity", "equal-rate", "half-capacity"
ENOUGH_ROUNDS = 3


class Usage(Struct, frozen=True):
    """CPU time in seconds, user and system; memory in MiB.

    RSS counts a shared page in every process that maps it, and is the peak of samples; PSS (Linux, else 0) counts
    it once, and is the state at the end.
    """

    cpu_seconds: float
    peak_rss_mib: float
    pss_mib: float


class PhaseRun(Struct, frozen=True, kw_only=True):
    """A phase as the driver saw it and what it cost the system."""

    seen: PhaseResult
    cost: Usage
    cpu_ms_per_message: float


class Run(Struct, frozen=True, kw_only=True):
    """One system in one round."""

    round: int
    system: str
    ready_seconds: float
    phases: dict[str, PhaseRun]


class Metric(Struct, frozen=True, kw_only=True):
    """A figure of one run; `read` gives None when the phase was left out."""

    name: str
    title: str
    unit: str
    read: Callable[[Run], float | None]


class Claim(Struct, frozen=True, kw_only=True):
    """A figure with its target: medians' ratio (or median), its spread over the rounds, met or not."""

    title: str
    value: float
    lowest: float
    highest: float
    target: str
    met: bool | None


class Report(Struct, frozen=True, kw_only=True):
    """Everything a scenario found, as written to its JSON file."""

    scenario: str
    started_at: str
    seconds: float
    machine: Machine
    options: dict[str, object]
    medians: dict[str, dict[str, float]]
    claims: list[Claim]
    doubts: list[str]
    runs: list[Run]


Figure = Callable[[PhaseRun], float]


def _metric(name: str, title: str, unit: str, phase: str, figure: Figure) -> Metric:
    return Metric(
        name=name, title=title, unit=unit, read=lambda run: figure(run.phases[phase]) if phase in run.phases else None
    )


def _cpu(run: PhaseRun) -> float:
    return run.cpu_ms_per_message


METRICS = (
    _metric("capacity_rate", "capacity", "messages/s", CAPACITY, lambda run: run.seen.messages_per_second),
    _metric("capacity_cpu_ms", "  CPU per message", "ms", CAPACITY, _cpu),
    _metric("capacity_rss_mib", "  peak memory (RSS)", "MiB", CAPACITY, lambda run: run.cost.peak_rss_mib),
    _metric("capacity_pss_mib", "  memory after it (PSS)", "MiB", CAPACITY, lambda run: run.cost.pss_mib),
    _metric("equal_rate", "equal rate", "messages/s", EQUAL, lambda run: run.seen.messages_per_second),
    _metric("equal_cpu_ms", "  CPU per message", "ms", EQUAL, _cpu),
    _metric("equal_p50_ms", "  end to end p50", "ms", EQUAL, lambda run: run.seen.end_to_end.p50),
    _metric("equal_p99_ms", "  end to end p99", "ms", EQUAL, lambda run: run.seen.end_to_end.p99),
    _metric("half_rate", "half of its capacity", "messages/s", HALF, lambda run: run.seen.messages_per_second),
    _metric("half_cpu_ms", "  CPU per message", "ms", HALF, _cpu),
    _metric("half_ack_p50_ms", "  answer p50", "ms", HALF, lambda run: run.seen.ack.p50),
    _metric("half_ack_p99_ms", "  answer p99", "ms", HALF, lambda run: run.seen.ack.p99),
    _metric("half_p50_ms", "  end to end p50", "ms", HALF, lambda run: run.seen.end_to_end.p50),
    _metric("half_p99_ms", "  end to end p99", "ms", HALF, lambda run: run.seen.end_to_end.p99),
    Metric(name="ready_seconds", title="start to ready", unit="s", read=lambda run: run.ready_seconds),
)


class Target(Struct, frozen=True, kw_only=True):
    """A promise: `metric` of `ours`, divided by that of `other` unless that is None, at least or at most `bound`."""

    title: str
    metric: str
    ours: str
    other: str | None
    bound: float | None = None
    at_least: bool = True


TARGETS = (
    Target(title="messages/s", metric="capacity_rate", ours="tellwire", other="user-built", bound=15),
    Target(title="messages/s", metric="capacity_rate", ours="tellwire", other="bare", bound=0.7),
    Target(
        title="CPU at equal rate",
        metric="equal_cpu_ms",
        ours="tellwire",
        other="user-built",
        bound=1 / 8,
        at_least=False,
    ),
    Target(title="CPU at equal rate", metric="equal_cpu_ms", ours="tellwire", other="bare"),
    Target(
        title="half capacity, answer p99 ms",
        metric="half_ack_p99_ms",
        ours="tellwire",
        other=None,
        bound=25,
        at_least=False,
    ),
    Target(
        title="half capacity, end to end p99 ms",
        metric="half_p99_ms",
        ours="tellwire",
        other=None,
        bound=50,
        at_least=False,
    ),
    Target(title="messages/s", metric="capacity_rate", ours="bare", other="user-built"),
    Target(title="CPU at equal rate", metric="equal_cpu_ms", ours="bare", other="user-built"),
)


def medians(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """System → metric → median over the rounds, metrics that no run has left out."""
    return {
        system: {
            metric.name: statistics.median(values)
            for metric in METRICS
            if (values := [value for run in runs if run.system == system and (value := metric.read(run)) is not None])
        }
        for system in dict.fromkeys(run.system for run in runs)
    }


def claims(runs: Sequence[Run]) -> list[Claim]:
    """What TARGETS says of these runs; a target whose systems or phases were left out makes no claim."""
    middle = medians(runs)
    made = []
    for target in TARGETS:
        value = _compared(target, lambda system, metric: middle.get(system, {}).get(metric))
        if value is None:
            continue
        each = [
            found for number in {run.round for run in runs} if (found := _in_round(target, runs, number)) is not None
        ]
        made.append(_claim(target, value, each))
    return made


def doubts(machine: Machine, runs: Sequence[Run], rounds: int) -> list[str]:
    """Everything that speaks against trusting the figures, in plain words."""
    found = list(machine.doubts)
    if rounds < ENOUGH_ROUNDS:
        found.append(f"{rounds} round(s): a claim needs {ENOUGH_ROUNDS}")
    for run in runs:
        for name, phase in run.phases.items():
            if not phase.seen.whole or phase.seen.duplicates:
                found.append(f"round {run.round}, {run.system}, {name}: {_fault(phase.seen)}")
    return found


def table(runs: Sequence[Run], made: Sequence[Claim]) -> str:
    """Medians as a table of systems, then the claims, as plain text."""
    middle = medians(runs)
    lines = ["".join([f"{'median':<24}{'':<12}", *(f"{system:>14}" for system in middle)])]
    for metric in METRICS:
        values = [middle[system].get(metric.name) for system in middle]
        if any(value is not None for value in values):
            shown = (f"{'-' if value is None else number(value):>14}" for value in values)
            lines.append("".join([f"{metric.title:<24}{metric.unit:<12}", *shown]))
    lines.append("")
    for claim in made:
        verdict = {None: "", True: "  met", False: "  MISSED"}[claim.met]
        spread = f"[{number(claim.lowest)} … {number(claim.highest)}]"
        lines.append(f"{claim.title:<52}{number(claim.value):>10}  {spread:<20}{claim.target}{verdict}")
    return "\n".join(lines)


def number(value: float) -> str:
    """`value` with three significant digits, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _compared(target: Target, read: Callable[[str, str], float | None]) -> float | None:
    ours = read(target.ours, target.metric)
    if ours is None or target.other is None:
        return ours
    other = read(target.other, target.metric)
    return ours / other if other else None


def _in_round(target: Target, runs: Sequence[Run], which: int) -> float | None:
    metric = next(metric for metric in METRICS if metric.name == target.metric)
    by_system = {run.system: run for run in runs if run.round == which}
    return _compared(target, lambda system, _: metric.read(by_system[system]) if system in by_system else None)


def _claim(target: Target, value: float, each: Sequence[float]) -> Claim:
    met = None
    if target.bound is not None:
        met = value >= target.bound if target.at_least else value <= target.bound
    ratio = f"{target.ours} / {target.other}" if target.other is not None else target.ours
    return Claim(
        title=f"{target.title}, {ratio}",
        value=round(value, 4),
        lowest=round(min(each, default=value), 4),
        highest=round(max(each, default=value), 4),
        target="" if target.bound is None else f"{'≥' if target.at_least else '≤'} {target.bound:g}",
        met=met,
    )


def _fault(seen: PhaseResult) -> str:
    counts = {
        "refused": seen.refused,
        "lost": seen.lost,
        "duplicates": seen.duplicates,
        "bad signatures": seen.signatures_bad,
        "out of order": seen.reordered,
    }
    return ", ".join([*(f"{count} {what}" for what, count in counts.items() if count), *seen.trouble])
