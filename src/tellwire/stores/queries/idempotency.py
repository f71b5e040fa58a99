"""Answers stored under an `Idempotency-Key`, so that a request that is sent twice is done once."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from tellwire.errors import BadSettings
from tellwire.model import units
from tellwire.model.ledger import KeptAnswer
from tellwire.model.units import Micros
from tellwire.security.vault import Vault
from tellwire.stores.records.sending_rows import sealed, sealed_place
from tellwire.stores.schema.tables import idempotency_keys as table

DAY: Micros = units.DAY
"""How long an answer is stored."""


def find(connection: Connection, vault: Vault, organization_id: str, key: str, *, now: Micros) -> KeptAnswer | None:
    """Return the answer stored under a key, without its body if that was erased; None when there is none, or it is too
    old."""
    query = select(table.c.request_hash, table.c.status, table.c.answer).where(
        table.c.organization_id == organization_id, table.c.key == key, table.c.created_at > now - DAY
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    text = row.answer.decode()
    body = vault.unseal(text, sealed_place(organization_id, key)).encode() if text else b""
    return KeptAnswer(row.request_hash, row.status, body)


def keep(
    connection: Connection, vault: Vault, organization_id: str, key: str, answer: KeptAnswer, *, now: Micros
) -> None:
    """Store an answer, sealed because it may hold a secret, and delete answers that are too old."""
    mine = (table.c.organization_id == organization_id) & (table.c.key == key)
    connection.execute(delete(table).where(mine | (table.c.created_at <= now - DAY)))
    connection.execute(
        insert(table).values(
            organization_id=organization_id,
            key=key,
            request_hash=answer.request_hash,
            status=answer.status,
            answer=sealed(vault, organization_id, key, answer.body),
            created_at=now,
        )
    )


def amend(connection: Connection, vault: Vault, organization_id: str, key: str, answer: KeptAnswer) -> None:
    """Replace a stored answer of the same request, unless it was erased meanwhile."""
    mine = (table.c.organization_id == organization_id) & (table.c.key == key)
    same = (table.c.request_hash == answer.request_hash) & (table.c.answer != b"")
    body = sealed(vault, organization_id, key, answer.body)
    connection.execute(update(table).where(mine, same).values(status=answer.status, answer=body))


def forget(connection: Connection, organization_id: str, key: str) -> None:
    """Drop a stored answer, because nothing came of the request: the same may be asked for again."""
    mine = (table.c.organization_id == organization_id) & (table.c.key == key)
    connection.execute(delete(table).where(mine))


def erase(connection: Connection, organization_id: str, key: str) -> None:
    """Erase the body of a stored answer. That the request was done stays known, so that it is not done again."""
    mine = (table.c.organization_id == organization_id) & (table.c.key == key)
    connection.execute(update(table).where(mine).values(answer=b""))


def opened(vault: Vault, organization_id: str, key: str, answer: bytes) -> bytes | None:
    """Return a stored answer unsealed; None when no master key opens it."""
    try:
        return vault.unseal(answer.decode(), sealed_place(organization_id, key)).encode()
    except BadSettings:
        return None
