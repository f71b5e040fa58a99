"""Sources as rows, for every database."""

from __future__ import annotations

from typing import Any

from tellwire.model.sources import Source
from tellwire.security.vault import Vault

_COLUMNS = (
    "id",
    "organization_id",
    "name",
    "kind",
    "authentication",
    "header",
    "account_id",
    "mode",
    "created_at",
    "updated_at",
)


def source(row: Any, vault: Vault) -> Source:
    """Return the source that a mapping of columns holds."""
    secret = vault.unseal(row["sealed"], f"sources/{row['id']}")
    return Source(**{name: row[name] for name in _COLUMNS}, secret=secret)


def source_values(value: Source, vault: Vault) -> dict[str, Any]:
    """Return the columns of a source, its secret sealed."""
    columns = {name: getattr(value, name) for name in _COLUMNS}
    return columns | {"sealed": vault.seal(value.secret, f"sources/{value.id}")}
