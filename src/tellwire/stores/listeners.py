"""The callbacks that run on the event loop after a store's commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tellwire.model.deliveries import Work
from tellwire.model.registry import Registry


class Listeners:
    """The callbacks of a store. Each call is only a hint: a process that misses it finds the rows later."""

    def __init__(self) -> None:
        self._committed: Callable[[Sequence[Work]], None] = lambda _: None
        self._elsewhere: Callable[[Sequence[str]], None] = lambda _: None
        self._released: Callable[[], None] = lambda: None
        self._registry_listeners: list[Callable[[Registry], None]] = []
        self._event_listeners: list[Callable[[], None]] = []
        self._due_work_listeners: list[Callable[[], None]] = []

    def on_committed(self, committed: Callable[[Sequence[Work]], None]) -> None:
        """Call `committed` on the event loop after every commit of this process with its new deliveries."""
        self._committed = committed

    def on_elsewhere(self, elsewhere: Callable[[Sequence[str]], None], released: Callable[[], None]) -> None:
        """Call `elsewhere` with the endpoints of deliveries committed elsewhere, `released` when partitions are free.

        Elsewhere means by another process, or by a write outside the ledger. On SQLite no other process has partitions.
        """
        self._elsewhere, self._released = elsewhere, released

    def on_changed(self, changed: Callable[[Registry], None]) -> None:
        """Call `changed` on the event loop once a change of accounts or endpoints, by any process, is known."""
        self._registry_listeners.append(changed)

    def on_events(self, wake: Callable[[], None]) -> None:
        """Call `wake` on the event loop after every commit, of any process, that recorded events."""
        self._event_listeners.append(wake)

    def on_due_work(self, wake: Callable[[], None]) -> None:
        """Call `wake` on the event loop after every commit, of any process, that recorded sends, downloads or turns."""
        self._due_work_listeners.append(wake)

    def _wake(self, *, events: bool, due_work: bool) -> None:
        """Call the listeners for events, and those for due work."""
        if events:
            for wake in self._event_listeners:
                wake()
        if due_work:
            for wake in self._due_work_listeners:
                wake()
