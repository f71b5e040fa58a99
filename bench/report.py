"""PURE. Compute what the runs of a scenario show: medians, ratios within one run, claims, and a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from bench.machine import Machine
from bench.protocol import PhaseResult

ENOUGH_ROUNDS = 3


class Usage(Struct, frozen=True):
    """CPU time in seconds, user and system; memory in MiB; bytes of write calls in KiB (Linux, else 0).

    RSS counts a shared page in every process that maps it, and is the peak of samples; PSS (Linux, else 0) counts
    it once, and is the state at the end.
    """

    cpu_seconds: float
    peak_rss_mib: float
    pss_mib: float
    written_kib: float = 0.0


class PhaseRun(Struct, frozen=True, kw_only=True):
    """A phase as the driver saw it and what it cost the system."""

    seen: PhaseResult
    cost: Usage
    cpu_ms_per_message: float
    written_kib_per_message: float = 0.0


class Case(Struct, frozen=True):
    """A column of a scenario: a system, or a state of Tellwire."""

    name: str
    title: str
    tone: Literal["ours", "peer", "plain"] = "ours"


class Metric(Struct, frozen=True):
    """A figure of a run. `panel` is its title in the picture, "" if it is only in the table."""

    name: str
    title: str
    unit: str
    panel: str = ""
    better: Literal["longer is better", "shorter is better"] = "shorter is better"


class Target(Struct, frozen=True, kw_only=True):
    """A promise: the `metric` of the case `ours`, divided by that of `other` if there is one, is within the bounds."""

    title: str
    metric: str
    ours: str
    other: str | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def words(self) -> str:
        """Return the bounds as text, "" for a figure that promises nothing."""
        bounds = (("≥", self.at_least), ("≤", self.at_most))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    def met_by(self, value: float) -> bool | None:
        """Return whether a value meets the target; None when nothing is promised."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


class Study(Struct, frozen=True, kw_only=True):
    """What a scenario compares and promises. `reference` is the case that is 1× in the picture, "" for none."""

    title: str
    cases: list[Case]
    metrics: list[Metric]
    targets: list[Target]
    reference: str = ""
    enough_rounds: int = ENOUGH_ROUNDS


class Run(Struct, frozen=True, kw_only=True):
    """One case in one round. `troubles`: its problems in words; a run with any is not whole."""

    round: int
    case: str
    figures: dict[str, float]
    phases: dict[str, PhaseRun] = {}
    troubles: list[str] = []
    more: dict[str, object] = {}


class Claim(Struct, frozen=True, kw_only=True):
    """A figure with its target: the ratio of medians (or the median), its spread over the rounds, and whether it is
    met."""

    title: str
    value: float
    lowest: float
    highest: float
    target: str
    met: bool | None


class Report(Struct, frozen=True, kw_only=True):
    """Everything that a scenario found, as its JSON file holds it."""

    scenario: str
    study: Study
    started_at: str
    seconds: float
    machine: Machine
    options: dict[str, object]
    medians: dict[str, dict[str, float]]
    claims: list[Claim]
    doubts: list[str]
    runs: list[Run]


def medians(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Return, by case and metric, the median over the rounds that have the metric."""
    found: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for name, value in run.figures.items():
            found.setdefault(run.case, {}).setdefault(name, []).append(value)
    return {
        case: {name: statistics.median(values) for name, values in figures.items()} for case, figures in found.items()
    }


def claims(targets: Sequence[Target], runs: Sequence[Run]) -> list[Claim]:
    """Return a claim for each target; none for a target whose cases or figures are missing."""
    middle = medians(runs)
    rounds = sorted({run.round for run in runs})
    made = []
    for target in targets:
        value = _compared(target, middle)
        if value is None:
            continue
        each = [
            found
            for number in rounds
            if (found := _compared(target, {run.case: run.figures for run in runs if run.round == number})) is not None
        ]
        made.append(_claim(target, value, each))
    return made


def doubts(machine: Machine, runs: Sequence[Run], *, rounds: int, enough: int = ENOUGH_ROUNDS) -> list[str]:
    """Return every reason to doubt the figures, in words."""
    found = list(machine.doubts)
    if rounds < enough:
        found.append(f"{rounds} round(s): a claim needs {enough}")
    found += [f"round {run.round}, {run.case}: {trouble}" for run in runs for trouble in run.troubles]
    return found


def fault(seen: PhaseResult) -> str:
    """Return the problems of a phase in words; "" for none."""
    counts = {
        "refused": seen.refused,
        "lost": seen.lost,
        "duplicates": seen.duplicates,
        "bad signatures": seen.signatures_bad,
        "out of order": seen.reordered,
    }
    return ", ".join([*(f"{count} {what}" for what, count in counts.items() if count), *seen.trouble])


def table(study: Study, runs: Sequence[Run], made: Sequence[Claim]) -> str:
    """Return the medians as a table of cases, then the claims, as plain text."""
    middle = medians(runs)
    shown = [case for case in study.cases if case.name in middle]
    wide = max([14, *(len(case.name) + 2 for case in shown)])
    lines = ["".join([f"{'median':<28}{'':<12}", *(f"{case.name:>{wide}}" for case in shown)])]
    for metric in study.metrics:
        values = [middle[case.name].get(metric.name) for case in shown]
        if any(value is not None for value in values):
            texts = (f"{'-' if value is None else number(value):>{wide}}" for value in values)
            lines.append("".join([f"{metric.title:<28}{metric.unit:<12}", *texts]))
    lines.append("")
    for claim in made:
        verdict = {None: "", True: "  met", False: "  MISSED"}[claim.met]
        spread = f"[{number(claim.lowest)} … {number(claim.highest)}]"
        lines.append(f"{claim.title:<60}{number(claim.value):>10}  {spread:<20}{claim.target}{verdict}")
    return "\n".join(lines)


def number(value: float) -> str:
    """Return `value` with three significant digits and separated thousands."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def percentile(spans: Sequence[float], share: float) -> float:
    """Return the percentile of `spans` by nearest rank (`share` of 1), 0 for no spans."""
    ordered = sorted(spans)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def flat(metric: str, title: str, cases: Sequence[str], *, at_most: float = 1.2) -> list[Target]:
    """Return targets: the metric grows from the first case to each other case by no more than the factor `at_most`."""
    first, *others = cases
    return [Target(title=title, metric=metric, ours=case, other=first, at_most=at_most) for case in others]


def _compared(target: Target, figures: Mapping[str, Mapping[str, float]]) -> float | None:
    read: Callable[[str], float | None] = lambda case: figures.get(case, {}).get(target.metric)  # noqa: E731
    ours = read(target.ours)
    if ours is None or target.other is None:
        return ours
    other = read(target.other)
    return ours / other if other else None


def _claim(target: Target, value: float, each: Sequence[float]) -> Claim:
    subject = target.ours if target.other is None else f"{target.ours} / {target.other}"
    return Claim(
        title=f"{target.title}, {subject}",
        value=round(value, 4),
        lowest=round(min(each, default=value), 4),
        highest=round(max(each, default=value), 4),
        target=target.words,
        met=target.met_by(value),
    )
