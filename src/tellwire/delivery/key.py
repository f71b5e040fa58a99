"""PURE. An order key of one endpoint, with what waits under it, and keys by their times."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Literal

from msgspec import Struct, field

from tellwire.model.deliveries import Work
from tellwire.model.units import Micros


class Key(Struct, eq=False):
    """An order key with its deliveries, the head first.

    `place`: a head that is `collecting` waits for more that is sent with it, one that is `waiting` for its next attempt
    or for others (`behind`). `due_at`: when either goes; `behind`: deliveries of another key that go first;
    `held_until`: when the receiver wants it at the earliest; `first_at`: the head's first attempt; `failed_at`: its
    last failure that may be its own fault, of the attempt sent at `sent_at`. `cut`: the deliveries behind it were left
    on disk. `ripe`: it may be overtaken as soon as somebody is there to do so. `blocked`: how many deliveries its
    waiting head is.
    """

    name: str
    works: list[Work]
    place: Literal["ready", "flying", "waiting", "collecting", "gone"] = "gone"
    due_at: Micros = 0
    behind: set[str] = field(default_factory=set)
    held_until: Micros = 0
    first_at: Micros = 0
    failed_at: Micros = 0
    sent_at: Micros = 0
    cut: bool = False
    ripe: bool = False
    blocked: int = 0


class Timetable:
    """Keys by the times at which something is due for them. Nothing is taken out early: whoever takes an entry sees
    whether it still holds."""

    def __init__(self) -> None:
        self._entries: list[tuple[Micros, int, Key]] = []
        self._serial = 0

    def __bool__(self) -> bool:
        return bool(self._entries)

    def put(self, at: Micros, key: Key) -> None:
        """Add an entry."""
        self._serial += 1
        heappush(self._entries, (at, self._serial, key))

    @property
    def first(self) -> Micros | None:
        """The time of the earliest entry."""
        return self._entries[0][0] if self._entries else None

    def take(self) -> tuple[Micros, Key]:
        """Take the earliest entry out."""
        at, _, key = heappop(self._entries)
        return at, key

    def due(self, now: Micros) -> Iterator[tuple[Micros, Key]]:
        """Take out what is due, the earliest first."""
        while self._entries and self._entries[0][0] <= now:
            yield self.take()

    def clear(self) -> None:
        """Take everything out."""
        self._entries.clear()
