"""PURE. When a burst of quick messages is over: the one clock of buffered deliveries and of AI agents' answers."""

from __future__ import annotations

from tellwire.model.units import Micros


def over_at(began: Micros, latest: Micros, *, pause: Micros, longest: Micros) -> Micros:
    """Return when a burst that began then is over: after this pause behind its latest message, and no later than this
    long after its first."""
    return min(latest + pause, began + longest)
