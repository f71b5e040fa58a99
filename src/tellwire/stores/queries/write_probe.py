"""A test write that shows when a database that refused writes accepts them again."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert

from tellwire.stores.schema.tables import idempotency_keys as table

_BYTES = 64 * 1024
_NOBODY = ""
"""An id that no organization has."""


def write(connection: Connection) -> None:
    """Write as many bytes as a few POSTs need, and delete them in the same commit."""
    values = {"organization_id": _NOBODY, "key": "probe", "request_hash": "", "status": 0, "created_at": 0}
    connection.execute(insert(table).values(answer=bytes(_BYTES), **values))
    connection.execute(delete(table).where(table.c.organization_id == _NOBODY))
