"""Traces from a POST of Meta's to a subscriber's answer."""

from __future__ import annotations

from typing import Protocol

from tellwire.model.deliveries import Attempt, Work
from tellwire.model.inbound import Inbound
from tellwire.model.units import Micros


class Tracer(Protocol):
    """Tells a collector of one trace from Meta's POST to the subscriber's answer; never raises, never waits."""

    def posted(self, inbound: Inbound, *, started_at: Micros, durable_at: Micros) -> None:
        """A POST was taken: begun and durable at these times."""
        ...

    def traceparent(self, work: Work) -> str:
        """The header (W3C Trace Context) of a delivery's next attempt; "" when its event has no trace."""
        ...

    def attempted(self, work: Work, attempt: Attempt) -> None:
        """An attempt was made and recorded."""
        ...
