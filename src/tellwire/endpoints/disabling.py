"""PURE. Disables an endpoint because of how it behaves, and parks its deliveries batch by batch."""

from __future__ import annotations

from msgspec.structs import replace

from tellwire.endpoints.ports import EndpointRepository
from tellwire.model import operational_events

STRIDE = 5_000
"""Deliveries moved per transaction."""


def disable(shelf: EndpointRepository, endpoint_id: str, reason: str) -> bool:
    """Disable an endpoint and record an operational event; return True when it was not disabled before. `park_left`
    then parks what waits."""
    endpoint = shelf.get(endpoint_id)
    if endpoint is None or endpoint.state == "disabled":
        return False
    since = shelf.health(endpoint_id).failing_since
    at = max(shelf.now, endpoint.updated_at + 1)
    shelf.put(replace(endpoint, state="disabled", disabled_reason=reason, updated_at=at), "disabled")
    shelf.tell(operational_events.disabled(endpoint, reason, failing_since=since))
    return True


def park_left(shelf: EndpointRepository, endpoint_id: str) -> bool:
    """Park what still waits for an endpoint that is paused or disabled; return True once none is left, or when it is
    active."""
    endpoint = shelf.get(endpoint_id)
    return endpoint is None or endpoint.state == "active" or shelf.park(endpoint_id, STRIDE)
