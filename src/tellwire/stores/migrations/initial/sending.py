"""What goes to Meta: queued messages, files, templates."""

import sqlalchemy as sa
from alembic import op

from tellwire.stores.migrations.initial import TEXT


def create() -> None:
    """Create the tables and their indexes."""
    _sends()
    _media()
    _templates()
    _template_syncs()


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
        sa.Column("despite_stop", sa.Boolean(), nullable=False),
        sa.Column("resent_as", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False, server_default=""),
        sa.Column("request_id", TEXT, nullable=False, server_default=""),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "message_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("sends_by_start", "sends", ["account_id", "started_at"])
    where = sa.text("request_id <> ''")
    op.create_index("sends_by_request", "sends", ["request_id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("state <> 'accepted'")
    op.create_index(
        "sends_unfinished",
        "sends",
        ["organization_id", "state", "message_id"],
        sqlite_where=where,
        postgresql_where=where,
    )
    where = sa.text("state IN ('scheduled', 'queued')")
    op.create_index("sends_due", "sends", ["account_id", "due_at"], sqlite_where=where, postgresql_where=where)
    where = sa.text("state = 'sending'")
    op.create_index("sends_in_flight", "sends", ["account_id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("state IN ('scheduled', 'queued', 'sending')")
    op.create_index(
        "sends_in_order", "sends", ["order_key", "order_at", "message_id"], sqlite_where=where, postgresql_where=where
    )
    op.create_index("sends_open", "sends", ["conversation_id"], sqlite_where=where, postgresql_where=where)


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
    op.create_index("media_by_id", "media", ["id"])
    op.create_index("media_by_message", "media", ["message_id"])
    where = sa.text("meta_id <> ''")
    op.create_index("media_by_meta_id", "media", ["meta_id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("state = 'waiting'")
    op.create_index("media_waiting", "media", ["due_at"], sqlite_where=where, postgresql_where=where)
    where = sa.text("state = 'erased'")
    op.create_index("media_erased", "media", ["due_at"], sqlite_where=where, postgresql_where=where)


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
    op.create_index("templates_by_meta_id", "templates", ["meta_id"])
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
