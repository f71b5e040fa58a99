"""The first schema."""

import sqlalchemy as sa
from alembic import op

from tellwire.stores.migrations.initial import (
    accounts,
    agents,
    conversations,
    deliveries,
    erasures,
    marks,
    members,
    sending,
    sources,
)

revision = "0001_initial"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for tables in (accounts, conversations, deliveries, sending, agents, erasures, sources, members, marks):
        tables.create()
    organizations = sa.table("organizations", sa.column("id"), sa.column("name"), sa.column("created_at"))
    op.bulk_insert(organizations, [{"id": "00000000-0000-7000-8000-000000000001", "name": "Default", "created_at": 0}])
    facts = sa.table("facts", sa.column("name"), sa.column("value"))
    op.bulk_insert(facts, [{"name": "registry", "value": 0}])
