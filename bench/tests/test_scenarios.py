"""Scenarios: what they promise is about what they measure; and a tiny run of each kind, over real processes."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest
from bench import page
from bench.options import SCENARIOS, Options, parse
from bench.report import Report, Study
from bench.scenarios import (
    burst,
    end_to_end,
    endpoints,
    failing,
    growth,
    isolation,
    many,
    memory,
    parked,
    retry_storm,
    start,
)
from bench.sizes import powers, words
from msgspec.json import decode
from msgspec.structs import replace

STUDIES = {
    "many": many.study_of(2),
    "isolation": isolation.STUDY,
    "failing": failing.STUDY,
    "retry-storm": retry_storm.STUDY,
    "endpoints": endpoints.study_of([1, 10, 10_000]),
    "parked": parked.study_of(1_000_000),
    "growth": growth.study_of([10_000, 1_000_000, 5_000_000]),
    "start": start.study_of([10_000, 1_000_000]),
    "burst": burst.study_of([100, 1000, 2000]),
    "memory": memory.study_of(1_000_000),
    "end-to-end": Study(
        title="", cases=list(end_to_end.CASES.values()), metrics=end_to_end.METRICS, targets=end_to_end.TARGETS
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_promises_what_it_measures(name: str) -> None:
    assert callable(import_module(SCENARIOS[name].module).run)
    if name == "page":
        return
    study = STUDIES[name]
    cases, metrics = {case.name for case in study.cases}, {metric.name for metric in study.metrics}
    assert study.targets
    for target in study.targets:
        assert target.metric in metrics
        assert {target.ours, target.other or target.ours} <= cases
    assert study.reference in {"", *cases}


def _tiny(name: str, tmp_path: Path, **changed: object) -> Options:
    given = {"rounds": 1, "messages": 20, "contacts": 20, "connections": 4, "seconds": 0.4, "limit_seconds": 20.0}
    paths = {"json": tmp_path / f"{name}.json", "folder": tmp_path, "tellwire_python": Path(sys.executable)}
    return Options(scenario=name, **(given | paths | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "changed", "figure"),
    [
        ("isolation", {}, "flood_p99_ms"),
        ("retry-storm", {"events": 50}, "stormed"),
        ("burst", {"events": 30, "messages": 2}, "ack_ms"),
    ],
)
def test_a_tiny_run(
    name: str, changed: dict[str, object], figure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = _tiny(name, tmp_path, **changed)
    assert import_module(SCENARIOS[name].module).run(options) == 0
    report = decode(options.json.read_bytes(), type=Report)
    assert {run.case for run in report.runs} == {case.name for case in report.study.cases}
    assert figure in report.medians[report.study.cases[-1].name]
    assert report.claims
    assert report.claims[0].title in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.json", f"{name}.svg"], "folders are removed"


def test_a_straight_line_through_the_memory() -> None:
    assert memory.slope([(0, 100), (10, 105), (20, 110)]) == pytest.approx(0.5)
    assert memory.slope([(0, 100)]) == 0


def test_sizes() -> None:
    assert powers(1, 10_000) == [1, 10, 100, 1000, 10_000]
    assert powers(10_000, 5_000_000) == [10_000, 100_000, 1_000_000, 5_000_000]
    assert powers(10_000, 10_000) == [10_000]
    assert [words(size) for size in (1, 100, 10_000, 1_000_000, 1_500_000)] == ["1", "100", "10 k", "1 M", "1.5 M"]


def test_a_scenarios_own_defaults_give_way_to_what_is_asked_for() -> None:
    assert parse(["retry-storm"]).events == 100_000
    assert parse(["retry-storm", "--events", "5"]).events == 5
    assert parse(["growth"]).json == Path("bench/results/growth.json")
    assert parse(["end-to-end", "--systems", "tellwire,bare"]).systems == ("bare", "tellwire")
    with pytest.raises(SystemExit):
        parse(["end-to-end", "--rounds", "0"])


def test_the_page_shows_the_command_of_a_result() -> None:
    report = decode((page.RESULTS / "end-to-end.json").read_bytes(), type=Report)
    options = {"rounds": 3, "messages": 3000, "contacts": 5000, "systems": ["bare", "tellwire"], "gone": 1}
    changed = replace(report, options=options)
    assert page.command("end-to-end", changed) == "python -m bench end-to-end --messages 3000 --systems bare,tellwire"
    assert page.command("end-to-end", report).startswith("python -m bench end-to-end")
