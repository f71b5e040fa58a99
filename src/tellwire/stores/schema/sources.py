"""The tables of sources: the systems beside Meta that send to us, and what each of them brought."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table

from tellwire.stores.schema.metadata import Text, metadata

sources = Table(
    "sources",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("authentication", Text, nullable=False),
    Column("header", Text, nullable=False),
    Column("sealed", Text, nullable=False),  # the secret
    Column("account_id", Text, nullable=False),  # "": every account of the organization
    Column("mode", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("sources_by_name", "organization_id", "name", unique=True),
    sqlite_with_rowid=False,
)

source_items = Table(
    "source_items",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("key", Text, nullable=False),  # a keyed hash (`inbox/source_items.py`)
    Column("source", Text, nullable=False),  # its id, or "meta"
    Column("fingerprint", Text, nullable=False),  # a keyed hash, too
    Column("kind", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("inbound_id", Text, nullable=False),  # the POST that brought it first, and where it stands there
    Column("pointer", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "key", "source"),
    Index("source_items_by_time", "organization_id", "at"),
    Index("source_items_by_fingerprint", "organization_id", "fingerprint"),
    sqlite_with_rowid=False,
)
