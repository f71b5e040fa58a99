"""PURE. Whose turn it is: the one with the fewest in flight, of several the one that has waited longest."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Members by level. Every call costs the same however many members there are.

    `lowest`: the lowest level that has a member, -1 without members.
    """

    __slots__ = ("_level_of", "_levels", "_taken", "lowest")

    def __init__(self) -> None:
        self._level_of: dict[T, int] = {}
        self._levels: list[OrderedDict[T, None]] = []
        self._taken = 0  # a bit for each level that has a member, so that the lowest is found without a search
        self.lowest = -1

    def put(self, member: T, level: int) -> None:
        """Put a member last on a level; one that is there already keeps its place."""
        before, levels = self._level_of.get(member), self._levels
        if before == level:
            return
        self._level_of[member] = level
        if before is not None:
            del levels[before][member]
            if not levels[before]:
                self._taken ^= 1 << before
        while level >= len(levels):
            levels.append(OrderedDict())
        members = levels[level]
        if not members:
            self._taken |= 1 << level
        members[member] = None
        if level < self.lowest or self.lowest < 0:
            self.lowest = level
        elif before == self.lowest:
            self.lowest = (self._taken & -self._taken).bit_length() - 1

    def remove(self, member: T) -> None:
        """Take a member out, if it is there."""
        level = self._level_of.pop(member, None)
        if level is None:
            return
        members = self._levels[level]
        del members[member]
        if not members:
            self._taken ^= 1 << level
            if level == self.lowest:
                self.lowest = (self._taken & -self._taken).bit_length() - 1

    def first(self) -> T:
        """Return whose turn it is; there is a member."""
        return next(iter(self._levels[self.lowest]))
