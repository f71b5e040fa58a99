"""Organizations and their API keys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec.structs import asdict, replace
from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from tellwire.model.tenancy import ApiKey, Organization
from tellwire.model.units import Micros
from tellwire.stores.queries.audit import AuditChange, note, note_change
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.schema.tables import api_keys, organizations


def add(connection: Connection, change: AuditChange, name: str) -> Organization:
    """Store a new organization."""
    organization = Organization(id=change.new_id(), name=name, created_at=change.at)
    connection.execute(insert(organizations).values(asdict(organization)))
    note(connection, change, "organization.created", organization.id, organization_id=organization.id)
    return organization


def get(connection: Connection, organization_id: str) -> Organization | None:
    """Return an organization, None when there is none."""
    row = connection.execute(select(organizations).where(organizations.c.id == organization_id)).one_or_none()
    return None if row is None else _organization(row)


def page(connection: Connection, request: PageRequest, *, only: str = "") -> Page[Organization]:
    """Return a page of all organizations; with `only` just the one with this id."""
    query = select(organizations)
    if only:
        query = query.where(organizations.c.id == only)
    return newest(connection, query, organizations.c.id, request, _organization)


def add_key(connection: Connection, change: AuditChange, key: ApiKey) -> ApiKey:
    """Store a new key with a new id and the change's time; return it. Its organization must exist."""
    key = replace(key, id=change.new_id(), created_at=change.at)
    columns = asdict(key) | {"scopes": msgspec.json.encode(key.scopes)}
    connection.execute(insert(api_keys).values(columns))
    note(connection, change, "api_key.created", key.id, organization_id=key.organization_id)
    return key


def keys_of_hashes(connection: Connection, digests: Collection[str]) -> dict[str, ApiKey]:
    """Return the keys with these SHA-256 (hex) by it, also those that have expired or were revoked."""
    rows = connection.execute(select(api_keys).where(api_keys.c.hash.in_(digests))).all()
    return {row.hash: _key(row) for row in rows}


def get_key(connection: Connection, organization_id: str, key_id: str, *, operators: bool) -> ApiKey | None:
    """Return a key of an organization, None when there is none; `operators`: also one that runs the installation."""
    query = select(api_keys).where(api_keys.c.id == key_id, _seen(organization_id, operators=operators))
    row = connection.execute(query).one_or_none()
    return None if row is None else _key(row)


def keys_page(connection: Connection, organization_id: str, request: PageRequest, *, operators: bool) -> Page[ApiKey]:
    """Return a page of the keys of an organization, revoked ones too; `operators` as in `get_key`."""
    query = select(api_keys).where(_seen(organization_id, operators=operators))
    return newest(connection, query, api_keys.c.id, request, _key)


def _seen(organization_id: str, *, operators: bool) -> ColumnElement[bool]:
    own = api_keys.c.organization_id == organization_id
    return own if operators else and_(own, api_keys.c.operator.is_(False))


def revoke_key(connection: Connection, change: AuditChange, key_id: str, *, operators: bool) -> ApiKey | None:
    """Revoke a key for good, and tell every process; a key that was revoked before keeps its time. Return None when
    there is no such key.

    `operators` as in `get_key`.
    """
    key = get_key(connection, change.organization_id, key_id, operators=operators)
    if key is None or key.revoked_at is not None:
        return key
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=change.at))
    note_change(connection, change, "api_key.revoked", key_id)
    return replace(key, revoked_at=change.at)


def key_used(connection: Connection, key_id: str, at: Micros) -> None:
    """Store when a key was last used."""
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=at))


def _organization(row: Any) -> Organization:
    return Organization(id=row.id, name=row.name, created_at=row.created_at)


def _key(row: Any) -> ApiKey:
    return ApiKey(**{**columns(row), "scopes": tuple(msgspec.json.decode(row.scopes))})
