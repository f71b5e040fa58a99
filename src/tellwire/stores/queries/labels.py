"""Labels of an organization."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import asdict, replace
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from tellwire.errors import Conflict
from tellwire.model.marks import Label
from tellwire.stores.queries.audit import AuditChange, note
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.schema.marks import conversation_labels, labels

MOST = 200
"""Labels of an organization: more could not be told apart."""


def add(connection: Connection, change: AuditChange, label: Label) -> Label:
    """Store a new label with a new id and the change's time; return it.

    Raises:
        Conflict: a label has this name, or there are 200 already.
    """
    count = select(func.count()).where(labels.c.organization_id == label.organization_id)
    if connection.execute(count).scalar_one() >= MOST:
        raise Conflict(f"There are {MOST} labels already: delete one first.", kind="too-many-labels")
    _check_name(connection, label)
    made = replace(label, id=change.new_id(), created_at=change.at, updated_at=change.at)
    connection.execute(insert(labels).values(asdict(made)))
    note(connection, change, "label.created", made.id)
    return made


def get(connection: Connection, organization_id: str, label_id: str) -> Label | None:
    """Return a label of an organization, None when there is none."""
    mine = (labels.c.organization_id == organization_id) & (labels.c.id == label_id)
    row = connection.execute(select(labels).where(mine)).one_or_none()
    return None if row is None else Label(**columns(row))


def get_many(connection: Connection, organization_id: str, label_ids: Collection[str]) -> dict[str, Label]:
    """Return the labels of an organization with these ids, by id."""
    if not label_ids:
        return {}
    query = select(labels).where(labels.c.organization_id == organization_id, labels.c.id.in_(label_ids))
    return {row.id: Label(**columns(row)) for row in connection.execute(query)}


def page(connection: Connection, organization_id: str, request: PageRequest) -> Page[Label]:
    """Return a page of the labels of an organization."""
    query = select(labels).where(labels.c.organization_id == organization_id)
    return newest(connection, query, labels.c.id, request, lambda row: Label(**columns(row)))


def change(connection: Connection, change: AuditChange, label: Label) -> Label:
    """Write a changed label.

    Raises:
        Conflict: another label has this name.
    """
    _check_name(connection, label)
    changed = replace(label, updated_at=change.at)
    connection.execute(update(labels).where(_is(label)).values(asdict(changed)))
    note(connection, change, "label.changed", label.id)
    return changed


def remove(connection: Connection, change: AuditChange, label: Label) -> None:
    """Delete a label, and take it off every conversation."""
    theirs = conversation_labels.c.organization_id == label.organization_id
    connection.execute(delete(conversation_labels).where(theirs, conversation_labels.c.label_id == label.id))
    connection.execute(delete(labels).where(_is(label)))
    note(connection, change, "label.deleted", label.id)


def _is(label: Label) -> ColumnElement[bool]:
    return (labels.c.organization_id == label.organization_id) & (labels.c.id == label.id)


def _check_name(connection: Connection, label: Label) -> None:
    mine = (labels.c.organization_id == label.organization_id) & (labels.c.name == label.name)
    other = connection.execute(select(labels.c.id).where(mine)).scalar_one_or_none()
    if other not in (None, label.id):
        raise Conflict("A label has this name already.", ("/name", "is taken"), kind="name-taken")
