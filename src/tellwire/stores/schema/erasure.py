"""The tables of erasures, and of the keys that an installation makes for itself."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, PrimaryKeyConstraint, Table, text

from tellwire.stores.schema.metadata import Text, metadata

sealed_keys = Table(
    "sealed_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
)
"""Random keys of the installation: each is made when it is first needed, and sealed under the master key."""

erased = Table(
    "erased",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("mark", Text, nullable=False),  # a keyed hash (`tombstones`)
    Column("erased_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "mark"),
    Index("erased_by_age", "erased_at"),
    sqlite_with_rowid=False,
)

RUNNING = "state = 'running'"

erasures = Table(
    "erasures",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("contact_id", Text, nullable=False),
    Column("contact_ids", LargeBinary, nullable=False),  # this contact and those merged into it, as JSON
    Column("state", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("cursor", Text, nullable=False),
    Column("counts", LargeBinary, nullable=False),  # what was erased so far, as JSON
    Column("sealed", Text, nullable=False),  # the addresses to look for, sealed; "" once done
    Column("erased_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("erasures_by_contact", "contact_id"),
    Index("erasures_running", "id", sqlite_where=text(RUNNING), postgresql_where=text(RUNNING)),
    sqlite_with_rowid=False,
)
