"""People, their conversations and messages, and the POSTs of Meta's that they came in."""

import sqlalchemy as sa
from alembic import op

from tellwire.stores.migrations.initial import TEXT


def create() -> None:
    """Create the tables and their indexes."""
    _contacts()
    _contact_aliases()
    _conversations()
    _messages()
    _message_statuses()
    _windows()
    _inbound()
    _held_items()


def _contacts() -> None:
    op.create_table(
        "contacts",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("name", TEXT, server_default="", nullable=False),
        sa.Column("username", TEXT, server_default="", nullable=False),
        sa.Column("phone", TEXT, server_default="", nullable=False),
        sa.Column("user_id", TEXT, server_default="", nullable=False),
        sa.Column("merged_into", TEXT, server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("own_name", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("marketing", TEXT, server_default="", nullable=False),
        sa.Column("phone_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("user_id_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    where = sa.text("merged_into <> ''")
    op.create_index("contacts_merged", "contacts", ["merged_into"], sqlite_where=where, postgresql_where=where)


def _contact_aliases() -> None:
    op.create_table(
        "contact_aliases",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("contact_id", TEXT, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "value", "contact_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("contact_aliases_by_contact", "contact_aliases", ["contact_id"])


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("party", TEXT, nullable=False),
        sa.Column("organization_address", TEXT, nullable=False),
        sa.Column("contact_address", TEXT, nullable=False),
        sa.Column("service", TEXT, server_default="whatsapp", nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("last_row_at", sa.BigInteger(), nullable=False),
        sa.Column("check_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("conversations_by_party", "conversations", ["party", "account_id", "id"])
    where = sa.text("status = 'open'")
    op.create_index(
        "conversations_open",
        "conversations",
        ["party", "account_id"],
        unique=True,
        sqlite_where=where,
        postgresql_where=where,
    )
    op.create_index(
        "conversations_to_check",
        "conversations",
        ["check_at"],
        sqlite_where=where,
        postgresql_where=sa.text("status = 'open' AND check_at > 0"),
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("conversation_id", TEXT, nullable=False),
        sa.Column("wamid", TEXT, nullable=True),
        sa.Column("direction", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", TEXT, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_index("messages_by_conversation", "messages", ["conversation_id", "id"])
    op.create_index("messages_by_wamid", "messages", ["account_id", "wamid"], unique=True)


def _message_statuses() -> None:
    op.create_table(
        "message_statuses",
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("wamid", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("participant", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("pricing", sa.LargeBinary(), nullable=False),
        sa.Column("errors", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "wamid", "name", "participant"),
        sqlite_with_rowid=False,
    )
    where = sa.text(
        "name IN ('contact.preference_changed', 'meta.told', 'standby.echo', 'standby.message', 'standby.status',"
        " 'thread.control_passed', 'thread.control_taken')"
    )
    op.create_index("message_statuses_told", "message_statuses", ["at"], sqlite_where=where, postgresql_where=where)


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


def _inbound() -> None:
    op.create_table(
        "inbound",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("items", sa.LargeBinary(), nullable=False),
        sa.Column("speaks_for", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("shares", TEXT, server_default="", nullable=False),
        sa.Column("source_id", TEXT, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    where = sa.text("outcome <> 'applied'")
    op.create_index("inbound_by_outcome", "inbound", ["outcome", "id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("shares <> ''")
    op.create_index("inbound_shared", "inbound", ["id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("source_id <> ''")
    op.create_index("inbound_by_source", "inbound", ["source_id", "id"], sqlite_where=where, postgresql_where=where)


def _held_items() -> None:
    op.create_table(
        "held_items",
        sa.Column("inbound_id", TEXT, nullable=False),
        sa.Column("pointer", TEXT, nullable=False),
        sa.Column("phone_number_id", TEXT, nullable=False),
        sa.Column("wamid", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("retry_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("inbound_id", "pointer"),
        sqlite_with_rowid=False,
    )
    op.create_index("held_items_by_message", "held_items", ["phone_number_id", "wamid"])
    where = sa.text("retry_at > 0")
    op.create_index("held_items_to_retry", "held_items", ["retry_at"], sqlite_where=where, postgresql_where=where)
