"""Members of an organization: the people who use the console."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import asdict, replace
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from tellwire.errors import Conflict
from tellwire.model.members import Member
from tellwire.stores.queries import console_sessions
from tellwire.stores.queries.audit import AuditChange, note
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.schema.members import members


def add(connection: Connection, change: AuditChange, member: Member) -> Member:
    """Store a new member with a new id and the change's time; return it.

    Raises:
        Conflict: a member has this address.
    """
    _check_email(connection, member)
    made = replace(member, id=change.new_id(), created_at=change.at, updated_at=change.at)
    connection.execute(insert(members).values(asdict(made)))
    note(connection, change, "member.created", made.id)
    return made


def get(connection: Connection, organization_id: str, member_id: str) -> Member | None:
    """Return a member of an organization, None when there is none."""
    mine = (members.c.organization_id == organization_id) & (members.c.id == member_id)
    row = connection.execute(select(members).where(mine)).one_or_none()
    return None if row is None else Member(**columns(row))


def get_many(connection: Connection, organization_id: str, member_ids: Collection[str]) -> list[Member]:
    """Return the members of an organization with these ids, leaving out unknown ids."""
    if not member_ids:
        return []
    query = select(members).where(members.c.organization_id == organization_id, members.c.id.in_(member_ids))
    return [Member(**columns(row)) for row in connection.execute(query)]


def of_email(connection: Connection, email: str) -> Member | None:
    """Return the member who logs in with this address, None when there is none."""
    row = connection.execute(select(members).where(members.c.email == email)).one_or_none()
    return None if row is None else Member(**columns(row))


def page(connection: Connection, organization_id: str, request: PageRequest) -> Page[Member]:
    """Return a page of the members of an organization."""
    query = select(members).where(members.c.organization_id == organization_id)
    return newest(connection, query, members.c.id, request, lambda row: Member(**columns(row)))


def change(connection: Connection, change: AuditChange, member: Member, *, action: str = "member.changed") -> Member:
    """Write a changed member; sessions of another role or password end.

    Raises:
        Conflict: another member has this address.
    """
    _check_email(connection, member)
    changed = replace(member, updated_at=change.at)
    connection.execute(update(members).where(_is(member)).values(asdict(changed)))
    note(connection, change, action, member.id)
    return changed


def login_tried(connection: Connection, member: Member) -> None:
    """Write what a login changed of a member: its failures in a row, its lock and its last success."""
    tried = {name: getattr(member, name) for name in ("failed_logins", "locked_until", "last_login_at")}
    connection.execute(update(members).where(_is(member)).values(tried))


def remove(connection: Connection, change: AuditChange, member: Member) -> None:
    """Delete a member, and end every session of theirs."""
    connection.execute(delete(members).where(_is(member)))
    console_sessions.end_of_member(connection, member.organization_id, member.id)
    note(connection, change, "member.deleted", member.id)


def _is(member: Member) -> ColumnElement[bool]:
    return (members.c.organization_id == member.organization_id) & (members.c.id == member.id)


def _check_email(connection: Connection, member: Member) -> None:
    other = of_email(connection, member.email)
    if other is not None and other.id != member.id:
        raise Conflict("A member has this address already.", ("/email", "is taken"))
