"""LOOP. Remembers what the verdict says over time, and tells it through every channel that is set.

Every process writes down what it has in its verdict; the one that owns the background partition tells. While the
database takes no commits nobody can agree on anything: then the process that told last tells that alone.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import structlog
from msgspec import Struct
from msgspec.structs import replace

from tellwire.alerts import rules
from tellwire.alerts.channels import Route, Sent
from tellwire.alerts.findings import (
    CHANNELS_FAILING,
    STORE_FAILING,
    Channel,
    ChannelName,
    Finding,
    Key,
    by_key,
    is_over,
)
from tellwire.alerts.message import Message
from tellwire.alerts.ports import AlertStore, Remembered
from tellwire.alerts.rules import Thresholds
from tellwire.errors import Unavailable
from tellwire.loops import Loop
from tellwire.model.units import Micros, micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.verdict.rules import Line

log = structlog.get_logger("tellwire")

_SECONDS = 60.0
"""The watch wakes the loop sooner."""
_HEARTBEAT: Micros = micros(15)
_MOST = 500
"""So many findings of a process are remembered, the gravest first."""


class Tested(Struct, frozen=True):
    """What a channel answered to a test, within so many milliseconds."""

    channel: ChannelName
    to: str
    sent: Sent
    milliseconds: int


class Alerts:
    """The alerts of this process.

    Args:
        store: where findings and what was told of them are kept.
        routes: the channels that are set.
        limits: when to tell.
        tells: whether this process is the one that tells, now.
        url: where the installation is reached.
    """

    def __init__(
        self,
        store: AlertStore,
        clock: Clock,
        *,
        routes: Sequence[Route],
        limits: Thresholds,
        tells: Callable[[], bool],
        url: str,
        counters: Counters,
    ) -> None:
        self.routes, self.limits = routes, limits
        self._store, self._clock, self._tells, self._url, self._counters = store, clock, tells, url, counters
        self._up_since = clock.now()
        self._lines: dict[Key, Line] = {}
        self._noted: Mapping[Key, tuple[str, str]] = {}
        self._noted_at: Micros = 0
        self._known = Remembered()
        self._told_last = False
        self._unwritten: Finding | None = None
        self._loop = Loop("alerts", self.round, seconds=_SECONDS, failed="alerts_failed")
        self._began = False

    def start(self) -> None:
        """Start the loop in the running event loop."""
        self._loop.start()

    async def stop(self) -> None:
        """Stop the loop; a message that is on its way counts as not sent, and may come once more."""
        await self._loop.stop()

    def take(self, lines: Sequence[Line]) -> None:
        """Take what the verdict of this process says now."""
        self._lines = dict(list(by_key(lines).items())[:_MOST])
        self._began = True
        self._loop.wake()

    async def round(self) -> None:
        """Write down what the verdict says, and tell what is due."""
        if not self._began:
            return
        try:
            if ("", STORE_FAILING) in self._lines:
                raise Unavailable  # noqa: TRY301 - a write would wait for its deadline first
            await self._note()
            if not self._tells():
                if self._told_last:
                    await self._store.read()  # whether another process tells, or the database is away
                self._told_last = False
                return
            known = await self._remembered()
        except Unavailable:
            if self._told_last:
                await self._tell_without_store()
            return
        self._told_last = True
        await self._tell(known)

    async def known(self) -> Remembered:
        """Return what is remembered; raises `Unavailable` when the database cannot be read."""
        return await self._store.read()

    def waiting(self, known: Remembered, route: Route) -> list[Key]:
        """Return the findings of which a channel is still to be told something that is due."""
        now = self._clock.now()
        items = self._due(route, known, known.findings, now)
        return [item.finding.key for item in items]

    async def test(self) -> list[Tested]:
        """Send a test through every channel at once, and return what each answered."""
        return list(await asyncio.gather(*(self._test(route) for route in self.routes)))

    # --- remembering --------------------------------------------------------------------------------------------------

    async def _note(self) -> None:
        """Write down what came, what is gone, and from time to time that the rest is still there."""
        now, lines = self._clock.now(), self._lines
        marks = {key: (line.kind, line.severity) for key, line in lines.items()}
        gone = self._noted.keys() - marks.keys()
        if marks != self._noted or (marks and not 0 <= now - self._noted_at < _HEARTBEAT):
            await self._store.note(lines, gone, now)
            self._noted, self._noted_at = marks, now

    async def _remembered(self) -> Remembered:
        """Return what is remembered, after what is over was marked."""
        if not self._told_last:
            await self._store.only([route.name for route in self.routes])
        if self._unwritten is not None:  # told while the database took no commits
            for route in self.routes:
                await self._store.keep([self._unwritten], self._channel(self._known, route, self._clock.now()))
            self._unwritten = None
        known, now = await self._store.read(), self._clock.now()
        over = [each for each in known.findings.values() if not each.over_at and is_over(each, now, self._up_since)]
        if over:
            await self._store.over(over, now)
            known = await self._store.read()
        self._known = known
        return known

    def _channel(self, known: Remembered, route: Route, now: Micros) -> Channel:
        return known.channels.get(route.name) or Channel(name=route.name, since=now)

    def _due(self, route: Route, known: Remembered, findings: Mapping[Key, Finding], now: Micros) -> list[rules.Item]:
        """Return what a channel is to be told; that it fails itself is told to the others."""
        others_fail = any(each.failing_since for name, each in known.channels.items() if name != route.name)
        some = (
            each
            for each in findings.values()
            if each.line.kind != CHANNELS_FAILING or others_fail or route.name in each.told
        )
        return rules.due(some, self._channel(known, route, now), self.limits, now)

    # --- telling ------------------------------------------------------------------------------------------------------

    async def _tell(self, known: Remembered) -> None:
        """Tell every channel what is due; each is written down as soon as the channel has taken it."""
        findings = dict(known.findings)
        tellings = (self._tell_one(route, known, findings) for route in self.routes)
        for failure in await asyncio.gather(*tellings, return_exceptions=True):
            if isinstance(failure, BaseException):  # the other channels were told first
                raise failure

    async def _tell_one(self, route: Route, known: Remembered, findings: dict[Key, Finding]) -> None:
        now = self._clock.now()
        channel = self._channel(known, route, now)
        if route.name not in known.channels:
            await self._store.keep([], channel)
        items = self._due(route, known, findings, now)
        if not items or not rules.may_tell(channel, now):
            return
        sent = await self._send(route, channel, items, known.names, may_send=self._tells)
        if sent is None:
            return
        now = self._clock.now()
        after = rules.taken(channel, now) if sent.ok else rules.failed(channel, sent.answer, now)
        if sent.ok:
            for item in items:  # another channel may have been told of it meanwhile
                findings[item.finding.key] = rules.told(
                    rules.Item(item.what, replace(item.finding, told=findings[item.finding.key].told)), channel, now
                )
        await self._store.keep([findings[item.finding.key] for item in items] if sent.ok else [], after)

    async def _tell_without_store(self) -> None:
        """Tell that the database takes no commits; what was told is written down once it does."""
        line = self._lines.get(("", STORE_FAILING))
        if line is None:
            return
        now = self._clock.now()
        known = self._unwritten or self._known.findings.get(("", STORE_FAILING))
        if known is None or known.over_at:
            told = known.told if known is not None else {}
            known = Finding(line=line, name=STORE_FAILING, begun_at=now, seen_at=now, told=told)
        self._unwritten = replace(known, line=line, seen_at=now)
        for route in self.routes:
            channel = self._channel(self._known, route, now)
            items = rules.due([self._unwritten], channel, self.limits, now)
            if not items or now < channel.retry_at:
                continue
            sent = await self._send(route, channel, items, {}, may_send=lambda: True)
            if sent is None:
                continue
            if sent.ok:
                self._unwritten = rules.told(items[0], channel, now)
            after = rules.taken(channel, now) if sent.ok else rules.failed(channel, sent.answer, now)
            self._known = replace(self._known, channels={**self._known.channels, route.name: after})

    async def _send(
        self,
        route: Route,
        channel: Channel,
        items: Sequence[rules.Item],
        names: Mapping[str, str],
        *,
        may_send: Callable[[], bool],
    ) -> Sent | None:
        """Send a message; None if it was not to go after all."""
        message = Message(
            id=rules.message_id(channel, items),
            at=self._clock.now(),
            url=self._url,
            channel=route.name,
            items=items,
            names=names,
        )
        sent = await route.send(message, may_send)
        if not may_send() and not sent.ok:
            return None
        self._counters.alerts[route.name, "sent" if sent.ok else "failed"] += 1
        if sent.ok:
            log.info("alert_sent", channel=route.name, findings=len(items), answer=sent.answer)
        elif not channel.failing_since:
            log.warning("alert_not_sent", channel=route.name, findings=len(items), cause=sent.answer)
        return sent

    async def _test(self, route: Route) -> Tested:
        began = self._clock.now()
        message = Message(id=f"alert_{uuid.uuid4().hex}", at=began, url=self._url, channel=route.name)
        sent = await route.send(message, lambda: True)
        self._counters.alerts[route.name, "sent" if sent.ok else "failed"] += 1
        now = self._clock.now()
        with suppress(Unavailable):  # what the channel answered can be said all the same
            await self._note_test(route, sent, now)
        return Tested(route.name, route.to, sent, (now - began) // 1000)

    async def _note_test(self, route: Route, sent: Sent, now: Micros) -> None:
        channel = self._channel(await self._store.read(), route, now)
        if sent.ok and channel.failing_since:  # it works again: what waits goes out at once
            await self._store.keep([], Channel(name=channel.name, since=channel.since, sent_at=channel.sent_at))
        elif not sent.ok:
            await self._store.keep([], rules.failed(channel, sent.answer, now))
