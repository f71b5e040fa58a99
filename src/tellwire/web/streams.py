"""Serve Server-Sent Events: a stream reads the store from its last event on, so it can be resumed and needs little
memory."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from tellwire.errors import Busy, TooMany
from tellwire.loops import FairSlots
from tellwire.model import quotas
from tellwire.model.deliveries import Endpoint, Event, SentAs
from tellwire.model.shares import FairShare
from tellwire.stores.queries import events
from tellwire.web.services import Services

MOST = 200
"""How many streams may be open at once; organizations share them."""
_RETRY_SECONDS = 30
_PAGE = 20
_POLL_SECONDS = 1.0
_HEARTBEAT_SECONDS = 15.0
_GATHER_SECONDS = 0.02
"""How long to wait after a wake-up before reading, so that many commits cause few queries."""

StillAllowed = Callable[[], Awaitable[bool]]


class StreamPlace:
    """The place of one stream, which is left once."""

    def __init__(self, places: FairShare, organization_id: str) -> None:
        self._places = places
        self._organization_id = organization_id
        self._left = False
        places.take(organization_id)

    def leave(self) -> None:
        if not self._left:
            self._left = True
            self._places.give_back(self._organization_id)


class Streams:
    """All open streams of one app; `reads` are the places for queries, which they share with requests."""

    def __init__(self, services: Services, reads: FairSlots) -> None:
        self._services = services
        self._reads = reads
        self._wakes: set[asyncio.Event] = set()
        self._open = FairShare(MOST)
        self.stopping = False
        self._listening = False

    def stop(self) -> None:
        """End every stream; new ones are refused."""
        self.stopping = True
        self.wake()

    def wake(self) -> None:
        """Make every stream look for events, and ask whether its key is still valid."""
        for wake in self._wakes:
            wake.set()

    async def open(self, organization_id: str, after: str, still_allowed: StillAllowed) -> AsyncIterator[bytes]:
        """Begin a stream after the event `after` (an id, "" for now); `still_allowed` is asked before every
        event and every second, and ends the stream.

        Raises:
            TooMany: the organization has as many streams open as it may.
            Busy: too many streams are open, or the server is stopping.
        """
        place = self.take_place(organization_id)
        try:
            self._listen()
            store = self._services.store
            after = after or await store.read(lambda c: events.last_id(c, organization_id))
            frames = self._frames(organization_id, after, still_allowed, place)
            weakref.finalize(frames, place.leave)  # they never run when the client goes before the first of them
        except BaseException:
            place.leave()
            raise
        return frames

    @contextmanager
    def waking(self) -> Iterator[asyncio.Event]:
        """Give an event that is set by every commit that recorded events, and when the server stops."""
        self._listen()
        wake = asyncio.Event()
        self._wakes.add(wake)
        try:
            yield wake
        finally:
            self._wakes.discard(wake)

    def _listen(self) -> None:
        if not self._listening:
            self._services.store.on_events(self.wake)
            self._listening = True

    def take_place(self, organization_id: str) -> StreamPlace:
        """Take the place of a stream of an organization; whoever serves it leaves the place.

        Raises:
            TooMany, Busy: as `open` does.
        """
        bound = self._services.settings.quotas.event_streams
        if self._open.has(organization_id) >= bound:
            self._services.counters.quota_refusals["event_streams"] += 1
            detail = quotas.explained("event_streams", bound)
            raise TooMany(detail, retry_after=_RETRY_SECONDS, kind="quota-exceeded")
        if self.stopping or not self._open.admits(organization_id):
            raise Busy("No more streams just now.")
        return StreamPlace(self._open, organization_id)

    async def _frames(
        self, organization_id: str, after: str, still_allowed: StillAllowed, place: StreamPlace
    ) -> AsyncIterator[bytes]:
        wake = asyncio.Event()
        self._wakes.add(wake)
        loop = asyncio.get_running_loop()
        try:
            yield b": tellwire\nretry: 2000\n\n"
            beat = loop.time() + _HEARTBEAT_SECONDS
            while not self.stopping:
                wake.clear()
                found = await self._after(organization_id, after)
                for event in found:
                    after = event.id
                    if not await still_allowed():
                        return
                    if frame := self._frame(event):
                        yield frame
                if not await still_allowed():
                    return
                if loop.time() >= beat:
                    yield b": still here\n\n"
                    beat = loop.time() + _HEARTBEAT_SECONDS
                if len(found) < _PAGE:
                    await _wait(wake)
        finally:
            self._wakes.discard(wake)
            place.leave()

    async def _after(self, organization_id: str, after: str) -> Sequence[Event]:
        async with self._reads.place(organization_id):
            return await self._services.store.read(lambda c: events.after(c, organization_id, after, _PAGE))

    def _frame(self, event: Event) -> bytes:
        form = self._services.stream_format
        endpoint = Endpoint(id="", organization_id=event.organization_id, url="", format=form.NAME)
        body = form.encode(event, endpoint, SentAs(event.id))
        if body is None:
            return b""
        data = b"\ndata: ".join(body.splitlines())
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (event.id.encode(), event.name.encode(), data)


async def _wait(wake: asyncio.Event) -> None:
    """Wait for a commit, at most for a poll's length: commits of other processes do not wake this one."""
    try:
        async with asyncio.timeout(_POLL_SECONDS):
            await wake.wait()
    except TimeoutError:
        return
    await asyncio.sleep(_GATHER_SECONDS)
