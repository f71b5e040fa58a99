"""Log what strangers can cause as often as they like: a line at once, then at most one in a while with the count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

_PAUSE_SECONDS = 10.0


class RareLog:
    """A log that writes one line per reason in `pause_seconds`; call `flush` now and then."""

    def __init__(self, name: str, event: str, *, pause_seconds: float = _PAUSE_SECONDS) -> None:
        self._log = structlog.get_logger(name)
        self._event = event
        self._pause = pause_seconds
        self._written_at: dict[str, float] = {}
        self._untold: dict[str, tuple[int, Mapping[str, Any]]] = {}

    def note(self, reason: str, now: float, **fields: object) -> None:
        """Note that something happened. `reason` is a word of a small set; `fields` are those of the last time."""
        count, _ = self._untold.get(reason, (0, {}))
        self._untold[reason] = count + 1, fields
        self._write(reason, now)

    def flush(self, now: float) -> None:
        """Write what has not been told for long enough."""
        for reason in list(self._untold):
            self._write(reason, now)

    def _write(self, reason: str, now: float) -> None:
        last = self._written_at.get(reason)
        if last is not None and now - last < self._pause:
            return
        count, fields = self._untold.pop(reason)
        self._written_at[reason] = now
        self._log.warning(self._event, reason=reason, count=count, **fields)
