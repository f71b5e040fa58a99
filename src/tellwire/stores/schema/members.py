"""The tables of people who use the console: members, their sessions and links."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, PrimaryKeyConstraint, Table, false, true

from tellwire.stores.schema.metadata import Text, metadata

members = Table(
    "members",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),  # "": none was set, so only a login link lets the member in
    Column("operator", Boolean, nullable=False, server_default=false()),
    Column("failed_logins", BigInteger, nullable=False),
    Column("locked_until", BigInteger, nullable=False),
    Column("last_login_at", BigInteger),
    Column("bodies", Boolean, nullable=False, server_default=true()),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    sqlite_with_rowid=False,
)

console_sessions = Table(
    "console_sessions",
    metadata,
    Column("hash", Text, primary_key=True),  # the SHA-256 of the cookie's value
    Column("organization_id", Text, nullable=False),
    Column("member_id", Text, nullable=False),  # "": a portal link or an operator on the machine itself opened it
    Column("portal_link_id", Text, nullable=False),
    Column("access", LargeBinary, nullable=False),  # what may be done, as JSON (`model/members.py`)
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index("console_sessions_by_expiry", "expires_at"),
    Index("console_sessions_by_member", "organization_id", "member_id"),
    Index("console_sessions_by_portal_link", "organization_id", "portal_link_id"),
    sqlite_with_rowid=False,
)

login_links = Table(
    "login_links",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),  # the SHA-256 of what the link ends in
    Column("member_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("login_links_by_expiry", "expires_at"),
    sqlite_with_rowid=False,
)

portal_links = Table(
    "portal_links",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("named", Text, nullable=False),  # what may be done, words divided by blanks
    Column("endpoint_id", Text, nullable=False),  # "": every endpoint
    Column("origins", Text, nullable=False),  # divided by blanks
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    sqlite_with_rowid=False,
)
