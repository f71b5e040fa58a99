"""People who use the console: members, their sessions and links."""

import sqlalchemy as sa
from alembic import op

from tellwire.stores.migrations.initial import TEXT


def create() -> None:
    """Create the tables and their indexes."""
    op.create_table(
        "members",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("email", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("password_hash", TEXT, nullable=False),
        sa.Column("operator", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("failed_logins", sa.BigInteger(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=False),
        sa.Column("last_login_at", sa.BigInteger(), nullable=True),
        sa.Column("bodies", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sa.UniqueConstraint("email"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "console_sessions",
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("member_id", TEXT, nullable=False),
        sa.Column("portal_link_id", TEXT, nullable=False),
        sa.Column("access", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sqlite_with_rowid=False,
    )
    op.create_index("console_sessions_by_expiry", "console_sessions", ["expires_at"])
    op.create_index("console_sessions_by_member", "console_sessions", ["organization_id", "member_id"])
    op.create_index("console_sessions_by_portal_link", "console_sessions", ["organization_id", "portal_link_id"])
    op.create_table(
        "login_links",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("member_id", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sa.UniqueConstraint("hash"),
        sqlite_with_rowid=False,
    )
    op.create_index("login_links_by_expiry", "login_links", ["expires_at"])
    op.create_table(
        "portal_links",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("named", TEXT, nullable=False),
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("origins", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
