"""Seal everything that is sealed under a master key anew under the first one, in batches that may be repeated.

Every sealed value begins with the id of its key; a value under the first key already is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Table, and_, or_, select, update

from tellwire.errors import BadSettings
from tellwire.security.vault import Vault
from tellwire.stores.queries import registry_version
from tellwire.stores.records.sending_rows import sealed_place
from tellwire.stores.schema.tables import accounts, agents, endpoints, erasures, idempotency_keys, sealed_keys, sources

_BATCH = 200


class SealedValue(Struct, frozen=True):
    """A column of sealed values; `place` returns the context that a row's value was sealed for."""

    table: Table
    column: str
    key: tuple[str, ...]
    place: Callable[[Any], str]
    in_registry: bool = False
    """whether the registry holds it, so that every process must read it anew"""


SEALED = (
    *(
        SealedValue(accounts, name, ("id",), lambda row, name=name: f"accounts/{name}/{row.id}", in_registry=True)  # type: ignore[misc]
        for name in ("access_token", "app_secret")
    ),
    SealedValue(endpoints, "sealed", ("id",), lambda row: f"endpoints/{row.id}", in_registry=True),
    SealedValue(agents, "sealed", ("organization_id", "id"), lambda row: f"agents/{row.id}", in_registry=True),
    SealedValue(sources, "sealed", ("organization_id", "id"), lambda row: f"sources/{row.id}", in_registry=True),
    SealedValue(sealed_keys, "sealed", ("name",), lambda row: f"sealed_keys/{row.name}"),
    SealedValue(erasures, "sealed", ("organization_id", "id"), lambda row: f"erasures/{row.id}"),
    SealedValue(
        idempotency_keys, "answer", ("organization_id", "key"), lambda row: sealed_place(row.organization_id, row.key)
    ),
)
"""Every column with sealed values; a test fails for one that is missing here."""


class ReencryptionCursor(Struct, frozen=True):
    """Where to continue: an index in `SEALED`, and the key of the row to continue behind (empty: at the first row)."""

    number: int = 0
    behind: tuple[str, ...] = ()


class ReencryptionBatch(Struct, frozen=True):
    """How many values were sealed anew, which could not be opened, and where to continue (None: all are done)."""

    sealed: int
    failed: tuple[str, ...]
    after: ReencryptionCursor | None


def holds_sealed(connection: Connection) -> bool:
    """Return whether anything is sealed in a database, so that its master key is needed."""
    return any(
        connection.execute(
            select(each.table.c[each.column])
            .where(each.table.c[each.column] != _nothing(each.table.c[each.column]))
            .limit(1)
        ).first()
        is not None
        for each in SEALED
    )


def reseal(connection: Connection, vault: Vault, after: ReencryptionCursor) -> ReencryptionBatch:
    """Seal the next values anew, in the order of `SEALED` and of their rows' keys."""
    where = SEALED[after.number]
    rows = list(_rows(connection, where, after.behind))
    sealed, failed = 0, []
    for row in rows:
        kept = row[-1]
        text = kept.decode() if isinstance(kept, bytes) else kept
        if vault.is_sealed_by_first_key(text):
            continue
        try:
            new = vault.seal(vault.unseal(text, where.place(row)), where.place(row))
        except BadSettings:
            failed.append(where.place(row))
            continue
        value = new.encode() if isinstance(kept, bytes) else new
        mine = and_(*(where.table.c[name] == getattr(row, name) for name in where.key))
        connection.execute(update(where.table).where(mine).values({where.column: value}))
        sealed += 1
    if sealed and where.in_registry:
        registry_version.advance(connection)
    if len(rows) == _BATCH:
        last = tuple(getattr(rows[-1], name) for name in where.key)
        return ReencryptionBatch(sealed, tuple(failed), ReencryptionCursor(after.number, last))
    following = after.number + 1
    return ReencryptionBatch(sealed, tuple(failed), ReencryptionCursor(following) if following < len(SEALED) else None)


def _rows(connection: Connection, where: SealedValue, behind: tuple[str, ...]) -> Iterator[Any]:
    keys = [where.table.c[name] for name in where.key]
    column = where.table.c[where.column]
    query = select(*keys, column).where(column != _nothing(column)).order_by(*keys).limit(_BATCH)
    if behind:
        query = query.where(_behind(keys, behind))
    yield from connection.execute(query)


def _behind(keys: list[Any], behind: tuple[str, ...]) -> Any:
    if len(keys) == 1:
        return keys[0] > behind[0]
    first, second = keys
    return or_(first > behind[0], and_(first == behind[0], second > behind[1]))


def _nothing(column: Any) -> str | bytes:
    return b"" if column.table is idempotency_keys else ""
