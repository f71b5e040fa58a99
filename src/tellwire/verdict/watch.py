"""LOOP. Looks every few seconds whether all works, and tells what does not, once and then rarely."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog
from msgspec import Struct
from msgspec.structs import replace

from tellwire.errors import Unavailable
from tellwire.loops import Loop
from tellwire.model.units import HOUR, Micros, micros
from tellwire.ports.clock import Clock
from tellwire.verdict.figures import Disk, Figures, Stored
from tellwire.verdict.observed import Observed
from tellwire.verdict.ports import Disks, VerdictStore
from tellwire.verdict.rules import Line, verdict

log = structlog.get_logger("tellwire")

_SECONDS = 5.0
_FRESH: Micros = micros(5)
_REMINDED: Micros = HOUR
_MOST_LINES = 20
"""So many new lines are logged in a round; how many more there are is one line."""


class News(Struct, frozen=True):
    """Lines that came, and those that are over."""

    came: Sequence[Line]
    over: Sequence[Line]


class Watch:
    """Computes the verdict of this process, and tells listeners and the log what changes; `on_lines` get all lines,
    every few seconds.

    Args:
        store, disks, clock: where the figures come from.
        observed: what this process saw; the web writes into it.
        failing: why results cannot be recorded, for each loop that fails.
    """

    def __init__(
        self,
        store: VerdictStore,
        disks: Disks,
        clock: Clock,
        *,
        observed: Observed,
        failing: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.observed = observed
        self.listeners: list[Callable[[News], None]] = []
        self.on_lines: list[Callable[[Sequence[Line]], None]] = []
        self._store, self._disks, self._clock, self._failing = store, disks, clock, failing
        self._up_since = clock.now()
        self._stored, self._read_at = Stored(), 0
        self._usage: Sequence[Disk] = ()
        self._known: dict[tuple[str, str, str], Line] = {}
        self._told_at: dict[tuple[str, str, str], Micros] = {}
        self._open: set[tuple[str, str, str]] = set()
        self._seen_at: dict[tuple[str, str, str], Micros] = {}
        self._looked = False
        self._reading = asyncio.Lock()
        self._loop = Loop("verdict", self.round, seconds=_SECONDS, failed="verdict_failed")

    def start(self) -> None:
        """Start the loop in the running event loop."""
        self._loop.start()

    async def stop(self) -> None:
        """Stop the loop."""
        await self._loop.stop()

    async def round(self) -> None:
        """Write down what went through, and tell what changed."""
        await self.write_down()
        lines = await self.lines()
        self._tell(lines)
        for take in self.on_lines:
            take(lines)

    async def write_down(self) -> None:
        """Write down which numbers got messages, and what went through since the last time."""
        heard, counts = self.observed.take_heard(), self.observed.tally.take()
        if heard or counts:
            try:
                await self._store.add(heard, counts, self._clock.now())
            except Unavailable:
                self.observed.put_back(heard)
                self.observed.tally.put_back(counts)

    async def lines(self) -> list[Line]:
        """Return what does not work, from figures of the database that are at most 5 s old."""
        async with self._reading:
            now = self._clock.now()
            # A database that takes no commits may not answer either: that line has to come at once.
            if not self._store.failing and not 0 <= now - self._read_at < _FRESH:
                self._usage = await self._disks.usage()
                try:
                    self._stored = await self._store.figures(now)
                except Unavailable:
                    log.debug("verdict_without_store")  # what `failing` says is a line of its own
                self._read_at = now
        return self._dated(self._verdict(now), now)

    @property
    def oldest(self) -> Mapping[str, Micros]:
        """Return when the oldest delivery that waits was recorded, by endpoint, as of the last `lines`."""
        return self._stored.oldest

    def _dated(self, lines: Sequence[Line], now: Micros) -> list[Line]:
        """Return lines with when this process first saw them, where nothing says since when they are true; what was
        there at the first look began at a time that nobody knows."""
        new = now if self._looked else 0
        self._seen_at = {line.about: self._seen_at.get(line.about, new) for line in lines}
        self._looked = True
        return [line if line.since else replace(line, since=self._seen_at[line.about]) for line in lines]

    def _verdict(self, now: Micros) -> list[Line]:
        registry = self._store.registry()
        failing = [self._store.failing] if self._store.failing else []
        return verdict(
            Figures(
                at=now,
                up_since=self._up_since,
                failing=[*failing, *self._failing()],
                accounts=list(registry.accounts.values()),
                endpoints=list(registry.endpoints.values()),
                stored=self._stored,
                refusals=self.observed.refusals,
                heard=self.observed.heard_at,
                clock=self.observed.clock(now),
                disks=self._usage,
            )
        )

    def _tell(self, lines: Sequence[Line]) -> None:
        now = self._clock.now()
        current = {line.about: line for line in lines}
        came = [line for about, line in current.items() if about not in self._known]
        over = [line for about, line in self._known.items() if about not in current]
        due = [line for about, line in current.items() if now - self._told_at.get(about, 0) >= _REMINDED]
        for line in due[:_MOST_LINES]:
            log.warning("trouble", **_fields(line), cause=line.cause, remedy=line.remedy)
        if len(due) > _MOST_LINES:
            log.warning("more_trouble", count=len(due) - _MOST_LINES)
        for line in due:
            self._told_at[line.about] = now
            self._open.add(line.about)
        for line in over:
            if line.about in self._open:
                log.info("trouble_over", **_fields(line))
                self._open.discard(line.about)
        # A line that comes and goes is told once an hour all the same.
        self._told_at = {a: at for a, at in self._told_at.items() if a in current or now - at < _REMINDED}
        self._known = current
        if came or over:
            for listener in self.listeners:
                listener(News(came, over))


def _fields(line: Line) -> dict[str, str]:
    named = {"phone_number_id": line.phone_number_id, "endpoint_id": line.endpoint_id}
    return {"kind": line.kind, "title": line.title} | {name: value for name, value in named.items() if value}
