"""The tables for endpoints beside deliveries: their health, traffic, failures by cause, edited replays, jobs; how
regularly numbers get messages, how much goes through, and what alerts were told."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, text

from tellwire.stores.schema.metadata import Text, metadata

endpoint_health = Table(
    "endpoint_health",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("failing_since", BigInteger, nullable=False),  # the first failure after the last success; 0: there is none
    Column("failing_for", BigInteger, nullable=False),  # micros of observed time in which every attempt failed
    Column("failures", BigInteger, nullable=False),
    Column("last_failure_at", BigInteger, nullable=False),
    Column("last_success_at", BigInteger, nullable=False),
    Column("resumed_at", BigInteger, nullable=False),  # failures before this time are not counted
    Column("cause", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "endpoint_id"),
    sqlite_with_rowid=False,
)

endpoint_traffic = Table(
    "endpoint_traffic",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("width", BigInteger, nullable=False),  # micros that the bucket holds: of a minute or of an hour
    Column("since", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),  # attempts that ended in this time
    Column("failed", BigInteger, nullable=False),
    Column("took", BigInteger, nullable=False),  # micros of the delivered ones, in all
    Column("slowest", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "endpoint_id", "width", "since"),
    sqlite_with_rowid=False,
)

account_traffic = Table(
    "account_traffic",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("messages", BigInteger, nullable=False),  # that customers sent to the number
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("longest_gap", BigInteger, nullable=False),  # micros between two messages, of the last weeks
    Column("gap_at", BigInteger, nullable=False),  # when it ended
    PrimaryKeyConstraint("organization_id", "account_id"),
    sqlite_with_rowid=False,
)

traffic_counts = Table(
    "traffic_counts",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("step", BigInteger, nullable=False),  # the length of the bucket: a minute, an hour, a day
    Column("start", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("failing", BigInteger, nullable=False),
    Column("sent", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "step", "start"),
    sqlite_with_rowid=False,
)

alert_findings = Table(
    "alert_findings",
    metadata,
    Column("organization_id", Text, nullable=False),  # "": the installation's
    Column("name", Text, nullable=False),  # the same as long as it is the same trouble
    Column("line", LargeBinary, nullable=False),  # the verdict's line as it was last seen, as JSON
    Column("begun_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),  # when a process last had it in its verdict
    Column("gone_at", BigInteger, nullable=False),  # when a process that had it has it no more; 0: none said so
    Column("over_at", BigInteger, nullable=False),  # 0: it stands
    Column("told", LargeBinary, nullable=False),  # by channel, as JSON
    PrimaryKeyConstraint("organization_id", "name"),
    sqlite_with_rowid=False,
)

alert_channels = Table(
    "alert_channels",
    metadata,
    Column("organization_id", Text, nullable=False),  # "": channels are the installation's
    Column("name", Text, nullable=False),
    Column("since", BigInteger, nullable=False),  # when it was set; what was over before is not told
    Column("sent_at", BigInteger, nullable=False),
    Column("failing_since", BigInteger, nullable=False),  # 0: the last try went well
    Column("attempts", BigInteger, nullable=False),  # that failed since then
    Column("retry_at", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "name"),
    sqlite_with_rowid=False,
)

replay_edits = Table(
    "replay_edits",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("delivery_id", Text, nullable=False),
    Column("replay", Integer, nullable=False),  # the number of the replay that is edited
    Column("url", Text, nullable=False),  # "": the endpoint's URL
    Column("body", LargeBinary),  # null: the body made from the event
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
    Column("wanted", LargeBinary, nullable=False),  # what the job is to do, as JSON
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("cursor", Text, nullable=False),  # the last id that was processed
    Column("turns", BigInteger, nullable=False),  # batches done; a process with an older count must not write
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

failures = Table(
    "failures",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("failure", Text, nullable=False),  # as in deliveries
    Column("cause", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger, nullable=False),
    Column("acknowledged_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("resolved_at", BigInteger, nullable=False),
    Column("resolved_by", Text, nullable=False),  # "": by itself
    Column("job_id", Text, nullable=False),  # of its last replay
    PrimaryKeyConstraint("organization_id", "id"),
    Index("failures_by_kind", "endpoint_id", "failure", unique=True),
    Index("failures_by_state", "organization_id", "state", "id"),
    sqlite_with_rowid=False,
)
