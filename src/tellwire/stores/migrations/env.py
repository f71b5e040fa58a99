"""Alembic's entry: runs the migrations over the connection that `stores.migrate` hands in."""

from typing import Any

import sqlalchemy as sa
from alembic import context

from tellwire import __version__

_REVISIONS = sa.table("schema_revisions", sa.column("revision"), sa.column("version"))


def _write_down(ctx: Any, step: Any, *_: Any, **__: Any) -> None:
    """Keep which version of Tellwire made a step, so that an older one can say which version the database needs."""
    ctx.connection.execute(_REVISIONS.insert().values(revision=step.up_revision_id, version=__version__))


context.configure(connection=context.config.attributes["connection"], on_version_apply=_write_down)
with context.begin_transaction():
    context.run_migrations()
