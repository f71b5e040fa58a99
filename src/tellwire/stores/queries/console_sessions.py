"""Sessions of the console, and links that begin one."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, delete, insert, select

from tellwire.model.members import Access, ConsoleSession, LoginLink
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import columns
from tellwire.stores.schema.members import console_sessions, login_links


def begin(connection: Connection, session: ConsoleSession) -> None:
    """Store a new session, and delete those that have expired."""
    connection.execute(delete(console_sessions).where(console_sessions.c.expires_at <= session.created_at))
    values = asdict(session) | {"access": msgspec.json.encode(session.access)}
    connection.execute(insert(console_sessions).values(values))


def find(connection: Connection, digest: str, now: Micros) -> ConsoleSession | None:
    """Return the session whose cookie has this SHA-256 (hex), None when there is none that is still valid."""
    query = select(console_sessions).where(console_sessions.c.hash == digest, console_sessions.c.expires_at > now)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return ConsoleSession(**{**columns(row), "access": msgspec.json.decode(row.access, type=Access)})


def end(connection: Connection, digest: str) -> None:
    """Delete a session."""
    connection.execute(delete(console_sessions).where(console_sessions.c.hash == digest))


def end_of_member(connection: Connection, organization_id: str, member_id: str, *, but: str = "") -> None:
    """Delete every session of a member, except the one with the SHA-256 `but`."""
    mine = (console_sessions.c.organization_id == organization_id) & (console_sessions.c.member_id == member_id)
    connection.execute(delete(console_sessions).where(mine, console_sessions.c.hash != but))


def add_link(connection: Connection, link: LoginLink) -> None:
    """Store a new login link."""
    connection.execute(insert(login_links).values(asdict(link)))


def take_link(connection: Connection, digest: str, now: Micros) -> LoginLink | None:
    """Take the login link with this SHA-256 (hex), which nobody can take again. Return None when there is none, or it
    has expired."""
    row = connection.execute(select(login_links).where(login_links.c.hash == digest)).one_or_none()
    connection.execute(delete(login_links).where((login_links.c.hash == digest) | (login_links.c.expires_at <= now)))
    return None if row is None or row.expires_at <= now else LoginLink(**columns(row))
