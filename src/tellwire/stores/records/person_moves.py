"""What a ledger decided about people beyond the rows that it knows: addresses that they left, contacts that became one.

The statements are those of PostgreSQL; `sqlite` gives SQLite's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tellwire.conversations.aliases import is_left
from tellwire.model.ledger import Ledger, Left, Merged
from tellwire.model.messaging import Alias
from tellwire.model.routing import order_key
from tellwire.stores.schema.sending import OPEN_SEND

Statement = tuple[str, tuple[Any, ...]]

DROPPED = "DELETE FROM contact_aliases WHERE organization_id=$1 AND value=$2 AND contact_id=$3"
ALIASES_OF = "SELECT value, since, until FROM contact_aliases WHERE contact_id=$1"
_END = "UPDATE contact_aliases SET until=$1 WHERE organization_id=$2 AND value=$3 AND contact_id=$4"
_OLD = "contact_aliases"
_GIVE = (
    "INSERT INTO contact_aliases(organization_id,value,contact_id,since,until)"
    " SELECT organization_id,value,$1,since,until FROM contact_aliases WHERE contact_id=$2"
    " ON CONFLICT (organization_id,value,contact_id) DO UPDATE SET"
    f" since=CASE WHEN excluded.since<{_OLD}.since THEN excluded.since ELSE {_OLD}.since END,"
    f" until=CASE WHEN excluded.until>{_OLD}.until THEN excluded.until ELSE {_OLD}.until END"
)
_GIVE_CALLS = (
    "INSERT INTO windows(organization_id,account_id,party,called_at)"
    " SELECT organization_id,account_id,$1,called_at FROM windows WHERE organization_id=$2 AND party=$3"
    " ON CONFLICT (organization_id,account_id,party) DO UPDATE SET"
    " called_at=CASE WHEN excluded.called_at>windows.called_at THEN excluded.called_at ELSE windows.called_at END"
)


def sqlite(statement: str) -> str:
    """Return a statement with SQLite's names of parameters."""
    return statement.replace("$", "?")


def merging(ledger: Ledger, merged: Merged) -> Iterator[Statement]:
    """Yield the statements that give the survivor what is the younger contact's."""
    pair = (merged.survivor, merged.younger)
    yield _GIVE, pair
    yield "DELETE FROM contact_aliases WHERE contact_id=$1", (merged.younger,)
    yield "UPDATE conversations SET party=$1 WHERE party=$2", pair
    yield (
        "UPDATE contacts SET merged_into=$1 WHERE merged_into=$2 AND merged_into <> '' AND organization_id=$3",
        (*pair, merged.organization_id),
    )
    yield _GIVE_CALLS, (merged.survivor, merged.organization_id, merged.younger)
    for account in ledger.registry.accounts.values():
        if account.organization_id == merged.organization_id:
            keys = order_key(account.id, merged.survivor), order_key(account.id, merged.younger)
            yield f"UPDATE sends SET order_key=$1 WHERE order_key=$2 AND {OPEN_SEND}", keys


def ending(ledger: Ledger, left: Left, rows: Iterable[tuple[str, int, int]]) -> Iterator[Statement]:
    """Yield the statements that end those of a contact's aliases (`ALIASES_OF`) that it left and the ledger does not
    know."""
    for value, since, until in rows:
        known = (left.organization_id, value) in ledger.aliases
        if not known and is_left(left, value, Alias(left.contact_id, since, until)):
            yield _END, (left.at, left.organization_id, value, left.contact_id)
