"""Sources of an organization: the other systems that send to us beside Meta."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from tellwire.errors import Conflict
from tellwire.model.sources import Source
from tellwire.security.vault import Vault
from tellwire.stores.queries.audit import AuditChange, note_change
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.records import source_rows
from tellwire.stores.schema.sources import sources


def add(connection: Connection, change: AuditChange, vault: Vault, source: Source) -> Source:
    """Store a new source.

    Raises:
        Conflict: another source of the organization has its name.
    """
    _check_name(connection, source)
    connection.execute(insert(sources).values(source_rows.source_values(source, vault)))
    note_change(connection, change, "source.created", source.id)
    return source


def get(connection: Connection, vault: Vault, organization_id: str, source_id: str) -> Source | None:
    """Return a source of an organization, None when there is none."""
    mine = (sources.c.organization_id == organization_id) & (sources.c.id == source_id)
    row = connection.execute(select(sources).where(mine)).one_or_none()
    return None if row is None else source_rows.source(columns(row), vault)


def page(connection: Connection, vault: Vault, organization_id: str, request: PageRequest) -> Page[Source]:
    """Return a page of the sources of an organization."""
    query = select(sources).where(sources.c.organization_id == organization_id)
    return newest(connection, query, sources.c.id, request, lambda row: source_rows.source(columns(row), vault))


def change(connection: Connection, change: AuditChange, vault: Vault, source: Source) -> Source:
    """Write a changed source.

    Raises:
        Conflict: another source of the organization has its name.
    """
    _check_name(connection, source)
    mine = (sources.c.organization_id == source.organization_id) & (sources.c.id == source.id)
    connection.execute(update(sources).where(mine).values(source_rows.source_values(source, vault)))
    note_change(connection, change, "source.changed", source.id)
    return source


def remove(connection: Connection, change: AuditChange, source_id: str) -> None:
    """Delete a source. What it brought stays; what is known for comparing it goes with retention."""
    mine = (sources.c.organization_id == change.organization_id) & (sources.c.id == source_id)
    connection.execute(delete(sources).where(mine))
    note_change(connection, change, "source.deleted", source_id)


def _check_name(connection: Connection, source: Source) -> None:
    named = (sources.c.organization_id == source.organization_id) & (sources.c.name == source.name)
    other = connection.execute(select(sources.c.id).where(named, sources.c.id != source.id)).first()
    if other is not None:
        raise Conflict("Another source of the organization has this name.", ("/name", "is taken"))
