"""The schema: one definition for every database (migrations create it, and `tests` compare the two).

Ids are UUIDv7 texts, made in commit order. Times are integers: micros of our clock (`*_at`), seconds of Meta's clock
(`timestamp`, `at`). JSON and raw bodies are bytes, so that nothing a body may hold can break a column.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    false,
    text,
)

from tellwire.stores.schema.deliveries import (
    DUE,
    FAILED,
    FAILING,
    LATE,
    LIVE,
    OF_A_PERSON,
    PARKED,
    RENAMED,
    REPLAYED,
    TOGETHER,
    attempts,
    deliveries,
    dispatchers,
    events,
    leases,
    sequences,
)
from tellwire.stores.schema.erasure import RUNNING, erased, erasures, sealed_keys
from tellwire.stores.schema.maintenance import (
    OPEN_JOB,
    account_traffic,
    alert_channels,
    alert_findings,
    endpoint_health,
    endpoint_traffic,
    failures,
    jobs,
    replay_edits,
    traffic_counts,
)
from tellwire.stores.schema.marks import conversation_labels, conversation_marks, labels, notes
from tellwire.stores.schema.members import console_sessions, login_links, members, portal_links
from tellwire.stores.schema.metadata import Text, metadata
from tellwire.stores.schema.sending import (
    agent_runs,
    agent_turns,
    agent_usage,
    agents,
    handovers,
    media,
    sends,
    templates,
    windows,
)
from tellwire.stores.schema.sources import source_items, sources

__all__ = [
    "DUE",
    "FAILED",
    "FAILING",
    "LATE",
    "LIVE",
    "OF_A_PERSON",
    "OPEN_JOB",
    "PARKED",
    "RENAMED",
    "REPLAYED",
    "RUNNING",
    "TOGETHER",
    "account_traffic",
    "agent_runs",
    "agent_turns",
    "agent_usage",
    "agents",
    "alert_channels",
    "alert_findings",
    "attempts",
    "console_sessions",
    "conversation_labels",
    "conversation_marks",
    "deliveries",
    "dispatchers",
    "endpoint_health",
    "endpoint_traffic",
    "erased",
    "erasures",
    "events",
    "failures",
    "handovers",
    "jobs",
    "labels",
    "leases",
    "login_links",
    "media",
    "members",
    "metadata",
    "notes",
    "portal_links",
    "replay_edits",
    "sealed_keys",
    "sends",
    "sequences",
    "source_items",
    "sources",
    "templates",
    "traffic_counts",
    "windows",
]
"""What the modules beside this one define."""

organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("scopes", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("operator", Boolean, nullable=False, server_default=false()),
    Index("api_keys_by_organization", "organization_id", "id"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("phone_number_id", Text, nullable=False, unique=True),
    Column("display_phone_number", Text, nullable=False, server_default=""),
    Column("name", Text, nullable=False, server_default=""),
    Column("waba_id", Text, nullable=False, server_default=""),
    Column("access_token", Text, nullable=False, server_default=""),  # sealed
    Column("app_secret", Text, nullable=False, server_default=""),  # sealed
    Column("unknown_statuses", Text, nullable=False, server_default="create"),
    Column("on_revoke", Text, nullable=False, server_default="keep"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("agent_id", Text, nullable=False, server_default=""),  # the agent that answers
    Column("send_rate", Integer, nullable=False, server_default="80"),  # messages a second
    Column("sending_paused", Text, nullable=False, server_default=""),  # why it is paused; "": it is not
    Column("about", Text, nullable=False, server_default="{}"),  # what Meta reported about the account, as JSON
    Index("accounts_by_organization", "organization_id", "id"),
    Index("accounts_by_waba", "waba_id"),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("options", LargeBinary, nullable=False),  # the settings that hold no secret, as JSON
    Column("sealed", Text, nullable=False),  # secrets, token and header values, sealed together
    Column("state", Text, nullable=False, server_default="active"),
    Column("disabled_reason", Text, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("endpoints_by_organization", "organization_id", "id"),
)

MERGED = "merged_into <> ''"

contacts = Table(
    "contacts",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("username", Text, nullable=False, server_default=""),
    Column("phone", Text, nullable=False, server_default=""),
    Column("user_id", Text, nullable=False, server_default=""),
    Column("merged_into", Text, nullable=False, server_default=""),  # the older contact of the same person
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column(
        "own_name", Boolean, nullable=False, server_default=false()
    ),  # the name was set here, and Meta's names do not replace it
    Column("marketing", Text, nullable=False, server_default=""),  # who wants none of it: JSON by account
    Column("phone_at", BigInteger, nullable=False, server_default="0"),  # Meta's time of the last change of the number
    Column("user_id_at", BigInteger, nullable=False, server_default="0"),  # and of the user id, in seconds
    PrimaryKeyConstraint("organization_id", "id"),
    Index("contacts_merged", "merged_into", sqlite_where=text(MERGED), postgresql_where=text(MERGED)),
    sqlite_with_rowid=False,
)

contact_aliases = Table(
    "contact_aliases",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("value", Text, nullable=False),  # a phone number's digits, or a user id
    Column("contact_id", Text, nullable=False),
    Column("since", BigInteger, nullable=False),  # Meta's time in seconds at which it was first seen
    Column("until", BigInteger, nullable=False),  # and the last at which it is the contact's (model.messaging.NEVER)
    PrimaryKeyConstraint("organization_id", "value", "contact_id"),
    Index("contact_aliases_by_contact", "contact_id"),
    sqlite_with_rowid=False,
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("party", Text, nullable=False),  # the contact's id, or Meta's group id
    Column("organization_address", Text, nullable=False),
    Column("contact_address", Text, nullable=False),
    Column("service", Text, nullable=False, server_default="whatsapp"),
    Column("status", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # When it was opened, or a message went out that was recorded long before; ids of later rows hold their times.
    Column("last_row_at", BigInteger, nullable=False),
    Column("check_at", BigInteger, nullable=False),  # when it is next checked for idleness; changed only then
    Index(
        "conversations_open",
        "party",
        "account_id",
        unique=True,
        sqlite_where=text("status = 'open'"),
        postgresql_where=text("status = 'open'"),
    ),
    Index("conversations_by_party", "party", "account_id", "id"),
    PrimaryKeyConstraint("organization_id", "id"),
    Index(
        "conversations_to_check",
        "check_at",
        sqlite_where=text("status = 'open'"),
        postgresql_where=text(
            "status = 'open' AND check_at > 0"
        ),  # so the planner never uses it in place of the index above
    ),
    sqlite_with_rowid=False,
)

messages = Table(
    "messages",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("wamid", Text),  # null until Meta has accepted an outgoing one
    Column("direction", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("contact_id", Text, nullable=False),
    Column("record", LargeBinary, nullable=False),  # the rest of model.Message as JSON
    Column("content", LargeBinary, nullable=False),
    Index("messages_by_wamid", "account_id", "wamid", unique=True),
    Index("messages_by_conversation", "conversation_id", "id"),
    PrimaryKeyConstraint("organization_id", "id"),
)

TOLD = (
    "name IN ('contact.preference_changed', 'meta.told', 'standby.echo', 'standby.message', 'standby.status',"
    " 'thread.control_passed', 'thread.control_taken')"
)
"""The rows that only say what was told already; no message goes and takes them along (`inbox/told.py`,
`inbox/meta_events.py`)."""

message_statuses = Table(
    "message_statuses",
    metadata,
    Column("account_id", Text, nullable=False),
    Column("wamid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("participant", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("pricing", LargeBinary, nullable=False),
    Column("errors", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account_id", "wamid", "name", "participant"),
    Index("message_statuses_told", "at", sqlite_where=text(TOLD), postgresql_where=text(TOLD)),
    sqlite_with_rowid=False,
)

UNUSUAL = "outcome <> 'applied'"
"""POSTs that are searched for by outcome: almost every POST has another one, and is left out of the index."""

SHARED = "shares <> ''"
"""POSTs with items of several organizations, or of one and of nobody: few, and searched for by each organization."""

SOURCED = "source_id <> ''"
"""POSTs that another system sent than Meta."""

inbound = Table(
    "inbound",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),  # "": no organization's, or several organizations'
    Column("received_at", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("items", LargeBinary, nullable=False),  # list of model.ItemReport as JSON
    Column("speaks_for", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("shares", Text, nullable=False, server_default=""),  # see model.Inbound
    Column("source_id", Text, nullable=False, server_default=""),  # "": Meta
    Index(
        "inbound_by_outcome",
        "outcome",
        "id",
        sqlite_where=text(UNUSUAL),
        postgresql_where=text(UNUSUAL),
    ),
    Index("inbound_shared", "id", sqlite_where=text(SHARED), postgresql_where=text(SHARED)),
    Index("inbound_by_source", "source_id", "id", sqlite_where=text(SOURCED), postgresql_where=text(SOURCED)),
)

held_items = Table(
    "held_items",
    metadata,
    Column("inbound_id", Text, nullable=False),
    Column("pointer", Text, nullable=False),
    Column("phone_number_id", Text, nullable=False),
    Column("wamid", Text, nullable=False),  # the message that it waits for; "" for an unrouted item
    Column("outcome", Text, nullable=False),
    Column(
        "retry_at", BigInteger, nullable=False, server_default="0"
    ),  # when it is applied without that message; 0: never
    PrimaryKeyConstraint("inbound_id", "pointer"),
    Index("held_items_by_message", "phone_number_id", "wamid"),
    Index(
        "held_items_to_retry",
        "retry_at",
        sqlite_where=text("retry_at > 0"),
        postgresql_where=text("retry_at > 0"),
    ),
    sqlite_with_rowid=False,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer, nullable=False),  # 0 while the first request is in flight
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "key"),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("audit_by_organization", "organization_id", "id"),
)

facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Counters of the installation: `registry` rises with every change of an account, endpoint or agent."""

schema_revisions = Table(
    "schema_revisions",
    metadata,
    Column("revision", Text, primary_key=True),
    Column("version", Text, nullable=False),
)
"""Which version of Tellwire brought the schema to a revision."""
