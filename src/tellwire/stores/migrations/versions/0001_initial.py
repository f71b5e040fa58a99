"""The first schema."""

import sqlalchemy as sa
from alembic import op

from tellwire.model.tenancy import DEFAULT_ORGANIZATION

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:

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
    op.create_table(
        "audit",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_by_organization", "audit", ["organization_id", "id"], unique=False)
    op.create_table(
        "contact_aliases",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("contact_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "value"),
        sqlite_with_rowid=False,
    )
    op.create_index("contact_aliases_by_contact", "contact_aliases", ["contact_id"], unique=False)
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
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
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
    op.create_index("conversations_by_party", "conversations", ["party", "account_id", "id"], unique=False)
    op.create_index(
        "conversations_open",
        "conversations",
        ["party", "account_id"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "conversations_to_check",
        "conversations",
        ["check_at"],
        unique=False,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open' AND check_at > 0"),
    )
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
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("deliveries_by_endpoint", "deliveries", ["endpoint_id", "id"], unique=False)
    op.create_index("deliveries_by_event", "deliveries", ["event_id"], unique=False)
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("lane <> 'live' AND state IN ('pending', 'delivering', 'retrying')"),
        postgresql_where=sa.text("lane <> 'live' AND state IN ('pending', 'delivering', 'retrying')"),
    )
    op.create_index(
        "deliveries_live",
        "deliveries",
        ["endpoint_id", "id"],
        unique=False,
        sqlite_where=sa.text("lane = 'live' AND state IN ('pending', 'delivering', 'retrying')"),
        postgresql_where=sa.text("lane = 'live' AND state IN ('pending', 'delivering', 'retrying')"),
    )
    op.create_index(
        "deliveries_parked",
        "deliveries",
        ["endpoint_id", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'parked'"),
        postgresql_where=sa.text("state = 'parked'"),
    )
    op.create_index(
        "deliveries_failed",
        "deliveries",
        ["organization_id", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'failed'"),
        postgresql_where=sa.text("state = 'failed'"),
    )
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
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_index("events_by_conversation", "events", ["conversation_id", "id"], unique=False)
    op.create_table(
        "facts",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "held_items",
        sa.Column("inbound_id", TEXT, nullable=False),
        sa.Column("pointer", TEXT, nullable=False),
        sa.Column("phone_number_id", TEXT, nullable=False),
        sa.Column("wamid", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("inbound_id", "pointer"),
        sqlite_with_rowid=False,
    )
    op.create_index("held_items_by_message", "held_items", ["phone_number_id", "wamid"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("request_hash", TEXT, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inbound",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("items", sa.LargeBinary(), nullable=False),
        sa.Column("speaks_for", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "inbound_by_outcome",
        "inbound",
        ["outcome", "id"],
        unique=False,
        sqlite_where=sa.text("outcome <> 'applied'"),
        postgresql_where=sa.text("outcome <> 'applied'"),
    )
    op.create_table(
        "leases",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition"),
    )
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
    op.create_index("messages_by_conversation", "messages", ["conversation_id", "id"], unique=False)
    op.create_index("messages_by_wamid", "messages", ["account_id", "wamid"], unique=True)
    op.create_table(
        "organizations",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "sequences",
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("order_key", TEXT, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", "order_key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "accounts",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("phone_number_id", TEXT, nullable=False),
        sa.Column("display_phone_number", TEXT, server_default="", nullable=False),
        sa.Column("name", TEXT, server_default="", nullable=False),
        sa.Column("waba_id", TEXT, server_default="", nullable=False),
        sa.Column("access_token", TEXT, server_default="", nullable=False),
        sa.Column("app_secret", TEXT, server_default="", nullable=False),
        sa.Column("unknown_statuses", TEXT, server_default="create", nullable=False),
        sa.Column("on_revoke", TEXT, server_default="keep", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("phone_number_id"),
    )
    op.create_index("accounts_by_organization", "accounts", ["organization_id", "id"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("prefix", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("scopes", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index("api_keys_by_organization", "api_keys", ["organization_id", "id"], unique=False)
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
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("endpoints_by_organization", "endpoints", ["organization_id", "id"], unique=False)

    organizations = sa.table("organizations", sa.column("id"), sa.column("name"), sa.column("created_at"))
    op.bulk_insert(organizations, [{"id": DEFAULT_ORGANIZATION, "name": "Default", "created_at": 0}])
    facts = sa.table("facts", sa.column("name"), sa.column("value"))
    op.bulk_insert(facts, [{"name": "registry", "value": 0}])
