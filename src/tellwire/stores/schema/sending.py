"""The tables of outgoing messages: sends, media, templates, agents and their turns."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, text

from tellwire.stores.schema.metadata import Text, metadata

OPEN_SEND = "state IN ('scheduled', 'queued', 'sending')"
DUE_SEND = "state IN ('scheduled', 'queued')"
IN_FLIGHT = "state = 'sending'"
REQUESTED = "request_id <> ''"
NOT_ACCEPTED = "state <> 'accepted'"
"""The sends to which the index for people is limited: few beside the accepted ones, and people search for them."""

sends = Table(
    "sends",
    metadata,
    Column("message_id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("order_key", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("order_at", BigInteger, nullable=False),
    Column("scheduled_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("tries_until", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("unchecked", Boolean, nullable=False),
    Column("despite_stop", Boolean, nullable=False),
    Column("resent_as", Text, nullable=False),
    Column("author", Text, nullable=False, server_default=""),  # who asked for it, as the audit names them
    Column("request_id", Text, nullable=False, server_default=""),  # of the request that asked for it
    Column("expires_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "message_id"),
    Index(
        "sends_due",
        "account_id",
        "due_at",
        sqlite_where=text(DUE_SEND),
        postgresql_where=text(DUE_SEND),
    ),
    Index(
        "sends_in_order",
        "order_key",
        "order_at",
        "message_id",
        sqlite_where=text(OPEN_SEND),
        postgresql_where=text(OPEN_SEND),
    ),
    Index("sends_in_flight", "account_id", sqlite_where=text(IN_FLIGHT), postgresql_where=text(IN_FLIGHT)),
    Index("sends_open", "conversation_id", sqlite_where=text(OPEN_SEND), postgresql_where=text(OPEN_SEND)),
    Index("sends_by_start", "account_id", "started_at"),
    Index("sends_by_request", "request_id", sqlite_where=text(REQUESTED), postgresql_where=text(REQUESTED)),
    Index(
        "sends_unfinished",
        "organization_id",
        "state",
        "message_id",
        sqlite_where=text(NOT_ACCEPTED),
        postgresql_where=text(NOT_ACCEPTED),
    ),
    sqlite_with_rowid=False,
)

media = Table(
    "media",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("meta_id", Text, nullable=False),
    Column("meta_id_at", BigInteger, nullable=False),  # when Meta gave the id, which expires after some days
    Column("mime_type", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("media_by_id", "id"),
    Index("media_by_message", "message_id"),
    Index(
        "media_by_meta_id",
        "meta_id",
        sqlite_where=text("meta_id <> ''"),
        postgresql_where=text("meta_id <> ''"),
    ),
    Index(
        "media_waiting",
        "due_at",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "media_erased",
        "due_at",
        sqlite_where=text("state = 'erased'"),
        postgresql_where=text("state = 'erased'"),
    ),
    sqlite_with_rowid=False,
)

templates = Table(
    "templates",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("waba_id", Text, nullable=False),
    Column("meta_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("quality", Text, nullable=False),
    Column("reason", Text, nullable=False),  # why it was rejected, paused, …
    Column("parameter_format", Text, nullable=False),
    Column("components", LargeBinary, nullable=False),  # Meta's list, as JSON
    Column("synchronised_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("templates_by_name", "organization_id", "waba_id", "name", "language", unique=True),
    Index("templates_by_meta_id", "meta_id"),
    sqlite_with_rowid=False,
)

template_syncs = Table(
    "template_syncs",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("waba_id", Text, nullable=False),
    Column("synchronised_at", BigInteger, nullable=False),
    Column("asked_at", BigInteger, nullable=False),  # when a webhook reported a change that the rows may lack; 0: none
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cause", Text, nullable=False),  # why the last attempt failed
    PrimaryKeyConstraint("organization_id", "waba_id"),
    sqlite_with_rowid=False,
)
"""When the templates of each business account were last synchronised with Meta's, and when they will be next."""

windows = Table(
    "windows",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("party", Text, nullable=False),
    Column("called_at", BigInteger, nullable=False),  # Meta's seconds of the contact's last call
    PrimaryKeyConstraint("organization_id", "account_id", "party"),
    sqlite_with_rowid=False,
)
"""Calls of contacts, which open the customer service window as their messages do."""

agents = Table(
    "agents",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("options", LargeBinary, nullable=False),  # the settings that hold no secret, as JSON
    Column("sealed", Text, nullable=False),  # the model's key and tools' header values, sealed together
    Column("debounce", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    sqlite_with_rowid=False,
)

agent_turns = Table(
    "agent_turns",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),  # the newest message to answer
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "conversation_id"),
    Index("agent_turns_due", "due_at"),
    sqlite_with_rowid=False,
)

handovers = Table(
    "handovers",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("handed_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "conversation_id"),
    sqlite_with_rowid=False,
)
"""Conversations in which the agent is paused."""

agent_runs = Table(
    "agent_runs",
    metadata,
    Column("id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),  # the reply's, "" for none
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("tool_calls", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("agent_runs_by_agent", "agent_id", "id"),
    Index("agent_runs_by_conversation", "conversation_id", "id"),
    sqlite_with_rowid=False,
)

agent_usage = Table(
    "agent_usage",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("day", Integer, nullable=False),  # days since 1970-01-01, UTC
    Column("replies", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "agent_id", "day"),
    sqlite_with_rowid=False,
)
