"""PURE. Which endpoints an event goes to, and in which partition the delivery is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b

from msgspec.structs import replace

from tellwire.model.deliveries import Endpoint, Event, Part
from tellwire.model.registry import META, Registry
from tellwire.model.tenancy import Account

NamesOf = Callable[[Event], tuple[str, ...]]

PARTITIONS = 64
_SHARDS = 4


def partition(endpoint_id: str, order_key: str) -> int:
    """Return the partition of a delivery: hash(endpoint, shard of the order key), so that a busy endpoint can have
    several owners while a key has one.

    Source: docs/reference/delivery.md, "Partitions and leases".
    """
    return _partitions(endpoint_id)[blake2b(order_key.encode(), digest_size=1).digest()[0] % _SHARDS]


def partitions(endpoint_id: str) -> tuple[int, ...]:
    """Return the partitions that an endpoint's deliveries are in, in rising order."""
    return tuple(sorted(set(_partitions(endpoint_id))))


@lru_cache(maxsize=16_384)
def _partitions(endpoint_id: str) -> tuple[int, ...]:
    """Return the partition of each shard."""
    return tuple(
        int.from_bytes(blake2b(f"{endpoint_id}/{shard}".encode(), digest_size=2).digest(), "big") % PARTITIONS
        for shard in range(_SHARDS)
    )


class Routes:
    """The endpoints by what they subscribe to; built once per change of the registry, looked up per event."""

    def __init__(self, registry: Registry, names: Mapping[str, NamesOf]) -> None:
        """Group the endpoints of a registry.

        Args:
            registry: whose endpoints and accounts.
            names: by payload format, the names under which an event is subscribed to; () when the format does not show
                it.
        """
        self._registry = registry
        self._names = names
        self._phone_numbers = {a.id: a.phone_number_id for a in registry.accounts.values()}
        self._formats: dict[str, dict[str, list[Endpoint]]] = {}
        for endpoint in registry.endpoints.values():
            formats = self._formats.setdefault(endpoint.organization_id, {})
            formats.setdefault(endpoint.format, []).append(endpoint)
        self._found: dict[tuple[str, str, str, tuple[str, ...]], tuple[Endpoint, ...]] = {}

    def with_account(self, account: Account) -> Routes:
        """Return the routes with one more account, which the registry will hold after the commit."""
        accounts = {**self._registry.accounts, account.phone_number_id: account}
        return Routes(replace(self._registry, accounts=accounts), self._names)

    def of(self, event: Event) -> list[Endpoint]:
        """Return the endpoints that get this event; paused and disabled ones too, whose deliveries wait parked."""
        if event.entity == "meta":
            endpoints = self._formats.get(event.organization_id, {}).get(META, ())
            return [each for each in endpoints if _gets(each, event)]
        wanted: list[Endpoint] = []
        for format_name, endpoints in self._formats.get(event.organization_id, {}).items():
            names = self._names[format_name](event)
            if not names:
                continue
            key = (event.organization_id, event.account_id, format_name, names)
            found = self._found.get(key)
            if found is None:
                found = self._found[key] = tuple(e for e in endpoints if self._subscribed(e, event, names))
            wanted += [e for e in found if (e.history or not event.history) and (e.external or not event.external)]
        return wanted

    def _subscribed(self, endpoint: Endpoint, event: Event, names: tuple[str, ...]) -> bool:
        number = self._phone_numbers.get(event.account_id, "")
        if event.account_id and not _of_its_accounts(endpoint, event.account_id, number):
            return False
        if event.entity == "operational":
            return event.name in endpoint.events and (endpoint.standby or not event.name.startswith("standby."))
        return not endpoint.events or not set(names).isdisjoint(endpoint.events)


def takes(endpoint: Endpoint, part: Part) -> bool:
    """Return whether an endpoint of the format `meta` takes such a change of a POST of Meta's."""
    if endpoint.fields and part.field not in endpoint.fields:
        return False
    if (part.field == "standby" and not endpoint.standby) or (part.field == "history" and not endpoint.history):
        return False
    if endpoint.events and f"meta.{part.field}" not in endpoint.events:
        return False
    return not part.account_id or _of_its_accounts(endpoint, part.account_id, part.phone_number_id)


def _gets(endpoint: Endpoint, event: Event) -> bool:
    """Return whether an endpoint of the format `meta` gets an event of the entity `meta`."""
    if event.direction == "outgoing":
        wanted = endpoint.echoes
    else:
        wanted = endpoint.batching == ("item" if event.action == "item" else "as_received")
    if not wanted or (event.external and not endpoint.external):
        return False
    return any(takes(endpoint, part) for part in event.snapshot.parts)


def _of_its_accounts(endpoint: Endpoint, account_id: str, phone_number_id: str) -> bool:
    return not endpoint.accounts or account_id in endpoint.accounts or phone_number_id in endpoint.accounts


def order_key(account_id: str, party: str) -> str:
    """Return the key that events of one contact or group on one account are ordered by.

    Source: docs/reference/delivery.md, "Order".
    """
    return blake2b(f"{account_id}:{party}".encode(), digest_size=12).hexdigest()
