"""Answers kept by `Idempotency-Key`, so that a request that is sent twice is done once."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from tellwire.errors import BadSettings
from tellwire.ledger import KeptAnswer
from tellwire.model import Micros
from tellwire.stores.tables import idempotency_keys as table
from tellwire.vault import Vault

DAY: Micros = 24 * 3600 * 1_000_000
"""How long an answer is kept."""


def find(connection: Connection, vault: Vault, organization_id: str, key: str, *, now: Micros) -> KeptAnswer | None:
    """The answer kept under a key, unless it is too old."""
    query = select(table.c.request_hash, table.c.status, table.c.answer).where(
        table.c.organization_id == organization_id, table.c.key == key, table.c.created_at > now - DAY
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    body = vault.unseal(row.answer.decode(), sealed_place(organization_id, key)).encode()
    return KeptAnswer(row.request_hash, row.status, body)


def keep(
    connection: Connection, vault: Vault, organization_id: str, key: str, answer: KeptAnswer, *, now: Micros
) -> None:
    """Keep an answer, sealed because it may show a secret; answers that are too old go."""
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


def sealed(vault: Vault, organization_id: str, key: str, body: bytes) -> bytes:
    """An answer as it is stored."""
    return vault.seal(body.decode(), sealed_place(organization_id, key)).encode()


def opened(vault: Vault, organization_id: str, key: str, answer: bytes) -> bytes | None:
    """A kept answer in the clear; None when none of the master keys opens it."""
    try:
        return vault.unseal(answer.decode(), sealed_place(organization_id, key)).encode()
    except BadSettings:
        return None


def sealed_place(organization_id: str, key: str) -> str:
    """What a kept answer is sealed for."""
    return f"idempotency/{organization_id}/{key}"
