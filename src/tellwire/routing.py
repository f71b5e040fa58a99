"""PURE. Which endpoints an event goes to, and where the delivery lives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from tellwire.model import Endpoint, Event

PARTITIONS = 64
_SHARDS = 4
_CHAT = {"incoming_message": "messages.insert", "status_update": "messages.update"}


def partition(endpoint_id: str, order_key: str) -> int:
    """The virtual partition of a delivery: hash(endpoint, shard of the order key), so that a hot endpoint can have
    several owners while a key has one (DELIVERY.md, "Partitions with one owner")."""
    shard = blake2b(order_key.encode(), digest_size=1).digest()[0] % _SHARDS
    return int.from_bytes(blake2b(f"{endpoint_id}/{shard}".encode(), digest_size=2).digest(), "big") % PARTITIONS


class Routes:
    """The endpoints by what they subscribe to; built once per change of the registry, looked up per event."""

    def __init__(self, endpoints: Mapping[str, Endpoint], phone_numbers: Mapping[str, str]) -> None:
        """`phone_numbers`: account id -> phone_number_id (endpoints may name accounts by either)."""
        self._by_organization: dict[str, list[Endpoint]] = {}
        for endpoint in endpoints.values():
            self._by_organization.setdefault(endpoint.organization_id, []).append(endpoint)
        self._phone_numbers = phone_numbers
        self._found: dict[tuple[str, str, str], tuple[Endpoint, ...]] = {}

    def of(self, event: Event) -> Iterable[Endpoint]:
        """The endpoints that get this event; paused and disabled ones too, whose deliveries wait parked."""
        key = (event.organization_id, event.account_id, event.name)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = tuple(self._matching(event))
        return [endpoint for endpoint in found if _wants(endpoint, event)]

    def _matching(self, event: Event) -> Iterable[Endpoint]:
        names = {event.account_id, self._phone_numbers.get(event.account_id, "")}
        for endpoint in self._by_organization.get(event.organization_id, ()):
            if (not endpoint.accounts or names.intersection(endpoint.accounts)) and _subscribed(endpoint, event):
                yield endpoint


def _subscribed(endpoint: Endpoint, event: Event) -> bool:
    if event.entity == "operational":
        return event.name in endpoint.events
    if not endpoint.events:
        return True
    if event.name in endpoint.events:
        return True
    return endpoint.format == "chat" and event.entity == "messages" and any(n in _CHAT for n in endpoint.events)


def _wants(endpoint: Endpoint, event: Event) -> bool:
    """What only the event itself can tell."""
    if event.history and not endpoint.history:
        return False
    if event.external and not endpoint.external:
        return False
    return endpoint.format != "chat" or event.entity == "operational" or _in_chat(endpoint, event)


def _in_chat(endpoint: Endpoint, event: Event) -> bool:
    """Whether the `chat` format has a place for the event (FORMATS.md section 2) under the endpoint's subscription."""
    if event.entity != "messages":
        return False
    if event.snapshot.status is not None:
        name = "status_update"
    elif event.action == "insert" and event.direction == "incoming":
        name = "incoming_message"
    else:
        return False
    return not endpoint.events or name in endpoint.events or event.name in endpoint.events
