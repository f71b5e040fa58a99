"""What the keys of a decision mean in rows: one place for every dialect."""

from __future__ import annotations

from collections.abc import Iterable

from tellwire.meta.phone_numbers import variants
from tellwire.model.ledger import Keys
from tellwire.model.registry import Registry
from tellwire.model.tenancy import DEFAULT_ORGANIZATION

LAST_ROW = "(SELECT max(id) FROM messages WHERE conversation_id = c.id)"
"""The id of the last message of the conversation `c`."""


def by_account(registry: Registry, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(phone_number_id, …) as (account id, …), but for numbers that are no account's."""
    return [(registry.accounts[number].id, value) for number, value in pairs if number in registry.accounts]


def owner_of(registry: Registry, phone_number_id: str) -> str:
    """The organization that a number is of; an unknown one would join the default organization."""
    account = registry.accounts.get(phone_number_id)
    return account.organization_id if account is not None else DEFAULT_ORGANIZATION


def aliases(registry: Registry, keys: Keys) -> set[tuple[str, str]]:
    """(organization id, spelling) of every address that the keys name."""
    return {
        (owner_of(registry, number), value)
        for number, address in keys.addresses
        for value in (address, *variants(address))
    }


def own(registry: Registry, keys: Keys) -> list[tuple[str, str]]:
    """(organization id, message id) of the messages of ours that the keys name."""
    accounts = registry.accounts
    return [(accounts[number].organization_id, value) for number, value in keys.own if number in accounts]
