"""Portal links: what people who are no members may see and do."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict, replace
from sqlalchemy import Connection, delete, insert, select

from tellwire.model.members import PortalLink
from tellwire.model.units import DAY
from tellwire.stores.queries import console_sessions
from tellwire.stores.queries.audit import AuditChange, note
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.schema.members import portal_links

_LISTS = ("named", "origins")
_LISTED_FOR = 30 * DAY
"""How long a link is listed after it has expired."""


def add(connection: Connection, change: AuditChange, link: PortalLink) -> PortalLink:
    """Store a new link with a new id and the change's time, delete those that expired long ago, and return it."""
    table = portal_links.c
    old = (table.organization_id == link.organization_id) & (table.expires_at <= change.at - _LISTED_FOR)
    connection.execute(delete(portal_links).where(old))
    made = replace(link, id=change.new_id(), created_at=change.at)
    values = asdict(made) | {name: " ".join(getattr(made, name)) for name in _LISTS}
    connection.execute(insert(portal_links).values(values))
    note(connection, change, "portal_link.created", made.id)
    return made


def get(connection: Connection, organization_id: str, link_id: str) -> PortalLink | None:
    """Return a link of an organization, None when there is none."""
    mine = (portal_links.c.organization_id == organization_id) & (portal_links.c.id == link_id)
    row = connection.execute(select(portal_links).where(mine)).one_or_none()
    return None if row is None else _link(row)


def page(connection: Connection, organization_id: str, request: PageRequest) -> Page[PortalLink]:
    """Return a page of the links of an organization, expired ones too."""
    query = select(portal_links).where(portal_links.c.organization_id == organization_id)
    return newest(connection, query, portal_links.c.id, request, _link)


def revoke(connection: Connection, change: AuditChange, link_id: str) -> bool:
    """Delete a link and end the sessions that began by it; return whether there was one."""
    mine = (portal_links.c.organization_id == change.organization_id) & (portal_links.c.id == link_id)
    if not connection.execute(delete(portal_links).where(mine)).rowcount:
        return False
    console_sessions.end_of_portal_link(connection, change.organization_id, link_id)
    note(connection, change, "portal_link.revoked", link_id)
    return True


def _link(row: Any) -> PortalLink:
    return PortalLink(**{**columns(row), **{name: tuple(getattr(row, name).split()) for name in _LISTS}})
