"""The version of the registry, by which every process sees that accounts, endpoints or erasures have changed."""

from __future__ import annotations

from sqlalchemy import Connection, update

from tellwire.stores.schema.tables import facts


def advance(connection: Connection) -> None:
    """Let every process read the registry anew: accounts, endpoints, agents, marks, and who is being erased."""
    connection.execute(update(facts).where(facts.c.name == "registry").values(value=facts.c.value + 1))
