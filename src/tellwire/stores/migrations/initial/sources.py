"""Other systems that send to us, and what each of them brought."""

import sqlalchemy as sa
from alembic import op

from tellwire.stores.migrations.initial import TEXT


def create() -> None:
    """Create the tables and their indexes."""
    _sources()
    _source_items()


def _sources() -> None:
    op.create_table(
        "sources",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("authentication", TEXT, nullable=False),
        sa.Column("header", TEXT, nullable=False),
        sa.Column("sealed", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("mode", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("sources_by_name", "sources", ["organization_id", "name"], unique=True)


def _source_items() -> None:
    op.create_table(
        "source_items",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("inbound_id", TEXT, nullable=False),
        sa.Column("pointer", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "key", "source"),
        sqlite_with_rowid=False,
    )
    op.create_index("source_items_by_time", "source_items", ["organization_id", "at"])
    op.create_index("source_items_by_fingerprint", "source_items", ["organization_id", "fingerprint"])
