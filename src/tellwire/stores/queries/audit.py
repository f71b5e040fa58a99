"""The audit: who changed what, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, insert, select

from tellwire.model.units import Micros
from tellwire.stores.queries import registry_version
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.schema.tables import audit

OURSELVES = "tellwire"
"""The actor of changes that Tellwire makes by itself."""


class AuditChange(Struct, frozen=True):
    """The circumstances of a change: its organization, who makes it and when. Call `new_id` inside the write only."""

    organization_id: str
    actor: str
    at: Micros
    new_id: Callable[[], str]


class AuditEntry(Struct, frozen=True, kw_only=True):
    """A line of the audit: `actor` did `action` to `subject`."""

    id: str
    organization_id: str
    actor: str
    action: str
    subject: str
    created_at: Micros


def note(connection: Connection, change: AuditChange, action: str, subject: str, *, organization_id: str = "") -> None:
    """Record in the audit that something was done, for the change's organization unless another is named."""
    connection.execute(
        insert(audit).values(
            id=change.new_id(),
            organization_id=organization_id or change.organization_id,
            actor=change.actor,
            action=action,
            subject=subject,
            created_at=change.at,
        )
    )


def note_change(connection: Connection, change: AuditChange, action: str, subject: str) -> None:
    """Call `note` for an account, endpoint, agent or key, and make every process read the registry anew."""
    registry_version.advance(connection)
    note(connection, change, action, subject)


def page(connection: Connection, organization_id: str, request: PageRequest) -> Page[AuditEntry]:
    """Return a page of the audit of an organization."""
    query = select(audit).where(audit.c.organization_id == organization_id)
    return newest(connection, query, audit.c.id, request, _entry)


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(**columns(row))
