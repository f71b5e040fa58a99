"""Sessions of the console, and links that let somebody in once."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict, replace
from sqlalchemy import Connection, delete, insert, or_, select, update

from tellwire.model.members import Access, ConsoleSession, LoginLink
from tellwire.model.units import DAY, MINUTE, Micros
from tellwire.stores.queries.audit import AuditChange, note
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.schema.members import console_sessions, login_links

IDLE = 3 * DAY
"""A session that nobody used for so long is over."""
_MOST_OF_ONE = 100
"""So many sessions one member or portal link has at the most."""
SEEN_EVERY = 5 * MINUTE
"""How often the use of a session is written."""


def begin(connection: Connection, session: ConsoleSession, *, instead: str = "") -> None:
    """Store a new session; delete those that have expired, the one with the SHA-256 `instead`, and the oldest ones of
    the same member or portal link if it has too many."""
    now, table = session.created_at, console_sessions.c
    connection.execute(delete(console_sessions).where(or_(table.expires_at <= now, table.hash == instead)))
    if session.member_id or session.portal_link_id:
        query = select(table.hash).where(
            table.organization_id == session.organization_id,
            table.member_id == session.member_id,
            table.portal_link_id == session.portal_link_id,
        )
        old = connection.execute(query.order_by(table.created_at.desc()).offset(_MOST_OF_ONE - 1)).scalars().all()
        connection.execute(delete(console_sessions).where(table.hash.in_(old)))
    values = asdict(session) | {"access": msgspec.json.encode(session.access), "seen_at": now}
    connection.execute(insert(console_sessions).values(values))


def find(connection: Connection, digest: str, now: Micros) -> ConsoleSession | None:
    """Return the session whose cookie has this SHA-256 (hex), None when there is none that is still valid."""
    table = console_sessions.c
    query = select(console_sessions).where(table.hash == digest, table.expires_at > now, table.seen_at > now - IDLE)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return ConsoleSession(**{**columns(row), "access": msgspec.json.decode(row.access, type=Access)})


def seen(connection: Connection, digest: str, now: Micros) -> None:
    """Write that a session was used."""
    connection.execute(update(console_sessions).where(console_sessions.c.hash == digest).values(seen_at=now))


def end(connection: Connection, digest: str) -> None:
    """Delete a session."""
    connection.execute(delete(console_sessions).where(console_sessions.c.hash == digest))


def end_of_member(connection: Connection, organization_id: str, member_id: str, *, but: str = "") -> None:
    """Delete every session and login link of a member, except the session with the SHA-256 `but`."""
    for table in (console_sessions, login_links):
        mine = (table.c.organization_id == organization_id) & (table.c.member_id == member_id)
        connection.execute(delete(table).where(mine, table.c.hash != but))


def end_of_portal_link(connection: Connection, organization_id: str, link_id: str) -> None:
    """Delete every session that began by a portal link."""
    table = console_sessions.c
    mine = (table.organization_id == organization_id) & (table.portal_link_id == link_id)
    connection.execute(delete(console_sessions).where(mine))


# --- links that let somebody in once ----------------------------------------------------------------------------------


def add_link(connection: Connection, change: AuditChange, link: LoginLink) -> LoginLink:
    """Store a new login link with a new id, delete those that have expired, and return it."""
    connection.execute(delete(login_links).where(login_links.c.expires_at <= change.at))
    made = replace(link, id=change.new_id())
    connection.execute(insert(login_links).values(asdict(made)))
    note(connection, change, "login_link.created", made.member_id or made.id)
    return made


def links_page(
    connection: Connection, organization_id: str, now: Micros, request: PageRequest, *, operators: bool
) -> Page[LoginLink]:
    """Return a page of an organization's login links that still let somebody in; those of no member only with
    `operators`."""
    table = login_links.c
    query = select(login_links).where(table.organization_id == organization_id, table.expires_at > now)
    if not operators:
        query = query.where(table.member_id != "")
    return newest(connection, query, table.id, request, lambda row: LoginLink(**columns(row)))


def get_link(
    connection: Connection, organization_id: str, link_id: str, now: Micros, *, operators: bool
) -> LoginLink | None:
    """Return a login link that still lets somebody in, None when there is none; `operators` as for `links_page`."""
    table = login_links.c
    query = select(login_links).where(
        table.organization_id == organization_id, table.id == link_id, table.expires_at > now
    )
    row = connection.execute(query if operators else query.where(table.member_id != "")).one_or_none()
    return None if row is None else LoginLink(**columns(row))


def link_waits(connection: Connection, digest: str, now: Micros) -> bool:
    """Return whether a login link has this SHA-256 (hex) and was not used yet."""
    table = login_links.c
    query = select(table.id).where(table.hash == digest, table.expires_at > now)
    return connection.execute(query).one_or_none() is not None


def take_link(connection: Connection, digest: str, now: Micros) -> LoginLink | None:
    """Take the login link with this SHA-256 (hex), which nobody can take again. Return None when there is none, or it
    has expired."""
    table = login_links.c
    row = connection.execute(select(login_links).where(table.hash == digest)).one_or_none()
    connection.execute(delete(login_links).where(or_(table.hash == digest, table.expires_at <= now)))
    return None if row is None or row.expires_at <= now else LoginLink(**columns(row))


def revoke_link(connection: Connection, change: AuditChange, link_id: str, *, operators: bool) -> bool:
    """Delete a login link before anybody used it; return whether there was one."""
    table = login_links.c
    mine = (table.organization_id == change.organization_id) & (table.id == link_id)
    if not operators:
        mine &= table.member_id != ""
    if not connection.execute(delete(login_links).where(mine)).rowcount:
        return False
    note(connection, change, "login_link.revoked", link_id)
    return True
