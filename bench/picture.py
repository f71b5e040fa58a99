"""PURE. Draw the picture of a report: panels of bars as one SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from bench.report import Case, Claim, Metric, Report, number

_WIDTH = 980
_LEFT, _RIGHT = 32, 32
_NAME_WIDTH, _VALUE_WIDTH = 190, 130
_BAR, _STEP, _HEAD = 26, 36, 58
_INK, _SOFT, _TRACK = "#1a2421", "#5d6b66", "#eef2f0"
_COLOURS = {"ours": "#0b7a5c", "plain": "#8fa39b", "peer": "#c9a35b"}


def draw(report: Report) -> str:
    """Return the SVG of a report."""
    cases = [case for case in report.study.cases if case.name in report.medians]
    shown = [metric for metric in report.study.metrics if metric.panel and _values(metric, cases, report)]
    panel_height = _HEAD + len(cases) * _STEP + 14
    facts = _facts(report)
    height = 92 + len(shown) * panel_height + _claims_height(report.claims) + 22 * len(facts) + 20
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}"'
            ' font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" role="img"'
            f' aria-label="{escape(_summary(report), {chr(34): "&quot;"})}">'
        ),
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(_LEFT, 44, report.study.title, size=24, weight=700),
        _text(_LEFT, 68, _summary(report), size=14, colour=_SOFT),
    ]
    top = 92
    for metric in shown:
        parts.extend(_panel(metric, cases, report, top))
        top += panel_height
    parts.extend(_claims(report.claims, top))
    top += _claims_height(report.claims)
    parts.extend(_text(_LEFT, top + 16 + 22 * at, fact, size=12, colour=_SOFT) for at, fact in enumerate(facts))
    return "\n".join([*parts, "</svg>", ""])


def _values(metric: Metric, cases: Sequence[Case], report: Report) -> dict[str, float]:
    """Return the median of the metric by case, for the cases that have it."""
    return {
        case.name: report.medians[case.name][metric.name] for case in cases if metric.name in report.medians[case.name]
    }


def _panel(metric: Metric, cases: Sequence[Case], report: Report, top: int) -> Iterator[str]:
    values = _values(metric, cases, report)
    reference = values.get(report.study.reference)
    room = _WIDTH - _LEFT - _RIGHT - _NAME_WIDTH - _VALUE_WIDTH
    largest = max(values.values(), default=0) or 1
    yield _text(_LEFT, top + 34, metric.panel, size=16, weight=600)
    yield _text(_WIDTH - _RIGHT, top + 34, metric.better, size=13, colour=_SOFT, anchor="end")
    for at, case in enumerate(case for case in cases if case.name in values):
        value = values[case.name]
        y = top + _HEAD + at * _STEP
        x = _LEFT + _NAME_WIDTH
        width = max(2.0, room * value / largest)
        weight = 700 if case.tone == "ours" else 400
        yield _text(x - 12, y + 18, case.title, size=14, weight=weight, anchor="end")
        yield f'<rect x="{x}" y="{y}" width="{room}" height="{_BAR}" rx="4" fill="{_TRACK}"/>'
        yield f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="4" fill="{_COLOURS[case.tone]}"/>'
        yield _text(x + room + 12, y + 18, number(value), size=14, weight=700)
        if reference and case.name != report.study.reference:
            ratio = f"{number(value / reference)}×"
            yield _text(_WIDTH - _RIGHT, y + 18, ratio, size=13, colour=_SOFT, anchor="end")


def _claims(claims: list[Claim], top: int) -> Iterator[str]:
    if not claims:
        return
    yield f'<line x1="{_LEFT}" y1="{top + 6}" x2="{_WIDTH - _RIGHT}" y2="{top + 6}" stroke="{_TRACK}"/>'
    yield _text(_LEFT, top + 34, "From the medians of this run", size=16, weight=600)
    for at, claim in enumerate(claims):
        y = top + 62 + at * 24
        yield _text(_LEFT, y, claim.title, size=14)
        yield _text(560, y, number(claim.value), size=14, weight=700, anchor="end")
        spread = f"rounds {number(claim.lowest)} to {number(claim.highest)}"
        yield _text(576, y, spread, size=13, colour=_SOFT)
        if claim.met is not None:
            verdict, colour = ("met", _COLOURS["ours"]) if claim.met else ("missed", "#b3261e")
            yield _text(_WIDTH - _RIGHT, y, f"target {claim.target}: {verdict}", size=13, colour=colour, anchor="end")


def _claims_height(claims: list[Claim]) -> int:
    return 70 + 24 * len(claims) if claims else 0


def _summary(report: Report) -> str:
    rounds = report.options.get("rounds")
    return f"Medians of {rounds} round(s), {report.machine.cores} cores for systems, load and subscriber together"


def _facts(report: Report) -> list[str]:
    machine, options = report.machine, report.options
    return [
        (
            f"{machine.processor}, {machine.cores} cores, {machine.memory_gib:g} GiB; {machine.system}"
            f" {machine.kernel}; {machine.python}; {machine.filesystem}, fsync {machine.fsync_ms:g} ms"
        ),
        f"{_shape(options)}fsync before the answer; {report.started_at}; {machine.commit}",
        *(f"Careful: {doubt}" for doubt in report.doubts),
    ]


def _shape(options: Mapping[str, object]) -> str:
    messages, connections, contacts = (options.get(name) for name in ("messages", "connections", "contacts"))
    return f"{messages} messages over {connections} connections, {contacts} contacts warmed; "


def _text(
    x: float, y: float, text: str, *, size: int, weight: int = 400, colour: str = _INK, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{colour}"'
        f' text-anchor="{anchor}">{escape(text)}</text>'
    )
