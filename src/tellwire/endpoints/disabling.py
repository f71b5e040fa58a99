"""PURE. An endpoint is disabled because of how it behaves, and parked stride by stride."""

from __future__ import annotations

from msgspec.structs import replace

from tellwire.endpoints.ports import EndpointRepository
from tellwire.model import operational_events

STRIDE = 5_000
"""Deliveries moved per transaction."""


def disable(shelf: EndpointRepository, endpoint_id: str, reason: str) -> bool:
    """Stop delivering, and tell of it; True when it was not disabled before. `park_left` then parks what waits."""
    endpoint = shelf.get(endpoint_id)
    if endpoint is None or endpoint.state == "disabled":
        return False
    since = shelf.health(endpoint_id).failing_since
    at = max(shelf.now, endpoint.updated_at + 1)
    shelf.put(replace(endpoint, state="disabled", disabled_reason=reason, updated_at=at), "disabled")
    shelf.tell(operational_events.disabled(endpoint, reason, failing_since=since))
    return True


def park_left(shelf: EndpointRepository, endpoint_id: str) -> bool:
    """Park what still waits for an endpoint that is paused or disabled; True once none is left, or it is active."""
    endpoint = shelf.get(endpoint_id)
    return endpoint is None or endpoint.state == "active" or shelf.park(endpoint_id, STRIDE)
