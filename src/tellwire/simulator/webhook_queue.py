"""Post Meta's webhooks when they are due, in batches, and again until they are answered 200."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from zlib import crc32

from msgspec import Struct

from tellwire.simulator.knobs import Knobs
from tellwire.simulator.payloads import Update, body_of
from tellwire.simulator.poster import Poster

_LANES = 8
_LONGEST_PAUSE = 300.0


class Posted(Struct):
    """Counts of posted webhooks. `waiting`: updates and bodies that are still to be posted. `given_up`: bodies that
    used up all tries."""

    updates: int = 0
    posts: int = 0
    answered_200: int = 0
    refused: int = 0
    given_up: int = 0
    waiting: int = 0


class Body(Struct, frozen=True):
    """A complete body; it was posted `tried` times without a 200."""

    bytes: bytes
    tried: int = 0


_Entry = tuple[float, int, Update | Body]


class WebhookQueue:
    """A queue of updates for a callback URL. Updates about one person are posted one after the other, unless they are
    due in another order or a POST has to be repeated; those about different people are posted at the same time.
    """

    def __init__(self, knobs: Callable[[], Knobs], poster: Poster | None = None) -> None:
        self._knobs = knobs
        self.poster = poster
        self.posted = Posted()
        self._numbers = count()
        self._lanes: list[list[_Entry]] = [[] for _ in range(_LANES)]
        self._wakeups = [asyncio.Event() for _ in range(_LANES)]
        self._tasks: list[asyncio.Task[None]] = []
        self._settled = asyncio.Event()

    def start(self) -> None:
        """Start the tasks that post."""
        self._tasks = [asyncio.create_task(self._run(lane)) for lane in range(_LANES)]

    async def stop(self) -> None:
        """Stop at once; what is waiting is not posted."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def post(self, update: Update, *, after: float = 0.0) -> None:
        """Post an update in `after` seconds. Without a callback URL the update is dropped."""
        self._put(crc32(update.person.address.encode()) % _LANES, after, update)

    def post_body(self, body: bytes) -> None:
        """Post a body as soon as possible."""
        self._put(0, 0.0, Body(body))

    async def post_now(self, update: Update) -> None:
        """Post an update, and return after its answer."""
        if self.poster is not None:
            self.posted.updates += 1
            await self._post(self.poster, Body(body_of([update])), 0)

    def clear(self) -> None:
        """Forget what is waiting, and reset the counts."""
        for heap in self._lanes:
            heap.clear()
        self.posted = Posted()
        self._settled.set()

    async def idle(self) -> None:
        """Wait until nothing is left to post."""
        while self.posted.waiting:
            self._settled.clear()
            await self._settled.wait()

    def _put(self, lane: int, after: float, what: Update | Body) -> None:
        if self.poster is None:
            return
        self.posted.waiting += 1
        heappush(self._lanes[lane], (asyncio.get_running_loop().time() + after, next(self._numbers), what))
        self._wakeups[lane].set()

    async def _run(self, lane: int) -> None:
        heap, wakeup, loop = self._lanes[lane], self._wakeups[lane], asyncio.get_running_loop()
        while True:
            wakeup.clear()
            pause = heap[0][0] - loop.time() if heap else None
            if pause is None or pause > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(wakeup.wait(), pause)
                continue
            if self._knobs().batch > 1 and self._knobs().batch_seconds:
                await asyncio.sleep(self._knobs().batch_seconds)
                if not heap:  # it was cleared meanwhile
                    continue
            due = self._due(heap, loop.time())
            posted, poster = self.posted, self.poster
            if poster is not None:
                await self._post(poster, due[0] if isinstance(due[0], Body) else Body(_body(due)), lane)
            posted.waiting -= len(due)
            self._settled.set()

    def _due(self, heap: list[_Entry], now: float) -> list[Update | Body]:
        """Take from the queue what goes into the next POST: one body, or updates."""
        first = heappop(heap)[2]
        due: list[Update | Body] = [first]
        if isinstance(first, Body):
            return due
        while heap and len(due) < self._knobs().batch and heap[0][0] <= now and isinstance(heap[0][2], Update):
            due.append(heappop(heap)[2])
        self.posted.updates += len(due)
        return due

    async def _post(self, poster: Poster, body: Body, lane: int) -> None:
        answer = await poster.post(body.bytes)
        self.posted.posts += 1
        if answer.status == 200:
            self.posted.answered_200 += 1
            return
        self.posted.refused += 1
        knobs = self._knobs()
        if body.tried + 1 >= knobs.webhook_tries:
            self.posted.given_up += 1
            return
        pause = min(_LONGEST_PAUSE, knobs.webhook_retry_seconds * 2**body.tried)
        self._put(lane, pause, Body(body.bytes, body.tried + 1))


def _body(due: list[Update | Body]) -> bytes:
    return body_of(each for each in due if isinstance(each, Update))
