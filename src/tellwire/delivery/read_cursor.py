"""PURE. How far one endpoint's rows have been read into memory.

Ids are in commit order and hints come in that order, so one cursor tells what is known: while `more` is false, every
live row up to `after` is in memory, was settled, or waits behind a head that is `cut` (see `queues`).
"""

from __future__ import annotations


class ReadCursor:
    """The position up to which one endpoint's rows were read. `more`: rows that memory does not know may be on disk."""

    __slots__ = ("_dirty", "_gone", "_rewound", "after", "more", "reading")

    def __init__(self) -> None:
        self.after = ""
        self.more = True
        self.reading = False
        self._dirty = False
        self._rewound = False
        self._gone: set[str] = set()

    def takes(self, delivery_id: str) -> bool:
        """Return whether a hint may go straight to memory: it is new, and nothing older is only on disk."""
        if self.more:
            self._dirty = True
            return False
        return delivery_id > self.after

    def left(self, delivery_id: str) -> None:
        """Note that a row was settled: a page that is being read may still show it as it was."""
        if self.reading:
            self._gone.add(delivery_id)

    def expect(self) -> None:
        """Note that there may be more on disk than hints announced."""
        self.more = self._dirty = True

    def rewind(self, after: str) -> None:
        """Read again from here: rows that were passed over are wanted now."""
        self.after = min(self.after, after)
        self.more = True
        self._rewound = self.reading

    def begin(self) -> str:
        """Begin to read a page; return the id after which it starts."""
        self.reading = True
        self._dirty = self._rewound = False
        return self.after

    def fits(self) -> bool:
        """Return whether a page that has arrived still follows the cursor."""
        return not self._rewound

    def is_stale(self, delivery_id: str) -> bool:
        """Return whether a row of the page was settled after the page was read."""
        return delivery_id in self._gone

    def end(self, *, complete: bool) -> None:
        """Move behind a page that was taken in; `complete` when it was the last one and all of it found room."""
        if complete and not self._dirty and not self._rewound:
            self.more = False
        self.reading = False
        self._rewound = False
        self._gone.clear()
