"""People who were erased, and the installation's own keys."""

import sqlalchemy as sa
from alembic import op

from tellwire.stores.migrations.initial import TEXT


def create() -> None:
    """Create the tables and their indexes."""
    _sealed_keys()
    _erased()
    _erasures()


def _sealed_keys() -> None:
    op.create_table(
        "sealed_keys",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("sealed", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _erased() -> None:
    op.create_table(
        "erased",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("mark", TEXT, nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "mark"),
        sqlite_with_rowid=False,
    )
    op.create_index("erased_by_age", "erased", ["erased_at"])


def _erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("contact_id", TEXT, nullable=False),
        sa.Column("contact_ids", sa.LargeBinary(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("phase", TEXT, nullable=False),
        sa.Column("cursor", TEXT, nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", TEXT, nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("erasures_by_contact", "erasures", ["contact_id"])
    where = sa.text("state = 'running'")
    op.create_index("erasures_running", "erasures", ["id"], sqlite_where=where, postgresql_where=where)
