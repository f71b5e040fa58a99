"""Bound the bytes of bodies in memory; one that stalls gives way (docs/reference/rest-api.md, "Limits")."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tellwire.errors import Busy

T = TypeVar("T")

_RENEWS = 64 * 1024
"""How many bytes of a body make it count as prompt again."""


class HeldBodies:
    """The bodies that are in memory, of which the first `free` bytes of each do not count."""

    def __init__(self, most: int, *, free: int = 0) -> None:
        self.most = most
        self.free = free
        self.size = 0
        self.coming: dict[HeldBody, None] = {}
        """Those of which more is to come, the one that has stalled for longest first."""

    def begin(self) -> HeldBody:
        """Return a body of which nothing has come; it is to be released at its end."""
        return HeldBody(self)

    def make_room(self, body: HeldBody) -> None:
        """Give up bodies that have stalled for longer than this one until all fit.

        Raises:
            Busy: they do not.
        """
        while self.size > self.most:
            stalled = next((each for each in self.coming if each is body or each.waits), body)
            if stalled is body:
                raise _too_much()
            stalled.give_up()


class HeldBody:
    """A body: what of it has come, and how much of that counts."""

    __slots__ = ("_all", "_deadline", "_renewed", "counted", "size")

    def __init__(self, bodies: HeldBodies) -> None:
        self._all = bodies
        self._deadline: asyncio.Timeout | None = None
        self._renewed = 0
        self.size = self.counted = 0

    @property
    def waits(self) -> bool:
        """Whether more of it is waited for just now, so that it can be given up."""
        return self._deadline is not None

    async def wait(self, receive: Callable[[], Awaitable[T]]) -> T:
        """Return what comes next.

        Raises:
            Busy: the body was given up for others.
        """
        if not self.counted:
            return await receive()
        try:
            async with asyncio.timeout(None) as self._deadline:
                return await receive()
        except TimeoutError:
            raise _too_much() from None
        finally:
            self._deadline = None

    def add(self, count: int, *, more: bool) -> None:
        """Count what has come; `more`: it is not the end.

        Raises:
            Busy: there is no room for it.
        """
        bodies = self._all
        self.size += count
        grown = max(0, self.size - bodies.free) - self.counted
        if not more:
            bodies.coming.pop(self, None)
        if grown <= 0:
            return
        if more and (not self.counted or self.size - self._renewed >= _RENEWS):
            self._renewed = self.size
            bodies.coming.pop(self, None)
            bodies.coming[self] = None
        self.counted += grown
        bodies.size += grown
        bodies.make_room(self)

    def give_up(self) -> None:
        """End the wait for more, and count it no longer."""
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time())
            self._deadline = None
        self.release()

    def release(self) -> None:
        """Count it no longer."""
        self._all.coming.pop(self, None)
        self._all.size -= self.counted
        self.counted = 0


def _too_much() -> Busy:
    return Busy("Too many bytes are waiting.")
