"""The tables of what is done about endpoints beside delivering: evidence of health, edited replays, jobs."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, text

from tellwire.stores.schema.metadata import Text, metadata

endpoint_health = Table(
    "endpoint_health",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("failing_since", BigInteger, nullable=False),  # the first failure after the last success; 0: healthy
    Column("failing_for", BigInteger, nullable=False),  # micros of nothing but failures that were witnessed
    Column("failures", BigInteger, nullable=False),
    Column("last_failure_at", BigInteger, nullable=False),
    Column("last_success_at", BigInteger, nullable=False),
    Column("resumed_at", BigInteger, nullable=False),  # what failed before counts no more
    Column("cause", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "endpoint_id"),
    sqlite_with_rowid=False,
)

replay_edits = Table(
    "replay_edits",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("delivery_id", Text, nullable=False),
    Column("replay", Integer, nullable=False),  # which replay it is for
    Column("url", Text, nullable=False),  # "" for the endpoint's own
    Column("body", LargeBinary),  # null for the event's own
    PrimaryKeyConstraint("organization_id", "delivery_id", "replay"),
)

OPEN_JOB = "state IN ('queued', 'running')"

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("wanted", LargeBinary, nullable=False),  # what it was asked to do, as JSON
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("cursor", Text, nullable=False),  # the id that it has come to
    Column("turns", BigInteger, nullable=False),  # batches so far: who comes with an older count has been overtaken
    Column("looked_at", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("last_due_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("jobs_by_endpoint", "endpoint_id", "id"),
    Index("jobs_open", "id", sqlite_where=text(OPEN_JOB), postgresql_where=text(OPEN_JOB)),
    sqlite_with_rowid=False,
)
