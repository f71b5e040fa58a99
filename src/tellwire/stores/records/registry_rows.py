"""The registry of accounts, endpoints, agents and sources as rows, for every database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tellwire.model.registry import Registry, takers_of
from tellwire.security.vault import Vault
from tellwire.stores.records import ledger_rows, sending_rows, source_rows

VERSION = "SELECT value FROM facts WHERE name = 'registry'"
RAISE_VERSION = "UPDATE facts SET value = value + 1 WHERE name = 'registry'"
"""Makes every process read the registry anew."""

ACCOUNTS = "SELECT * FROM accounts ORDER BY id"
ENDPOINTS = "SELECT * FROM endpoints ORDER BY id"
AGENTS = "SELECT * FROM agents ORDER BY id"
SOURCES = "SELECT * FROM sources ORDER BY id"
RUNNING_ERASURES = "SELECT contact_ids FROM erasures WHERE state = 'running'"


class RegistryRows(Struct, frozen=True, kw_only=True):
    """The rows of a registry as mappings of columns, and its sealed keys where they exist."""

    version: int
    accounts: Iterable[Any]
    endpoints: Iterable[Any]
    agents: Iterable[Any]
    sources: Iterable[Any]
    media_key: str | None
    erased_key: str | None
    erasing: Iterable[bytes]
    """the column `contact_ids` of the erasures that are running"""


def registry(rows: RegistryRows, vault: Vault, *, lenient: bool) -> Registry:
    """Return the registry of these rows; `lenient` leaves out records that no master key opens."""
    accounts = list(ledger_rows.opened(ledger_rows.account, rows.accounts, vault, lenient=lenient))
    endpoints = ledger_rows.opened(ledger_rows.endpoint, rows.endpoints, vault, lenient=lenient)
    agents = ledger_rows.opened(sending_rows.agent, rows.agents, vault, lenient=lenient)
    numbers = {account.id: account.phone_number_id for account in accounts}
    sources = [
        replace(each, phone_number_id=numbers.get(each.account_id, ""))
        for each in ledger_rows.opened(source_rows.source, rows.sources, vault, lenient=lenient)
    ]
    by_id = {endpoint.id: endpoint for endpoint in endpoints}
    key = rows.erased_key
    return Registry(
        version=rows.version,
        accounts={account.phone_number_id: account for account in accounts},
        endpoints=by_id,
        agents={agent.id: agent for agent in agents},
        meta=takers_of(by_id.values()),
        media_key=sending_rows.media_key(rows.media_key, vault, lenient=lenient),
        erased_key=ledger_rows.sealed_key(key, vault, ledger_rows.ERASED_KEY) if key else b"",
        erasing=ledger_rows.erasing(rows.erasing),
        sources={source.id: source for source in sources},
        compared=frozenset(source.organization_id for source in sources),
    )
