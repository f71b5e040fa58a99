"""The tables of events and their deliveries, and of who may make them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, text

from tellwire.stores.schema.metadata import Text, metadata

OF_A_PERSON = "contact_id <> ''"
"""The events that are found by their contact: few, because most are of a conversation."""

OF_MANY = "entity = 'meta' AND contact_id = '' AND conversation_id = ''"
"""The events that hold what Meta sent and are not one known person's: people are looked for in their text."""

events = Table(
    "events",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the rest of model.Event as JSON
    Column("contact_id", Text, nullable=False),  # see model.Event
    PrimaryKeyConstraint("organization_id", "id"),
    Index("events_by_conversation", "conversation_id", "id"),
    Index("events_of_many", "organization_id", "id", sqlite_where=text(OF_MANY), postgresql_where=text(OF_MANY)),
    Index("events_by_contact", "contact_id", "id", sqlite_where=text(OF_A_PERSON), postgresql_where=text(OF_A_PERSON)),
)

LIVE = "lane = 'live' AND state IN ('pending', 'delivering', 'retrying')"
DUE = "lane <> 'live' AND state IN ('pending', 'delivering', 'retrying')"
PARKED = "state = 'parked'"
FAILED = "state = 'failed'"
RENAMED = "replay > 0"
"""Deliveries whose `webhook_id` may be a new one; that of all others is made of their id."""
TOGETHER = "together <> ''"
"""Deliveries that were sent with others, under the `webhook-id` of their group."""
FAILING = "failure <> '' AND state <> 'cancelled'"
"""Deliveries whose last attempt failed, whatever is done about them."""
LATE = "lane = 'late' AND state IN ('pending', 'delivering', 'retrying')"
REPLAYED = "lane = 'replay' AND state IN ('pending', 'delivering', 'retrying')"

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("order_key", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("counted_attempts", Integer, nullable=False),
    Column("out_of_order", Boolean, nullable=False),
    Column("replay", Integer, nullable=False),
    Column("webhook_id", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("first_attempt_at", BigInteger, nullable=False),
    Column("delivered_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("behind", Text, nullable=False, server_default=""),  # ids of deliveries of another key that go first
    Column("together", Text, nullable=False, server_default=""),  # the webhook-id of its group, see model.Delivery
    Column("failure", Text, nullable=False, server_default=""),  # why its last attempt failed, see model.Delivery
    Index("deliveries_live", "endpoint_id", "id", sqlite_where=text(LIVE), postgresql_where=text(LIVE)),
    Index("deliveries_due", "due_at", sqlite_where=text(DUE), postgresql_where=text(DUE)),
    Index("deliveries_parked", "endpoint_id", "id", sqlite_where=text(PARKED), postgresql_where=text(PARKED)),
    Index(  # with the state it holds all that its queries ask for, so that the planner prefers it to the primary key
        "deliveries_failed",
        "organization_id",
        "id",
        "state",
        sqlite_where=text(FAILED),
        postgresql_where=text(FAILED),
    ),
    Index("deliveries_replayed", "endpoint_id", "id", sqlite_where=text(REPLAYED), postgresql_where=text(REPLAYED)),
    Index("deliveries_late", "endpoint_id", "id", sqlite_where=text(LATE), postgresql_where=text(LATE)),
    Index("deliveries_renamed", "webhook_id", sqlite_where=text(RENAMED), postgresql_where=text(RENAMED)),
    Index("deliveries_together", "together", sqlite_where=text(TOGETHER), postgresql_where=text(TOGETHER)),
    Index(
        "deliveries_failing",
        "endpoint_id",
        "failure",
        "id",
        "state",
        sqlite_where=text(FAILING),
        postgresql_where=text(FAILING),
    ),
    Index("deliveries_by_event", "event_id"),
    Index("deliveries_by_endpoint", "endpoint_id", "id"),
    PrimaryKeyConstraint("organization_id", "id"),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("record", LargeBinary, nullable=False),  # the rest of model.Attempt as JSON (attempt_rows.attempt_record)
    Column("response_body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("delivery_id", "number"),
    sqlite_with_rowid=False,
)

sequences = Table(
    "sequences",
    metadata,
    Column("endpoint_id", Text, nullable=False),
    Column("order_key", Text, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("behind", Text, nullable=False, server_default=""),  # of the next delivery, see there
    PrimaryKeyConstraint("endpoint_id", "order_key"),
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

dispatchers = Table(
    "dispatchers",
    metadata,
    Column("owner", Text, primary_key=True),
    Column(
        "expires_at", BigInteger, nullable=False
    ),  # micros of the database's clock; a dispatcher that is past it is dead
)
