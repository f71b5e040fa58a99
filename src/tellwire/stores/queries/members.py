"""Members of an organization: the people who use the console."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec.structs import asdict, replace
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from tellwire.errors import Conflict
from tellwire.model.members import Member
from tellwire.model.units import MINUTE, Micros
from tellwire.stores.queries import console_sessions
from tellwire.stores.queries.audit import AuditChange, note
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.schema.members import members

MOST_FAILED = 8
"""So many wrong passwords in a row lock a member out, for `LOCKED_FOR`."""
LOCKED_FOR = 15 * MINUTE


def add(connection: Connection, change: AuditChange, member: Member) -> Member:
    """Store a new member with a new id and the change's time; return it.

    Raises:
        Conflict: a member has this address.
    """
    if of_email(connection, member.email) is not None:
        raise Conflict("A member has this address already.", ("/email", "is taken"))
    made = replace(member, id=change.new_id(), created_at=change.at, updated_at=change.at)
    connection.execute(insert(members).values(asdict(made)))
    note(connection, change, "member.created", made.id)
    return made


def get(connection: Connection, organization_id: str, member_id: str, *, operators: bool = True) -> Member | None:
    """Return a member of an organization, None when there is none; with `operators` also one who runs it all."""
    query = select(members).where(members.c.organization_id == organization_id, members.c.id == member_id)
    row = connection.execute(_seen(query, operators=operators)).one_or_none()
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


def page(connection: Connection, organization_id: str, request: PageRequest, *, operators: bool = True) -> Page[Member]:
    """Return a page of the members of an organization; `operators` as for `get`."""
    query = _seen(select(members).where(members.c.organization_id == organization_id), operators=operators)
    return newest(connection, query, members.c.id, request, lambda row: Member(**columns(row)))


def _seen(query: Any, *, operators: bool) -> Any:
    return query if operators else query.where(members.c.operator.is_(False))


def change(
    connection: Connection,
    change: AuditChange,
    member: Member,
    *,
    action: str = "member.changed",
    keep_session: str = "",
) -> Member:
    """Write a changed member. If it may do other things now, or has another password, its sessions end, except the one
    with the SHA-256 `keep_session`, and so do its login links.

    Raises:
        Conflict: the organization would have no owner.
    """
    before = get(connection, member.organization_id, member.id)
    if before is None:
        raise LookupError(member.id)
    if member.role != "owner":
        _check_owner_is_left(connection, before)
    changed = replace(member, updated_at=change.at)
    connection.execute(update(members).where(_is(member)).values(asdict(changed)))
    if any(getattr(before, name) != getattr(member, name) for name in ("role", "password_hash", "operator", "bodies")):
        console_sessions.end_of_member(connection, member.organization_id, member.id, but=keep_session)
    note(connection, change, action, member.id)
    return changed


def end_sessions(connection: Connection, change: AuditChange, member: Member, *, keep_session: str = "") -> None:
    """End every session and login link of a member, except the session with the SHA-256 `keep_session`."""
    console_sessions.end_of_member(connection, member.organization_id, member.id, but=keep_session)
    note(connection, change, "member.logged_out", member.id)


def remove(connection: Connection, change: AuditChange, member: Member) -> None:
    """Delete a member, and end every session of theirs.

    Raises:
        Conflict: the organization would have no owner.
    """
    _check_owner_is_left(connection, member)
    connection.execute(delete(members).where(_is(member)))
    console_sessions.end_of_member(connection, member.organization_id, member.id)
    note(connection, change, "member.deleted", member.id)


def password_tried(connection: Connection, member: Member, now: Micros) -> bool:
    """Count a try of a member's password before it is known whether it is right, so that tries at the same time are
    counted one by one. Return whether it counts at all: not while the member is locked."""
    current = get(connection, member.organization_id, member.id)
    if current is None or current.locked_until > now:
        return False
    tries = current.failed_logins + 1
    locks = tries >= MOST_FAILED
    values = {"failed_logins": 0, "locked_until": now + LOCKED_FOR} if locks else {"failed_logins": tries}
    connection.execute(update(members).where(_is(member)).values(values))
    return True


def password_was_right(connection: Connection, member: Member) -> Member | None:
    """Forget the tries of a member whose password was right, and return the member as it is now. Return None if it is
    gone, or has another password since it was read."""
    current = get(connection, member.organization_id, member.id)
    if current is None or current.password_hash != member.password_hash:
        return None
    connection.execute(update(members).where(_is(member)).values(failed_logins=0, locked_until=0))
    return current


def entered(connection: Connection, member: Member, now: Micros) -> None:
    """Write when a member came in."""
    connection.execute(update(members).where(_is(member)).values(last_login_at=now))


def _check_owner_is_left(connection: Connection, member: Member) -> None:
    """Raise Conflict if a member is the organization's last owner."""
    if member.role != "owner":
        return
    others = (
        select(func.count())
        .select_from(members)
        .where(
            members.c.organization_id == member.organization_id, members.c.role == "owner", members.c.id != member.id
        )
    )
    if not connection.execute(others).scalar_one():
        raise Conflict("This member is the organization's last owner: make another one first.", kind="last-owner")


def _is(member: Member) -> ColumnElement[bool]:
    return (members.c.organization_id == member.organization_id) & (members.c.id == member.id)
