"""The version of the registry, which tells every process that accounts, endpoints, agents or erasures have changed, or
that a key was revoked."""

from __future__ import annotations

from sqlalchemy import Connection, update

from tellwire.stores.schema.tables import facts


def advance(connection: Connection) -> None:
    """Make every process read the registry anew: accounts, endpoints, agents, marks, running erasures; and its keys."""
    connection.execute(update(facts).where(facts.c.name == "registry").values(value=facts.c.value + 1))
