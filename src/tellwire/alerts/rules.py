"""PURE. What is to be told through a channel now, and what was told once it has taken it.

The rules compare how things are with what the channel was last told. So nothing is queued: a channel that was down for
a day is told what counts by then, and a process that starts goes on where the last one stopped.

Source: docs/how-to/alerts.md, "When an alert comes".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tellwire.alerts.findings import CHANNELS_FAILING, GRAVITY, Channel, Finding, Told
from tellwire.model.units import MINUTE, Micros, micros
from tellwire.verdict.rules import Severity

FLAPPING: Micros = 15 * MINUTE
"""A finding that comes and goes is told to have come once in so long."""
TOGETHER: Micros = MINUTE
"""Between two messages of a channel; what comes meanwhile shares the next."""
_FIRST_RETRY, _LAST_RETRY = 15.0, 900.0

What = Literal["came", "changed", "stands", "over", "was"]
"""What is told of a finding; `was`: it came and went while the channel could not be reached."""


class Thresholds(Struct, frozen=True, kw_only=True):
    """When to tell: a finding that has stood for `after`, again every `repeat` (0: never), from this severity on."""

    after: Micros
    repeat: Micros
    severity: Severity


class Item(Struct, frozen=True):
    """Something to tell of a finding."""

    what: What
    finding: Finding


def due(findings: Iterable[Finding], channel: Channel, limits: Thresholds, now: Micros) -> list[Item]:
    """Return what is to be told through a channel, the gravest first; it may have to wait (`may_tell`)."""
    items: list[Item] = []
    reminders: list[Finding] = []
    overdue = False
    for finding in findings:
        what = _news(finding, channel, limits, now)
        if what is not None:
            items.append(Item(what, finding))
        elif since := _untold_for(finding, channel, limits, now):
            overdue = overdue or since >= limits.repeat
            if since >= limits.repeat // 2:
                reminders.append(finding)
    if overdue:  # one message a day about all, not one for each at its own time
        items += [Item("stands", finding) for finding in reminders]
    return sorted(items, key=_order)


def _news(finding: Finding, channel: Channel, limits: Thresholds, now: Micros) -> What | None:
    told, severity = finding.told.get(channel.name), finding.line.severity
    known = told if told is not None and told.severity else None
    grave = GRAVITY.index(severity) >= GRAVITY.index(limits.severity)
    if known is not None:
        if finding.over_at:
            return "over"
        if GRAVITY.index(severity) > GRAVITY.index(known.severity):
            return "changed"
        # One that eases is told with its next reminder: processes that see it differently would take turns.
        return "changed" if finding.line.kind != known.kind and now - known.at >= FLAPPING else None
    lasted = (finding.over_at or now) - finding.begun_at
    flaps = told is not None and (finding.over_at or now) - told.came_at < FLAPPING
    if not grave or flaps or lasted < limits.after:
        return None
    if not finding.over_at:
        return "came"
    news = told is None or told.begun_at < finding.begun_at
    return "was" if news and finding.over_at > channel.since and finding.line.kind != CHANNELS_FAILING else None


def _untold_for(finding: Finding, channel: Channel, limits: Thresholds, now: Micros) -> Micros:
    """Return since when a finding that stands was not told, if it is to be told again at all."""
    told = finding.told.get(channel.name)
    grave = GRAVITY.index(finding.line.severity) >= GRAVITY.index(limits.severity)
    if not limits.repeat or finding.over_at or not grave or told is None or not told.severity:
        return 0
    return now - told.at


def _order(item: Item) -> tuple[int, int, Micros, tuple[str, str]]:
    ends = item.what in {"over", "was"}
    return int(ends), -GRAVITY.index(item.finding.line.severity), item.finding.begun_at, item.finding.key


def may_tell(channel: Channel, now: Micros) -> bool:
    """Return whether a channel may be given a message now."""
    waits = 0 < channel.retry_at - now <= micros(_LAST_RETRY)  # more, when our clock was set back
    return not waits and not 0 <= now - channel.sent_at < TOGETHER


def told(item: Item, channel: Channel, now: Micros) -> Finding:
    """Return a finding once the channel has taken what was to be told of it."""
    finding, line = item.finding, item.finding.line
    before = finding.told.get(channel.name)
    came = now if before is None or item.what in {"came", "was"} else before.came_at
    ends = item.what in {"over", "was"}
    record = Told(
        begun_at=finding.begun_at,
        came_at=came,
        at=now,
        kind="" if ends else line.kind,
        severity="" if ends else line.severity,
    )
    return replace(finding, told={**finding.told, channel.name: record})


def taken(channel: Channel, now: Micros) -> Channel:
    """Return a channel that has taken a message."""
    return Channel(name=channel.name, since=channel.since, sent_at=now)


def failed(channel: Channel, cause: str, now: Micros) -> Channel:
    """Return a channel that has not: the pause before the next try doubles up to a quarter of an hour."""
    pause = min(_FIRST_RETRY * 2 ** min(channel.attempts, 10), _LAST_RETRY)
    return replace(
        channel,
        failing_since=channel.failing_since or now,
        attempts=channel.attempts + 1,
        retry_at=now + micros(pause),
        cause=cause,
    )


def message_id(channel: Channel, items: Sequence[Item]) -> str:
    """Return the id of a message: the same for the same news, so that a receiver knows what it has got already."""
    digest = hashlib.sha256(channel.name.encode())
    for item in items:
        finding = item.finding
        before = finding.told.get(channel.name)
        news = (item.what, *finding.key, finding.line.severity, finding.begun_at, before.at if before else 0)
        digest.update(repr(news).encode())
    return f"alert_{digest.hexdigest()[:32]}"
