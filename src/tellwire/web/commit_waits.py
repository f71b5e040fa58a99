"""The POSTs from Meta that wait for their commit, and the end of those that wait for too long.

One timer looks at all of them: a timer for each would cost more than everything else that a waiting POST needs.
"""

from __future__ import annotations

import asyncio

_LOOKS = 20
"""How often a wait is looked at until it ends; it may be longer by so small a part."""


class CommitWaits:
    """The tasks of the POSTs that wait. `most`: how many may wait; `seconds`: for how long."""

    def __init__(self) -> None:
        self.most = 0
        self.seconds = 10.0
        self._since: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> asyncio.Task[object]:
        """Note that the POST of the current task begins to wait; return the task, to call `end` with.

        The task is cancelled when it has waited for too long, and `is_late` then says so.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine asks
        loop = asyncio.get_running_loop()
        self._since[task] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self.seconds / _LOOKS, self._look)
        return task

    def end(self, task: asyncio.Task[object]) -> None:
        """Note that a POST does not wait any more."""
        self._since.pop(task, None)
        self._late.discard(task)

    def is_late(self, task: asyncio.Task[object]) -> bool:
        """Return whether a task was cancelled for nothing but its long wait; it then goes on."""
        return task in self._late and task.uncancel() == 0

    @property
    def count(self) -> int:
        """Return how many POSTs wait."""
        return len(self._since)

    @property
    def longest(self) -> float:
        """Return how many seconds the oldest waiting POST has waited, 0 for none."""
        first = next(iter(self._since.values()), None)
        return 0.0 if first is None else asyncio.get_running_loop().time() - first

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() - self.seconds
        while self._since and (first := next(iter(self._since.items())))[1] <= due:
            self._late.add(first[0])
            del self._since[first[0]]
            first[0].cancel()
        self._timer = loop.call_later(self.seconds / _LOOKS, self._look) if self._since else None
