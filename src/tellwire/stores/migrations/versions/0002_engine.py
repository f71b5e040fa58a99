"""What the delivery engine adds: tables and columns that older code does not see."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # people: names of one's own, erasures and what they leave
    op.add_column("contacts", sa.Column("own_name", sa.Boolean(), server_default=sa.false(), nullable=False))
    merged = sa.text("merged_into <> ''")
    op.create_index(
        "contacts_merged", "contacts", ["merged_into"], unique=False, sqlite_where=merged, postgresql_where=merged
    )
    op.create_table(
        "sealed_keys",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "erased",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "mark"),
        sqlite_with_rowid=False,
    )
    op.create_index("erased_by_age", "erased", ["erased_at"], unique=False)
    op.create_table(
        "erasures",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Text(), nullable=False),
        sa.Column("contact_ids", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("erasures_by_contact", "erasures", ["contact_id"], unique=False)
    running = sa.text("state = 'running'")
    op.create_index(
        "erasures_running", "erasures", ["id"], unique=False, sqlite_where=running, postgresql_where=running
    )
