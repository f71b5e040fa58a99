"""PURE. How much one organization may have of what it can make without end, and what is said when it has that much.

Each quota has a setting of its name, `QUOTA_…`. Source: docs/reference/rest-api.md, "Quotas".
"""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

from tellwire.errors import QuotaExceeded

QuotaName = Literal[
    "accounts",
    "agents",
    "api_keys",
    "event_streams",
    "members",
    "portal_links",
    "scheduled_messages",
    "sources",
    "webhook_endpoints",
]
NAMES: tuple[QuotaName, ...] = get_args(QuotaName)

_REMEDIES: dict[QuotaName, str] = {
    "accounts": "delete one",
    "agents": "delete one",
    "api_keys": "revoke one",
    "event_streams": "close one",
    "members": "delete one",
    "portal_links": "delete one",
    "scheduled_messages": "cancel some, or wait until some are sent",
    "sources": "delete one",
    "webhook_endpoints": "delete one",
}


class Quotas(Struct, frozen=True, kw_only=True):
    """The bound of each quota, for every organization alike, also for what an operator makes."""

    accounts: int = 1000
    agents: int = 100
    api_keys: int = 100
    event_streams: int = 20
    members: int = 200
    portal_links: int = 1000
    scheduled_messages: int = 10_000
    sources: int = 20
    webhook_endpoints: int = 100

    def bound(self, name: QuotaName) -> int:
        """Return how much one organization may have."""
        bound: int = getattr(self, name)
        return bound

    def refusal(self, name: QuotaName, count: int) -> QuotaExceeded | None:
        """Return the problem of making one more when there are `count`; None when that is allowed."""
        bound = self.bound(name)
        return QuotaExceeded(explained(name, bound), quota=name) if count >= bound else None


def explained(name: QuotaName, bound: int) -> str:
    """Return what is said when a quota is used up."""
    setting = f"QUOTA_{name.upper()}"
    return (
        f"The organization has its {bound} {name.replace('_', ' ')} ({setting}): {_REMEDIES[name]}, or ask who runs "
        f"this installation to set TELLWIRE_{setting} higher."
    )
