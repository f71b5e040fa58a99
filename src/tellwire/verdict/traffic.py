"""PURE. How much goes through, and how regularly customers write to a number, so that its silence can be told from a
quiet hour."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from tellwire.model.units import DAY, HOUR, Micros

_LEAST_SILENCE: Micros = 12 * HOUR
_LEAST_HISTORY: Micros = 7 * DAY
"""A number is judged once its weekends are known."""
_LEAST_MESSAGES = 20
_REMEMBERED: Micros = 30 * DAY
"""A gap that is older is replaced by the next one, however short."""


class Traffic(Struct, frozen=True, kw_only=True):
    """The messages that customers sent to a number: the first and the last, how many, and the longest gap of late."""

    organization_id: str
    account_id: str
    messages: int = 0
    first_at: Micros = 0
    last_at: Micros = 0
    longest_gap: Micros = 0
    gap_at: Micros = 0


class Heard(Struct, frozen=True):
    """Messages of a number that one process took since it last wrote this down."""

    messages: int
    first_at: Micros
    last_at: Micros


def merged(known: Traffic, heard: Heard) -> Traffic:
    """Return a number's traffic with new messages."""
    gap = max(0, heard.first_at - known.last_at) if known.last_at else 0
    longest, gap_at = known.longest_gap, known.gap_at
    if gap >= longest or heard.last_at - gap_at > _REMEMBERED:
        longest, gap_at = gap, heard.last_at
    return Traffic(
        organization_id=known.organization_id,
        account_id=known.account_id,
        messages=known.messages + heard.messages,
        first_at=known.first_at or heard.first_at,
        last_at=max(known.last_at, heard.last_at),
        longest_gap=longest,
        gap_at=gap_at,
    )


def silence(known: Traffic, now: Micros, heard_at: Micros = 0) -> Micros:
    """Return for how long a number has been silent if that is unlike it, else 0.

    It is when it has taken twice the longest gap of the last weeks, and half a day at least. A number with little
    history has no rhythm yet, and is never called silent.
    """
    if known.messages < _LEAST_MESSAGES or known.last_at - known.first_at < _LEAST_HISTORY:
        return 0
    lasted = now - max(known.last_at, heard_at)
    return lasted if lasted > max(_LEAST_SILENCE, 2 * known.longest_gap) else 0


class Counts(Struct):
    """What went through: messages that customers sent, attempts that a receiver took and that failed, and messages
    that Meta accepted."""

    received: int = 0
    delivered: int = 0
    failing: int = 0
    sent: int = 0

    def add(self, more: Counts) -> None:
        """Add other counts."""
        self.received += more.received
        self.delivered += more.delivered
        self.failing += more.failing
        self.sent += more.sent


class Tally:
    """What went through one process since it was last written down, by organization."""

    def __init__(self) -> None:
        self._counts: dict[str, Counts] = {}

    def attempted(self, organization_id: str, delivered: int, failing: int) -> None:
        """Count attempts to deliver, of which each is counted once: by its endpoint, where it was made."""
        counts = self._of(organization_id)
        counts.delivered += delivered
        counts.failing += failing

    def sent(self, organization_id: str) -> None:
        """Count a message that Meta accepted."""
        self._of(organization_id).sent += 1

    def take(self) -> dict[str, Counts]:
        """Return what was counted since the last call."""
        taken, self._counts = self._counts, {}
        return taken

    def put_back(self, taken: Mapping[str, Counts]) -> None:
        """Take back what could not be written."""
        for organization_id, counts in taken.items():
            self._of(organization_id).add(counts)

    def _of(self, organization_id: str) -> Counts:
        counts = self._counts.get(organization_id)
        if counts is None:
            counts = self._counts[organization_id] = Counts()
        return counts
