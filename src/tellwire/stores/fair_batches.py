"""Which of the jobs that wait are in the next commit: organizations take turns, job by job.

One that waits alone fills the commit. Where several wait none has more than a quarter of it, so that whoever comes with
little waits for the commit under way and for its own, whatever waits of others (docs/reference/delivery.md, "Large
POSTs").
"""

from __future__ import annotations

from asyncio import Future
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from tellwire.model.ledger import Ledger

Job = tuple[Any, "Future[Any]"]

MOST_PER_COMMIT = 512
"""How large the jobs of one commit are together, by `size`; the last of them may exceed it."""
_MOST_OF_ONE = MOST_PER_COMMIT // 4
_MOST_BYTES = 8 * 1024 * 1024
"""When a commit holds so many bytes of events and bodies, its other decisions go into the next one."""
LATER: Any = object()
"""The result of a job that is to be done in the next commit."""


class FairBatches:
    """The jobs that wait, in order within each organization.

    `size` returns how much a job decides, 1 for a small one; `whose` the organization in whose turn it is.
    """

    def __init__(self, *, size: Callable[[Any], int], whose: Callable[[Any], str]) -> None:
        self._size = size
        self._whose = whose
        self._waiting: dict[str, deque[Job]] = {}

    def __bool__(self) -> bool:
        """Return whether any job waits."""
        return bool(self._waiting)

    def add(self, job: Job) -> None:
        """Let a job wait, behind the others of its organization."""
        whose = self._whose(job[0])
        if (jobs := self._waiting.get(whose)) is None:
            self._waiting[whose] = deque((job,))
        else:
            jobs.append(job)

    def put_back(self, jobs: Sequence[Job]) -> None:
        """Let jobs that were taken and not done wait again, before the others of their organizations."""
        for job in reversed(jobs):
            self._waiting.setdefault(self._whose(job[0]), deque()).appendleft(job)

    def take(self) -> list[Job]:
        """Remove and return the jobs of the next commit."""
        if len(self._waiting) == 1:
            return self._of_one()
        batch: list[Job] = []
        size, taken = 0, Counter[str]()
        turns = deque(self._waiting)
        while turns and size < MOST_PER_COMMIT:
            whose = turns.popleft()
            jobs = self._waiting.pop(whose)
            batch.append(jobs.popleft())
            more = self._size(batch[-1][0])
            size, taken[whose] = size + more, taken[whose] + more
            if jobs:
                self._waiting[whose] = jobs  # behind the others
                if taken[whose] < _MOST_OF_ONE:
                    turns.append(whose)
        return batch

    def _of_one(self) -> list[Job]:
        ((whose, jobs),) = self._waiting.items()
        batch: list[Job] = []
        size = 0
        while jobs and size < MOST_PER_COMMIT:
            batch.append(jobs.popleft())
            size += self._size(batch[-1][0])
        if not jobs:
            del self._waiting[whose]
        return batch


def decide_in_turn(ledger: Ledger, decisions: Sequence[Callable[[Ledger], Any]]) -> list[Any]:
    """Return the results of decisions, of which at least one is made; `LATER` for those that the commit has no room
    for."""
    if len(decisions) == 1:
        return [decisions[0](ledger)]
    most = ledger.told_bytes + ledger.kept_bytes + _MOST_BYTES
    return [decide(ledger) if ledger.told_bytes + ledger.kept_bytes < most else LATER for decide in decisions]
