"""Events, the endpoints that they go to, and what is done about those."""

import sqlalchemy as sa
from alembic import op

from tellwire.stores.migrations.initial import TEXT


def create() -> None:
    """Create the tables and their indexes."""
    _events()
    _endpoints()
    _deliveries()
    _attempts()
    _sequences()
    _leases()
    _dispatchers()
    _endpoint_health()
    _endpoint_traffic()
    _account_traffic()
    _traffic_counts()
    _alerts()
    _replay_edits()
    _jobs()
    _failures()


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("contact_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    where = sa.text("entity = 'meta' AND contact_id = '' AND conversation_id = ''")
    mine = ["organization_id", "id"]
    op.create_index("events_of_many", "events", mine, sqlite_where=where, postgresql_where=where)
    op.create_index("events_by_conversation", "events", ["conversation_id", "id"])
    where = sa.text("contact_id <> ''")
    op.create_index("events_by_contact", "events", ["contact_id", "id"], sqlite_where=where, postgresql_where=where)


def _endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("format", TEXT, nullable=False),
        sa.Column("options", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", TEXT, nullable=False),
        sa.Column("state", TEXT, server_default="active", nullable=False),
        sa.Column("disabled_reason", TEXT, server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("endpoints_by_organization", "endpoints", ["organization_id", "id"])


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("order_key", TEXT, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("lane", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("counted_attempts", sa.Integer(), nullable=False),
        sa.Column("out_of_order", sa.Boolean(), nullable=False),
        sa.Column("replay", sa.Integer(), nullable=False),
        sa.Column("webhook_id", TEXT, nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("first_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("behind", TEXT, server_default="", nullable=False),
        sa.Column("together", TEXT, server_default="", nullable=False),
        sa.Column("failure", TEXT, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("deliveries_by_endpoint", "deliveries", ["endpoint_id", "id"])
    op.create_index("deliveries_by_event", "deliveries", ["event_id"])
    where = sa.text("lane <> 'live' AND state IN ('pending', 'delivering', 'retrying')")
    op.create_index("deliveries_due", "deliveries", ["due_at"], sqlite_where=where, postgresql_where=where)
    where = sa.text("lane = 'live' AND state IN ('pending', 'delivering', 'retrying')")
    op.create_index("deliveries_live", "deliveries", ["endpoint_id", "id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("state = 'parked'")
    op.create_index(
        "deliveries_parked", "deliveries", ["endpoint_id", "id"], sqlite_where=where, postgresql_where=where
    )
    where = sa.text("state = 'failed'")
    whole = ["organization_id", "id", "state"]
    op.create_index("deliveries_failed", "deliveries", whole, sqlite_where=where, postgresql_where=where)
    where = sa.text("lane = 'replay' AND state IN ('pending', 'delivering', 'retrying')")
    op.create_index(
        "deliveries_replayed", "deliveries", ["endpoint_id", "id"], sqlite_where=where, postgresql_where=where
    )
    where = sa.text("lane = 'late' AND state IN ('pending', 'delivering', 'retrying')")
    op.create_index("deliveries_late", "deliveries", ["endpoint_id", "id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("replay > 0")
    op.create_index("deliveries_renamed", "deliveries", ["webhook_id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("together <> ''")
    op.create_index("deliveries_together", "deliveries", ["together"], sqlite_where=where, postgresql_where=where)
    where = sa.text("failure <> '' AND state <> 'cancelled'")
    kind = ["endpoint_id", "failure", "id", "state"]
    op.create_index("deliveries_failing", "deliveries", kind, sqlite_where=where, postgresql_where=where)


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("delivery_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("response_body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "number"),
        sqlite_with_rowid=False,
    )


def _sequences() -> None:
    op.create_table(
        "sequences",
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("order_key", TEXT, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("behind", TEXT, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", "order_key"),
        sqlite_with_rowid=False,
    )


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition"),
    )


def _dispatchers() -> None:
    op.create_table(
        "dispatchers",
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner"),
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


def _endpoint_traffic() -> None:
    op.create_table(
        "endpoint_traffic",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("took", sa.BigInteger(), nullable=False),
        sa.Column("slowest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "endpoint_id", "width", "since"),
        sqlite_with_rowid=False,
    )


def _account_traffic() -> None:
    op.create_table(
        "account_traffic",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("longest_gap", sa.BigInteger(), nullable=False),
        sa.Column("gap_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "account_id"),
        sqlite_with_rowid=False,
    )


def _traffic_counts() -> None:
    op.create_table(
        "traffic_counts",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("failing", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "step", "start"),
        sqlite_with_rowid=False,
    )


def _alerts() -> None:
    op.create_table(
        "alert_findings",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=False),
        sa.Column("over_at", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alert_channels",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=False),
        sa.Column("cause", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "name"),
        sqlite_with_rowid=False,
    )


def _replay_edits() -> None:
    op.create_table(
        "replay_edits",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("delivery_id", TEXT, nullable=False),
        sa.Column("replay", sa.Integer(), nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "delivery_id", "replay"),
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
    op.create_index("jobs_by_endpoint", "jobs", ["endpoint_id", "id"])
    where = sa.text("state IN ('queued', 'running')")
    op.create_index("jobs_open", "jobs", ["id"], sqlite_where=where, postgresql_where=where)


def _failures() -> None:
    op.create_table(
        "failures",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("failure", TEXT, nullable=False),
        sa.Column("cause", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_by", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=False),
        sa.Column("resolved_by", TEXT, nullable=False),
        sa.Column("job_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("failures_by_kind", "failures", ["endpoint_id", "failure"], unique=True)
    op.create_index("failures_by_state", "failures", ["organization_id", "state", "id"])
