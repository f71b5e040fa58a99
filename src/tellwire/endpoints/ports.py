"""What the use case of endpoints needs of the outside, as small Protocols."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Literal, Protocol

from tellwire.endpoints.health_history import EndpointHealth
from tellwire.model.deliveries import Endpoint
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.units import Micros
from tellwire.ports.formats import Format, Handshake

AuditWord = Literal["changed", "secret_rotated", "paused", "resumed", "disabled"]


class EndpointChecks(Protocol):
    """What is asked of the outside before an endpoint is let in."""

    @property
    def formats(self) -> Mapping[str, Format]:
        """The payload formats by name."""
        ...

    @property
    def event_names(self) -> Sequence[str]:
        """The names that every endpoint may subscribe to: those of the `tellwire-event` header."""
        ...

    def check_url(self, url: str) -> Awaitable[None]:
        """Raise `Forbidden` when deliveries may not reach this URL."""
        ...

    def ask_for_consent(self, endpoint: Endpoint, handshake: Handshake) -> Awaitable[None]:
        """Ask the receiver for its consent; raise `Invalid` with what came back when it does not give it."""
        ...


class EndpointRepository(Protocol):
    """The endpoints of one organization within one transaction; every change is noted in the audit."""

    @property
    def organization_id(self) -> str: ...

    @property
    def now(self) -> Micros: ...

    def new_id(self) -> str: ...

    def get(self, endpoint_id: str) -> Endpoint | None: ...

    def add(self, endpoint: Endpoint) -> None: ...

    def put(self, endpoint: Endpoint, action: AuditWord) -> None:
        """Write a changed endpoint; `action` is the word for the audit."""
        ...

    def remove(self, endpoint_id: str) -> None: ...

    def park(self, endpoint_id: str, limit: int) -> bool:
        """Park deliveries that wait, at most `limit`; True once none is left."""
        ...

    def unpark(self, endpoint_id: str, limit: int) -> bool:
        """Make parked deliveries pending and due, at most `limit`; True once none is left."""
        ...

    def cancel(self, endpoint_id: str, limit: int) -> bool:
        """Cancel deliveries that wait or are parked, at most `limit`; True once none is left."""
        ...

    def health(self, endpoint_id: str) -> EndpointHealth:
        """How its attempts went."""
        ...

    def pardon(self, endpoint_id: str) -> None:
        """What failed so far counts no more."""
        ...

    def tell(self, news: OperationalEvent) -> None:
        """Record an operational event, with a delivery for each endpoint that subscribes to it."""
        ...
