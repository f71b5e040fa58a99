"""Traces from a POST of Meta's to a subscriber's answer."""

from __future__ import annotations

from typing import Protocol

from tellwire.model.deliveries import Attempt, Work
from tellwire.model.inbound import Inbound
from tellwire.model.units import Micros


class Tracer(Protocol):
    """Reports one trace from Meta's POST to the subscriber's answer to a collector; never raises and never waits."""

    def posted(self, inbound: Inbound, *, started_at: Micros, durable_at: Micros) -> None:
        """Report a POST that was accepted: when it began, and when it was durable."""
        ...

    def traceparent(self, work: Work) -> str:
        """Return the header (W3C Trace Context) of a delivery's next attempt; "" when its event has no trace."""
        ...

    def attempted(self, work: Work, attempt: Attempt) -> None:
        """Report an attempt that was made and recorded."""
        ...
