"""Medians, ratios, verdicts, table and picture of made-up runs."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from bench.machine import Machine
from bench.phase import Phase
from bench.picture import draw
from bench.protocol import PhaseResult
from bench.report import CAPACITY, EQUAL, PhaseRun, Report, Run, Usage, claims, doubts, medians, number, table

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


def _seen(rate: float) -> PhaseResult:
    phase = Phase(first=1, count=1, contacts=1)
    phase.sent[0] = 0.0
    phase.accept(1, 0.5 / rate)
    phase.arrive(1, 1 / rate, b"", b"")
    return phase.result(secret="whsec_", cpu_seconds=0)


def _run(number: int, system: str, rate: float, cpu: float) -> Run:
    cost = Usage(cpu_seconds=1, peak_rss_mib=50, pss_mib=40)
    phase = PhaseRun(seen=_seen(rate), cost=cost, cpu_ms_per_message=cpu)
    return Run(round=number, system=system, ready_seconds=1, phases={CAPACITY: phase, EQUAL: phase})


RUNS = [
    _run(1, "user-built", 100, 20),
    _run(1, "tellwire", 1000, 2),
    _run(2, "user-built", 90, 20),
    _run(2, "tellwire", 1800, 1),
    _run(3, "user-built", 110, 20),
    _run(3, "tellwire", 1600, 3),
]


def test_medians() -> None:
    found = medians(RUNS)
    assert list(found) == ["user-built", "tellwire"]
    assert found["user-built"]["capacity_rate"] == 100
    assert found["tellwire"]["equal_cpu_ms"] == 2
    assert "half_rate" not in found["tellwire"]


def test_claims_are_ratios_of_medians_with_the_spread_of_the_rounds() -> None:
    rate, cpu = claims(RUNS)
    assert (rate.title, rate.value, rate.met) == ("messages/s, tellwire / user-built", 16, True)
    assert (rate.lowest, rate.highest) == (10, 20)
    assert (cpu.value, cpu.met) == (0.1, True)


def test_a_missed_target_says_so() -> None:
    slow = [_run(1, "user-built", 100, 20), _run(1, "tellwire", 1000, 20)]
    assert [claim.met for claim in claims(slow)] == [False, False]
    assert "MISSED" in table(slow, claims(slow))


def test_doubts() -> None:
    assert doubts(MACHINE, RUNS, 3) == []
    assert any("needs 3" in doubt for doubt in doubts(MACHINE, RUNS, 2))


def test_the_picture_is_one_well_formed_svg_with_every_figure() -> None:
    report = Report(
        scenario="end-to-end",
        started_at="2026-01-01T00:00:00+00:00",
        seconds=1,
        machine=MACHINE,
        options={"rounds": 3, "equal_rate": 40.0, "messages": 1, "connections": 1, "contacts": 1},
        medians=medians(RUNS),
        claims=claims(RUNS),
        doubts=["a < b"],
        runs=RUNS,
    )
    root = ET.fromstring(draw(report))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert number(1600) in texts
    assert "16.0×" in texts
    assert "Careful: a < b" in texts
    assert any(text is not None and "a <fast> & good one" in text for text in texts)


def test_numbers_have_three_digits() -> None:
    shown = [number(value) for value in (0.0587, 1.234, 12.34, 123.4, 12345)]
    assert shown == ["0.059", "1.23", "12.3", "123", "12\N{NO-BREAK SPACE}345"]
