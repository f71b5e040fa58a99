"""The order of deliveries across a merge: what follows of the survivor goes out behind what waits of the younger.

The next delivery of the survivor to each endpoint names the younger's last one that waits there (`Delivery.behind`);
until it is made, `sequences.behind` of the survivor's key remembers that. Source: docs/reference/delivery.md, "Order".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tellwire.model.ledger import Ledger, Merged
from tellwire.model.routing import order_key
from tellwire.stores.schema.deliveries import OF_A_PERSON

Behind = dict[tuple[str, str], set[str]]
"""(endpoint, order key) → ids of deliveries of other keys that go first."""

LAST = (
    "SELECT d.endpoint_id, d.order_key, max(d.id) FROM ("
    "SELECT e.id FROM conversations c JOIN events e ON e.conversation_id = c.id WHERE c.party = $1"
    f" UNION SELECT id FROM events WHERE contact_id = $1 AND {OF_A_PERSON}"
    ") e JOIN deliveries d ON d.event_id = e.id"
    " WHERE d.lane = 'live' AND d.state IN ('pending', 'delivering', 'retrying', 'parked')"
    " GROUP BY d.endpoint_id, d.order_key"
)
"""The last delivery to each endpoint that waits of a contact's conversations, and of what was told of the contact."""
REMEMBERED = "SELECT behind FROM sequences WHERE endpoint_id = $1 AND order_key = $2 AND behind <> ''"
REMEMBER = (
    "INSERT INTO sequences(endpoint_id, order_key, last, behind) VALUES ($1, $2, 0, $3)"
    " ON CONFLICT(endpoint_id, order_key) DO UPDATE SET behind = excluded.behind"
)
FORGET = "UPDATE sequences SET behind = '' WHERE endpoint_id = $1 AND order_key = $2"


def merged_of(ledger: Ledger) -> list[Merged]:
    """Return the merges of a ledger, in order."""
    return [move for move in ledger.moves if isinstance(move, Merged)]


def keys_of(ledger: Ledger, merged: Merged) -> dict[str, str]:
    """Return the survivor's order key for each order key of the younger contact."""
    accounts = (*ledger.registry.accounts.values(), *ledger.new_accounts.values())
    return {
        order_key(account.id, merged.younger): order_key(account.id, merged.survivor)
        for account in accounts
        if account.organization_id == merged.organization_id
    }


def places_of(ledger: Ledger, keys: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return every (endpoint, order key) of both contacts for which something may be remembered."""
    endpoints = ledger.registry.endpoints
    return [(endpoint, key) for endpoint in endpoints for key in (*keys, *keys.values())]


def put_behind(
    behind: Behind,
    ledger: Ledger,
    keys: Mapping[str, str],
    last: Iterable[tuple[str, str, str]],
    remembered: Mapping[tuple[str, str], str],
) -> None:
    """Add what one merge makes of the order.

    Args:
        behind: what the merges before it made.
        keys: see `keys_of`.
        last: rows of `LAST`.
        remembered: by (endpoint, order key), what the rows remember.
    """
    waiting = {(endpoint, key): name for endpoint, key, name in last}
    waiting |= {(w.delivery.endpoint_id, w.delivery.order_key): w.delivery.id for w in ledger.work}
    for place, names in remembered.items():
        behind.setdefault(place, set()).update(names.split())
    for (endpoint, key), name in waiting.items():
        if key in keys:
            behind.setdefault((endpoint, keys[key]), set()).add(name)
    for endpoint, key in [place for place in behind if place[1] in keys]:
        behind.setdefault((endpoint, keys[key]), set()).update(behind[endpoint, key])
