"""What the delivery engine adds. Only additions: the version before runs on this schema."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _dispatchers()
    _people()
    _endpoint_health()
    _replays()
    _jobs()


def _dispatchers() -> None:
    op.create_table(
        "dispatchers",
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner"),
    )


def _people() -> None:
    """Names of one's own; erasures, and what they leave."""
    op.add_column("contacts", sa.Column("own_name", sa.Boolean(), server_default=sa.false(), nullable=False))
    merged = sa.text("merged_into <> ''")
    op.create_index(
        "contacts_merged", "contacts", ["merged_into"], unique=False, sqlite_where=merged, postgresql_where=merged
    )
    op.create_table(
        "sealed_keys",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("sealed", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "erased",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("mark", TEXT, nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "mark"),
        sqlite_with_rowid=False,
    )
    op.create_index("erased_by_age", "erased", ["erased_at"], unique=False)
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
    op.create_index("erasures_by_contact", "erasures", ["contact_id"], unique=False)
    running = sa.text("state = 'running'")
    op.create_index(
        "erasures_running", "erasures", ["id"], unique=False, sqlite_where=running, postgresql_where=running
    )


def _endpoint_health() -> None:
    op.create_table(
        "endpoint_health",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=False),
        sa.Column("failing_for", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("last_failure_at", sa.BigInteger(), nullable=False),
        sa.Column("last_success_at", sa.BigInteger(), nullable=False),
        sa.Column("resumed_at", sa.BigInteger(), nullable=False),
        sa.Column("cause", TEXT, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "endpoint_id"),
        sqlite_with_rowid=False,
    )


def _replays() -> None:
    op.create_table(
        "replay_edits",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("delivery_id", TEXT, nullable=False),
        sa.Column("replay", sa.Integer(), nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "delivery_id", "replay"),
    )
    where = sa.text("lane = 'replay' AND state IN ('pending', 'delivering', 'retrying')")
    op.create_index(
        "deliveries_replayed", "deliveries", ["endpoint_id", "id"], sqlite_where=where, postgresql_where=where
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("wanted", sa.LargeBinary(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.Column("cursor", TEXT, nullable=False),
        sa.Column("turns", sa.BigInteger(), nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("last_due_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("jobs_by_endpoint", "jobs", ["endpoint_id", "id"], unique=False)
    where = sa.text("state IN ('queued', 'running')")
    op.create_index("jobs_open", "jobs", ["id"], unique=False, sqlite_where=where, postgresql_where=where)
