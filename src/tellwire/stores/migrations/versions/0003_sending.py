"""What sending adds: the queue of outgoing messages, media, templates, agents. Only additions: the version before runs
on this schema."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _accounts()
    _held_items()
    _sends()
    _media()
    _templates()
    _template_syncs()
    _windows()
    _agents()
    _agent_turns()
    _handovers()
    _agent_runs()
    _agent_usage()


def _accounts() -> None:
    op.add_column("accounts", sa.Column("agent_id", TEXT, server_default="", nullable=False))
    op.add_column("accounts", sa.Column("send_rate", sa.Integer(), server_default="80", nullable=False))
    op.add_column("accounts", sa.Column("sending_paused", TEXT, server_default="", nullable=False))
    op.add_column("accounts", sa.Column("about", TEXT, server_default="{}", nullable=False))
    op.create_index("accounts_by_waba", "accounts", ["waba_id"], unique=False)


def _held_items() -> None:
    op.add_column("held_items", sa.Column("retry_at", sa.BigInteger(), server_default="0", nullable=False))
    where = sa.text("retry_at > 0")
    op.create_index(
        "held_items_to_retry", "held_items", ["retry_at"], unique=False, sqlite_where=where, postgresql_where=where
    )


def _sends() -> None:
    op.create_table(
        "sends",
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("order_key", TEXT, nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("recipient", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("order_at", sa.BigInteger(), nullable=False),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("tries_until", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("cause", TEXT, nullable=False),
        sa.Column("unchecked", sa.Boolean(), nullable=False),
        sa.Column("resent_as", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "message_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("sends_by_start", "sends", ["account_id", "started_at"], unique=False)
    op.create_index(
        "sends_unfinished",
        "sends",
        ["organization_id", "state", "message_id"],
        unique=False,
        sqlite_where=sa.text("state <> 'accepted'"),
        postgresql_where=sa.text("state <> 'accepted'"),
    )
    op.create_index(
        "sends_due",
        "sends",
        ["account_id", "due_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('scheduled', 'queued')"),
        postgresql_where=sa.text("state IN ('scheduled', 'queued')"),
    )
    op.create_index(
        "sends_in_flight",
        "sends",
        ["account_id"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "sends_in_order",
        "sends",
        ["order_key", "order_at", "message_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('scheduled', 'queued', 'sending')"),
        postgresql_where=sa.text("state IN ('scheduled', 'queued', 'sending')"),
    )
    op.create_index(
        "sends_open",
        "sends",
        ["conversation_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('scheduled', 'queued', 'sending')"),
        postgresql_where=sa.text("state IN ('scheduled', 'queued', 'sending')"),
    )


def _media() -> None:
    op.create_table(
        "media",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("meta_id", TEXT, nullable=False),
        sa.Column("meta_id_at", sa.BigInteger(), nullable=False),
        sa.Column("mime_type", TEXT, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("filename", TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("cause", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("media_by_id", "media", ["id"], unique=False)
    op.create_index("media_by_message", "media", ["message_id"], unique=False)
    op.create_index(
        "media_waiting",
        "media",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "media_erased",
        "media",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'erased'"),
        postgresql_where=sa.text("state = 'erased'"),
    )


def _templates() -> None:
    op.create_table(
        "templates",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("waba_id", TEXT, nullable=False),
        sa.Column("meta_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("language", TEXT, nullable=False),
        sa.Column("category", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("quality", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("parameter_format", TEXT, nullable=False),
        sa.Column("components", sa.LargeBinary(), nullable=False),
        sa.Column("synchronised_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("templates_by_meta_id", "templates", ["meta_id"], unique=False)
    op.create_index("templates_by_name", "templates", ["organization_id", "waba_id", "name", "language"], unique=True)


def _template_syncs() -> None:
    op.create_table(
        "template_syncs",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("waba_id", TEXT, nullable=False),
        sa.Column("synchronised_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cause", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "waba_id"),
        sqlite_with_rowid=False,
    )


def _windows() -> None:
    op.create_table(
        "windows",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("party", TEXT, nullable=False),
        sa.Column("called_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "account_id", "party"),
        sqlite_with_rowid=False,
    )


def _agents() -> None:
    op.create_table(
        "agents",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("options", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", TEXT, nullable=False),
        sa.Column("debounce", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )


def _agent_turns() -> None:
    op.create_table(
        "agent_turns",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("agent_id", TEXT, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "conversation_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("agent_turns_due", "agent_turns", ["due_at"], unique=False)


def _handovers() -> None:
    op.create_table(
        "handovers",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("handed_by", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "conversation_id"),
        sqlite_with_rowid=False,
    )


def _agent_runs() -> None:
    op.create_table(
        "agent_runs",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("agent_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("tool_calls", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("agent_runs_by_agent", "agent_runs", ["agent_id", "id"], unique=False)
    op.create_index("agent_runs_by_conversation", "agent_runs", ["conversation_id", "id"], unique=False)


def _agent_usage() -> None:
    op.create_table(
        "agent_usage",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("agent_id", TEXT, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("replies", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "agent_id", "day"),
        sqlite_with_rowid=False,
    )
