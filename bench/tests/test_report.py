"""Medians, ratios, verdicts, table and picture of made-up runs."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from bench.machine import Machine
from bench.phase import Phase
from bench.picture import draw
from bench.report import (
    Case,
    Metric,
    Report,
    Run,
    Study,
    Target,
    claims,
    doubts,
    fault,
    flat,
    medians,
    number,
    percentile,
    table,
)

MACHINE = Machine(
    cores=2,
    processor="a <fast> & good one",
    memory_gib=24,
    system="Linux",
    kernel="6",
    python="CPython 3.11",
    filesystem="ext4",
    fsync_ms=1,
    load_before=0,
    commit="abc",
    versions={},
)

STUDY = Study(
    title="One <and> two",
    cases=[Case("peer", "The peer", "peer"), Case("ours", "Ours")],
    metrics=[
        Metric("rate", "capacity", "messages/s", "Messages per second", "longer is better"),
        Metric("cpu", "CPU", "ms", "CPU per message"),
        Metric("missing", "nobody has it", "ms", "Nobody has it"),
    ],
    targets=[
        Target(title="messages/s", metric="rate", ours="ours", other="peer", at_least=15),
        Target(title="CPU", metric="cpu", ours="ours", other="peer", at_most=0.125),
        Target(title="nobody has it", metric="missing", ours="ours"),
    ],
    reference="peer",
)


def _run(which: int, case: str, rate: float, cpu: float) -> Run:
    return Run(round=which, case=case, figures={"rate": rate, "cpu": cpu})


RUNS = [
    _run(1, "peer", 100, 20),
    _run(1, "ours", 1000, 2),
    _run(2, "peer", 90, 20),
    _run(2, "ours", 1800, 1),
    _run(3, "peer", 110, 20),
    _run(3, "ours", 1600, 3),
]


def test_medians() -> None:
    found = medians(RUNS)
    assert list(found) == ["peer", "ours"]
    assert found["peer"]["rate"] == 100
    assert found["ours"]["cpu"] == 2


def test_claims_are_ratios_of_medians_with_the_spread_of_the_rounds() -> None:
    rate, cpu = claims(STUDY.targets, RUNS)
    assert (rate.title, rate.value, rate.met, rate.target) == ("messages/s, ours / peer", 16, True, "≥ 15")
    assert (rate.lowest, rate.highest) == (10, 20)
    assert (cpu.value, cpu.met, cpu.target) == (0.1, True, "≤ 0.125")


def test_a_missed_target_says_so() -> None:
    slow = [_run(1, "peer", 100, 20), _run(1, "ours", 1000, 20)]
    made = claims(STUDY.targets, slow)
    assert [claim.met for claim in made] == [False, False]
    assert "MISSED" in table(STUDY, slow, made)


def test_a_figure_without_a_bound_is_neither_met_nor_missed() -> None:
    [claim] = claims([Target(title="rate", metric="rate", ours="ours")], RUNS)
    assert (claim.value, claim.target, claim.met) == (1600, "", None)


def test_flat_compares_every_case_with_the_first() -> None:
    targets = flat("cpu", "CPU", ["1", "10", "100"])
    runs = [Run(round=1, case=case, figures={"cpu": cpu}) for case, cpu in (("1", 2.0), ("10", 2.2), ("100", 3.0))]
    assert [(claim.title, claim.met) for claim in claims(targets, runs)] == [
        ("CPU, 10 / 1", True),
        ("CPU, 100 / 1", False),
    ]


def test_doubts() -> None:
    assert doubts(MACHINE, RUNS, rounds=3) == []
    assert any("needs 3" in doubt for doubt in doubts(MACHINE, RUNS, rounds=2))
    assert doubts(MACHINE, RUNS, rounds=2, enough=1) == []
    bad = [Run(round=2, case="ours", figures={}, troubles=["capacity: 1 lost"])]
    assert doubts(MACHINE, bad, rounds=3) == ["round 2, ours: capacity: 1 lost"]


def test_the_faults_of_a_phase_in_plain_words() -> None:
    phase = Phase(first=1, count=2, contacts=1)
    phase.send(range(1, 3), 0.0)
    phase.accept(range(1, 2), 0.1)
    phase.refuse("status 503")
    assert fault(phase.result(secret="whsec_", cpu_seconds=0)) == "1 refused, 1 lost, 1 × status 503"


def test_the_picture_is_one_well_formed_svg_with_every_figure() -> None:
    report = Report(
        scenario="one",
        study=STUDY,
        started_at="2026-01-01T00:00:00+00:00",
        seconds=1,
        machine=MACHINE,
        options={"rounds": 3, "messages": 1, "connections": 1, "contacts": 1},
        medians=medians(RUNS),
        claims=claims(STUDY.targets, RUNS),
        doubts=["a < b"],
        runs=RUNS,
    )
    root = ET.fromstring(draw(report))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {number(1600), "16.0×", "One <and> two", "Careful: a < b"} <= set(texts)
    assert "Nobody has it" not in texts
    assert any(text is not None and "a <fast> & good one" in text for text in texts)


def test_numbers_have_three_digits() -> None:
    shown = [number(value) for value in (0.0587, 1.234, 12.34, 123.4, 12345)]
    assert shown == ["0.059", "1.23", "12.3", "123", "12\N{NO-BREAK SPACE}345"]


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)])
def test_percentiles_are_nearest_ranks(share: float, wanted: float) -> None:
    assert percentile(range(100, 0, -1), share) == wanted
    assert percentile([], share) == 0
