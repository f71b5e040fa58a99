"""How much an organization has of what quotas bound, counted in the transaction that makes one more."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select

from tellwire.model.quotas import QuotaName
from tellwire.model.units import Micros
from tellwire.stores.schema.members import members, portal_links
from tellwire.stores.schema.sending import agents
from tellwire.stores.schema.sources import sources
from tellwire.stores.schema.tables import accounts, api_keys, endpoints

TABLES: dict[QuotaName, Table] = {
    "accounts": accounts,
    "agents": agents,
    "api_keys": api_keys,
    "members": members,
    "portal_links": portal_links,
    "sources": sources,
    "webhook_endpoints": endpoints,
}
"""The quotas that count rows of a table."""


def count(connection: Connection, name: QuotaName, organization_id: str, now: Micros) -> int:
    """Return how many rows of an organization count; of API keys and portal links only those that still work."""
    table = TABLES[name]
    conditions: list[ColumnElement[Any]] = [table.c.organization_id == organization_id]
    if name == "api_keys":
        conditions += [table.c.revoked_at.is_(None), or_(table.c.expires_at.is_(None), table.c.expires_at > now)]
    if name == "portal_links":
        conditions.append(table.c.expires_at > now)
    return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
