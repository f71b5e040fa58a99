"""What people note about conversations: labels, notes, who is to answer and what was read."""

import sqlalchemy as sa
from alembic import op

from tellwire.stores.migrations.initial import TEXT


def create() -> None:
    """Create the tables and their indexes."""
    op.create_table(
        "labels",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("colour", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sa.UniqueConstraint("organization_id", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "conversation_labels",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("label_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "label_id", "conversation_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "conversation_labels_by_conversation", "conversation_labels", ["organization_id", "conversation_id"]
    )
    op.create_table(
        "notes",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("written_by", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("notes_by_conversation", "notes", ["organization_id", "conversation_id", "id"])
    op.create_table(
        "conversation_marks",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("assignee", TEXT, nullable=False),
        sa.Column("read_until", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "conversation_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "conversation_marks_by_assignee",
        "conversation_marks",
        ["organization_id", "assignee", "conversation_id"],
        sqlite_where=sa.text("assignee <> ''"),
        postgresql_where=sa.text("assignee <> ''"),
    )
