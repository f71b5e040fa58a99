"""Make the page of the results from the JSON files of `bench/results`: `python -m bench page`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import msgspec

from bench.environment import ROOT
from bench.options import SCENARIOS, Options
from bench.report import Claim, Report, number

PAGE = ROOT / "docs" / "reference" / "performance.md"
RESULTS = ROOT / "bench" / "results"

_PREFACE = """\
<!-- Made from bench/results by `python -m bench page`; a test compares them. -->
# Performance

What was measured, on which machine, and what was promised. Each table is one command, and stands here as it was
printed, a missed target included.

## How it is measured

- Real sockets over loopback, real processes, fsync before every 200. Nothing is simulated but Meta and the subscribers.
- The load, the system and the subscribers share one machine, so absolute figures say little. What counts is the
  **ratio of two cases of one run**: the cases take turns (A B A B …), and the ratio is that of the medians, with the
  lowest and the highest of the rounds beside it.
- CPU is user and system time of the product's processes. Memory (RSS) is the peak of samples. "Written" is what
  the processes' write calls add up to: write-ahead log, pages, checkpoints, and about 3 KB of HTTP a message.
- On PostgreSQL the CPU and the writes of its server count as Tellwire's, its memory does not.
- At a fixed rate a message counts from when it was due, so that a system that falls behind is charged for it.
- Stored history is made by a filler on the product's own schema and records, with ids of messages that fall all over
  their index; its texts are short (60 letters). The load's are long (about 1 KB a POST).
- A run that lost, refused, garbled or reordered a message does not count, whatever its figures. "Careful" lines are
  what the benchmark itself says against trusting a run.

How to repeat it, and how it works inside, stands in [bench/README.md](../../bench/README.md).
"""


def made() -> str:
    """Return the page of the results that exist."""
    parts = [_PREFACE]
    paths = (RESULTS / f"{name}{store}.json" for name in SCENARIOS for store in ("", "-postgresql"))
    parts += [_section(path) for path in paths if path.is_file()]
    return "\n".join(parts)


def run(options: Options) -> int:
    """Write the page; return 0."""
    del options
    PAGE.write_text(made())
    print(PAGE.relative_to(ROOT))
    return 0


def command(name: str, report: Report) -> str:
    """Return the command line that made a result: the scenario with the options that are not its defaults."""
    usual = asdict(Options(scenario=name, **SCENARIOS[name].defaults))  # type: ignore[arg-type]  # rows of a table
    given = [
        f"--{option.replace('_', '-')} {_given(value)}"
        for option, value in report.options.items()
        if option in usual and _given(value) != _given(usual[option])
    ]
    return " ".join(["python -m bench", name, *given])


def _given(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _section(path: Path) -> str:
    return "\n".join(_lines(path, msgspec.json.decode(path.read_bytes(), type=Report)))


def _lines(path: Path, report: Report) -> Iterator[str]:
    machine, name = report.machine, report.scenario
    store = ", on PostgreSQL" if report.options.get("database") == "postgresql" else ""
    yield f"## {report.study.title}{store}\n"
    yield f"`{command(name, report)}`: {SCENARIOS[name].about}. {_shape(report)}\n"
    yield from _medians(report)
    yield ""
    if report.claims:
        yield "| promised | measured | rounds | target | |"
        yield "|---|---:|---|---|---|"
        yield from map(_claim, report.claims)
        yield ""
    yield (
        f"{report.started_at[:10]}, {machine.processor}, {machine.cores} cores, {machine.memory_gib:g} GiB,"
        f" {machine.system} {machine.kernel}, {machine.python}, {machine.filesystem} with an fsync of"
        f" {machine.fsync_ms:g} ms; {machine.commit}.\n"
    )
    if report.doubts:
        yield "".join(f"- Careful: {doubt}.\n" for doubt in report.doubts)
    if path.with_suffix(".svg").is_file():
        yield f"![{report.study.title}](../../bench/results/{path.stem}.svg)\n"


def _medians(report: Report) -> Iterator[str]:
    cases = [case for case in report.study.cases if case.name in report.medians]
    yield f"| median | | {' | '.join(case.title for case in cases)} |"
    yield f"|---|---|{'---:|' * len(cases)}"
    for metric in report.study.metrics:
        values = [report.medians[case.name].get(metric.name) for case in cases]
        if any(value is not None for value in values):
            shown = " | ".join("" if value is None else number(value) for value in values)
            title = f"· {metric.title.strip()}" if metric.title.startswith(" ") else metric.title
            yield f"| {title} | {metric.unit} | {shown} |"


def _claim(claim: Claim) -> str:
    verdict = {None: "", True: "met", False: "**missed**"}[claim.met]
    spread = f"{number(claim.lowest)} … {number(claim.highest)}"
    return f"| {claim.title} | {number(claim.value)} | {spread} | {claim.target} | {verdict} |"


def _shape(report: Report) -> str:
    rounds = report.options.get("rounds")
    minutes = report.seconds / 60
    return f"{rounds} round{'s' if rounds != 1 else ''}, {minutes:.0f} min." if minutes >= 1 else f"{rounds} round(s)."
