"""PURE. Sharing what is bounded among organizations.

An organization may take one more only while it has less than what is still free. So one alone gets half, two that want
everything get a third each, and one that comes later always finds room. Source: docs/reference/delivery.md, "Lanes".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import heapify, heapreplace


class FairShare:
    """`limit` places, and who has how many of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken: Counter[str] = Counter()
        self._used = 0

    def admits(self, organization_id: str) -> bool:
        """Return whether an organization may take one more."""
        return self.has(organization_id) < self.limit - self._used

    def has(self, organization_id: str) -> int:
        """Return how many places an organization has."""
        return self._taken.get(organization_id, 0)

    def take(self, organization_id: str, count: int = 1) -> None:
        """Take a place, or several; `admits` has just allowed it."""
        self._taken[organization_id] += count
        self._used += count

    def give_back(self, organization_id: str, count: int = 1) -> None:
        """Give places back."""
        self._used -= count
        self._taken[organization_id] -= count
        if not self._taken[organization_id]:
            del self._taken[organization_id]

    @property
    def full(self) -> list[str]:
        """The organizations that have places and may take no more."""
        free = self.limit - self._used
        return [who for who, count in self._taken.items() if count >= free]

    def divided(self, wanting: Iterable[str]) -> dict[str, int]:
        """Return how many places each of some organizations that want many may take now."""
        found: dict[str, int] = {}
        free, turns = self.limit - self._used, [(self.has(who), who) for who in wanting]
        heapify(turns)
        while turns and turns[0][0] < free:
            has, who = turns[0]
            heapreplace(turns, (has + 1, who))
            found[who] = found.get(who, 0) + 1
            free -= 1
        return found
