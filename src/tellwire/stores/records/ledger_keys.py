"""What the keys of a decision mean in rows, for every database."""

from __future__ import annotations

from collections.abc import Iterable

from tellwire.meta.phone_numbers import variants
from tellwire.model.keys import Keys
from tellwire.model.registry import Registry
from tellwire.model.tenancy import DEFAULT_ORGANIZATION

LAST_ROW = "(SELECT max(id) FROM messages WHERE conversation_id = c.id)"
"""The id of the last message of the conversation `c`."""


def by_account(registry: Registry, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Replace the phone number id in each pair by its account's id; pairs of unknown numbers are left out."""
    return [(registry.accounts[number].id, value) for number, value in pairs if number in registry.accounts]


def owner_of(registry: Registry, phone_number_id: str) -> str:
    """Return the organization that owns a phone number id; an unknown one belongs to the default organization."""
    account = registry.accounts.get(phone_number_id)
    return account.organization_id if account is not None else DEFAULT_ORGANIZATION


def aliases(registry: Registry, keys: Keys) -> set[tuple[str, str]]:
    """Return (organization id, spelling) for every spelling of every address that the keys name."""
    return {
        (owner_of(registry, number), value)
        for number, address in keys.addresses
        for value in (address, *variants(address))
    }


def own(registry: Registry, keys: Keys) -> list[tuple[str, str]]:
    """Return (organization id, message id) of our own messages that the keys name."""
    accounts = registry.accounts
    return [(accounts[number].organization_id, value) for number, value in keys.own if number in accounts]
