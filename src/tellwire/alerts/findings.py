"""PURE. Findings: lines of the verdict over time, with what was told of them, and the channels that tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tellwire.model.units import HOUR, MINUTE, Micros
from tellwire.verdict.rules import Line, Severity

STORE_FAILING = "store_failing"
CHANNELS_FAILING = "alerts_failing"
ABSENT: Micros = MINUTE
"""A finding is over when no process has had it for so long; each says every 15 s what it has."""
_FORGOTTEN = frozenset({"app_secret_missing", "app_secret_wrong", "verify_token_wrong", "clock_off", "number_silent"})
"""Kinds that a process knows from what it saw since its start: one that starts has none of them for up to an hour."""

ChannelName = Literal["webhook", "slack", "mail"]
Key = tuple[str, str]
"""The organization and the name of a finding."""


class Told(Struct, frozen=True, kw_only=True):
    """What was last told of a finding through a channel, at `at`.

    `begun_at` says of which time that it stood, `came_at` when it was told to have come. `kind` and `severity` are as
    told; both are "" once it was told to be over.
    """

    begun_at: Micros
    came_at: Micros
    at: Micros
    kind: str = ""
    severity: Severity | Literal[""] = ""


class Finding(Struct, frozen=True, kw_only=True):
    """Something that does not work, or did not: `line` is the verdict's as last seen, `name` tells it from others.

    It began at `begun_at`, a process last had it at `seen_at`, one that had it said at `gone_at` that it has it no more
    (0: none did), and it is over since `over_at` (0: it stands). `told` is by channel.
    """

    line: Line
    name: str
    begun_at: Micros
    seen_at: Micros
    gone_at: Micros = 0
    over_at: Micros = 0
    told: Mapping[str, Told] = {}

    @property
    def key(self) -> Key:
        """What makes two findings the same."""
        return self.line.organization_id, self.name


class Channel(Struct, frozen=True, kw_only=True):
    """How it goes with a channel: set since `since`, its last alert taken at `sent_at`.

    `failing_since`, `attempts` and `cause` tell of tries that failed since the last that did not, `retry_at` when the
    next is due; 0 and "" for none.
    """

    name: str
    since: Micros
    sent_at: Micros = 0
    failing_since: Micros = 0
    attempts: int = 0
    retry_at: Micros = 0
    cause: str = ""


def name_of(line: Line) -> str:
    """Return what a line's finding is called. An endpoint has one whatever its kind: it falls behind, fails and is
    disabled one after the other."""
    if line.endpoint_id:
        return f"endpoint.{line.endpoint_id}"
    return f"{line.kind}.{line.phone_number_id}" if line.phone_number_id else line.kind


def by_key(lines: Iterable[Line]) -> dict[Key, Line]:
    """Return lines by the key of their finding; of several the causes are joined, and the gravest severity counts."""
    found: dict[Key, Line] = {}
    for line in lines:
        key = line.organization_id, name_of(line)
        first = found.get(key)
        if first is None:
            found[key] = line
        elif line.cause not in first.cause:
            severity = max(first.severity, line.severity, key=GRAVITY.index)
            found[key] = replace(first, cause=f"{first.cause} {line.cause}", own_severity=severity)
    return found


GRAVITY: tuple[str, ...] = ("", "warning", "critical")
"""Severities from none to the gravest."""


def is_over(finding: Finding, now: Micros, up_since: Micros) -> bool:
    """Return whether a finding that stands is over, as seen by a process that began at `up_since`."""
    if finding.gone_at:
        return now - finding.gone_at >= ABSENT
    patience = HOUR + ABSENT if finding.line.kind in _FORGOTTEN else ABSENT
    return now - max(finding.seen_at, up_since) >= patience
