"""Charts: every value has its bar, to scale, inside the picture."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tellwire.web.console.bar_chart import HEIGHT, WIDTH, bars

COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=60)
BAR = re.compile(r"M([\d.]+) ([\d.]+)h([\d.]+)v(-?[\d.]+)h-[\d.]+z")


def heights(path: str) -> list[float]:
    assert BAR.sub("", path) == "", "a path holds bars and nothing else"
    return [float(height) for _, _, _, height in BAR.findall(path)]


@given(COUNTS, st.booleans(), st.data())
def test_bars_stay_inside_and_none_is_lost(above: list[int], failing: bool, data: st.DataObject) -> None:
    below = data.draw(st.lists(st.integers(0, 10**9), min_size=len(above), max_size=len(above))) if failing else []
    chart = bars(above, below)
    up, down = heights(chart.above), heights(chart.below)
    assert (len(up), len(down)) == (sum(map(bool, above)), sum(map(bool, below)))
    assert all(-chart.line - 1.6 <= each <= -1.5 for each in up)
    assert all(1.5 <= each <= HEIGHT - chart.line + 1.6 for each in down)
    assert all(float(x) + float(width) <= WIDTH for x, _, width, _ in BAR.findall(chart.above + chart.below))
    assert (chart.total, chart.total_below, chart.most) == (sum(above), sum(below), max(above))


def test_a_bar_is_as_high_as_its_share() -> None:
    chart = bars([10, 20, 0, 40])
    assert heights(chart.above) == [-16.0, -32.0, -64.0]
    assert (chart.line, chart.below) == (HEIGHT, "")


def test_nothing_is_an_empty_chart() -> None:
    assert (bars([]).above, bars([0, 0]).above, bars([0]).line) == ("", "", HEIGHT)
