"""The marks that an erasure leaves (`tellwire.tombstones`), and the key that they are hashed with."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, func, insert, select

from tellwire.model.units import Micros
from tellwire.privacy.tombstones import KEPT, Mark
from tellwire.security.vault import Vault
from tellwire.stores.queries import registry_version
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import erased, sealed_keys

_BATCH = 5000


def key(connection: Connection, vault: Vault) -> bytes:
    """Return the installation's key, making it when there is none yet."""
    query = select(sealed_keys.c.sealed).where(sealed_keys.c.name == ledger_rows.ERASED_KEY)
    sealed = connection.execute(query).scalar_one_or_none()
    if sealed is not None:
        return ledger_rows.sealed_key(sealed, vault, ledger_rows.ERASED_KEY)
    made = os.urandom(32)
    connection.execute(
        insert(sealed_keys).values(
            name=ledger_rows.ERASED_KEY, sealed=ledger_rows.key_sealed(made, vault, ledger_rows.ERASED_KEY)
        )
    )
    return made


def mark(connection: Connection, marks: Iterable[Mark], at: Micros) -> None:
    """Store marks of one organization; for a mark that exists already the time begins anew."""
    rows = [{"organization_id": owner, "mark": each, "erased_at": at} for owner, each in sorted(set(marks))]
    if not rows:
        return
    connection.execute(
        delete(erased).where(
            erased.c.organization_id == rows[0]["organization_id"], erased.c.mark.in_([row["mark"] for row in rows])
        )
    )
    connection.execute(insert(erased), rows)


def marked(connection: Connection, marks: Collection[Mark]) -> set[Mark]:
    """Return those of the marks, of one organization, that are stored."""
    if not marks:
        return set()
    organization_id = next(iter(marks))[0]
    query = select(erased.c.mark).where(
        erased.c.organization_id == organization_id, erased.c.mark.in_([each for _, each in marks])
    )
    return {(organization_id, each) for each in connection.execute(query).scalars()}


def prune(connection: Connection, now: Micros) -> bool:
    """Drop a batch of marks that were kept for long enough; return True when there may be more."""
    old = (
        select(erased.c.organization_id, erased.c.mark)
        .where(erased.c.erased_at <= now - KEPT)
        .order_by(erased.c.erased_at)
        .limit(_BATCH)
    )
    by_owner: dict[str, list[str]] = {}
    for owner, each in connection.execute(old):
        by_owner.setdefault(owner, []).append(each)
    for owner, marks in by_owner.items():
        connection.execute(delete(erased).where(erased.c.organization_id == owner, erased.c.mark.in_(marks)))
    if (
        by_owner
        and connection.execute(select(func.count()).select_from(erased.select().limit(1).subquery())).scalar() == 0
    ):
        registry_version.advance(connection)
    return sum(map(len, by_owner.values())) == _BATCH
