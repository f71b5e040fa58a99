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
    """The checks that an endpoint must pass before it is admitted."""

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
        """Write a changed endpoint; `action` names the change in the audit."""
        ...

    def remove(self, endpoint_id: str) -> None: ...

    def park(self, endpoint_id: str, limit: int) -> bool:
        """Park waiting deliveries, at most `limit`; return True once none is left."""
        ...

    def unpark(self, endpoint_id: str, limit: int) -> bool:
        """Make parked deliveries pending and due, at most `limit`; return True once none is left."""
        ...

    def cancel(self, endpoint_id: str, limit: int) -> bool:
        """Cancel deliveries that wait or are parked, at most `limit`; return True once none is left."""
        ...

    def health(self, endpoint_id: str) -> EndpointHealth:
        """Return how the attempts of an endpoint went."""
        ...

    def reset_health(self, endpoint_id: str) -> None:
        """Start an endpoint's health history again: earlier failures count no more."""
        ...

    def tell(self, news: OperationalEvent) -> None:
        """Record an operational event, with a delivery for each endpoint that subscribes to it."""
        ...
