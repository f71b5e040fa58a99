"""The tables of what people note about conversations: labels, notes, who is to answer and what was read.

They stand beside `conversations`, so that no decision over a ledger loads or writes them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table, UniqueConstraint, text

from tellwire.stores.schema.metadata import Text, metadata

ASSIGNED = "assignee <> ''"

labels = Table(
    "labels",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("colour", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    UniqueConstraint("organization_id", "name"),
    sqlite_with_rowid=False,
)

conversation_labels = Table(
    "conversation_labels",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("label_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "label_id", "conversation_id"),
    Index("conversation_labels_by_conversation", "organization_id", "conversation_id"),
    sqlite_with_rowid=False,
)

notes = Table(
    "notes",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("written_by", Text, nullable=False),  # as the audit names who calls
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("notes_by_conversation", "organization_id", "conversation_id", "id"),
    sqlite_with_rowid=False,
)

conversation_marks = Table(
    "conversation_marks",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("assignee", Text, nullable=False),  # the id of a member or of an agent; "": nobody's
    Column("read_until", Text, nullable=False),  # the newest message that somebody has read here; "": none
    PrimaryKeyConstraint("organization_id", "conversation_id"),
    Index(
        "conversation_marks_by_assignee",
        "organization_id",
        "assignee",
        "conversation_id",
        sqlite_where=text(ASSIGNED),
        postgresql_where=text(ASSIGNED),
    ),
    sqlite_with_rowid=False,
)
