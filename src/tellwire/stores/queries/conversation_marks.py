"""What people note about conversations: labels on them, whom they are assigned to, and how far they were read."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, insert, select, update

from tellwire.model.marks import Marks
from tellwire.stores.queries.audit import AuditChange, note
from tellwire.stores.schema.marks import conversation_labels, conversation_marks, notes
from tellwire.stores.schema.tables import conversations

_TABLES = (conversation_labels, conversation_marks, notes)


def of_conversations(
    connection: Connection, organization_id: str, conversation_ids: Collection[str]
) -> Mapping[str, Marks]:
    """Return what is noted about conversations, by their ids; those without marks are left out."""
    if not conversation_ids:
        return {}
    labelled: dict[str, list[str]] = {}
    table = conversation_labels
    mine = (table.c.organization_id == organization_id) & table.c.conversation_id.in_(conversation_ids)
    for row in connection.execute(select(table.c.conversation_id, table.c.label_id).where(mine)):
        labelled.setdefault(row.conversation_id, []).append(row.label_id)
    marks = conversation_marks
    mine = (marks.c.organization_id == organization_id) & marks.c.conversation_id.in_(conversation_ids)
    found = {row.conversation_id: row for row in connection.execute(select(marks).where(mine))}
    return {
        each: Marks(
            labels=tuple(sorted(labelled.get(each, ()))),
            assignee=found[each].assignee if each in found else "",
            read_until=found[each].read_until if each in found else "",
        )
        for each in found.keys() | labelled.keys()
    }


def exists(connection: Connection, organization_id: str, conversation_id: str) -> bool:
    """Return whether an organization has this conversation, in the transaction that notes something about it."""
    mine = (conversations.c.organization_id == organization_id) & (conversations.c.id == conversation_id)
    return connection.execute(select(conversations.c.id).where(mine)).first() is not None


def put_label(connection: Connection, change: AuditChange, conversation_id: str, label_id: str) -> None:
    """Put a label on a conversation; one that it has already changes nothing."""
    values = {"organization_id": change.organization_id, "label_id": label_id, "conversation_id": conversation_id}
    table = conversation_labels
    mine = [table.c[name] == value for name, value in values.items()]
    if connection.execute(select(table.c.label_id).where(*mine)).first() is None:
        connection.execute(insert(table).values(values))
        note(connection, change, "conversation.labelled", conversation_id)


def take_label(connection: Connection, change: AuditChange, conversation_id: str, label_id: str) -> None:
    """Take a label off a conversation; one that it does not have changes nothing."""
    table = conversation_labels
    mine = table.c.organization_id == change.organization_id
    gone = delete(table).where(mine, table.c.label_id == label_id, table.c.conversation_id == conversation_id)
    if connection.execute(gone).rowcount:
        note(connection, change, "conversation.unlabelled", conversation_id)


def assign(connection: Connection, change: AuditChange, conversation_id: str, assignee: str) -> None:
    """Write whom a conversation is assigned to, "" for nobody."""
    before = of_conversations(connection, change.organization_id, [conversation_id]).get(conversation_id, Marks())
    if before.assignee != assignee:
        _write(connection, change.organization_id, conversation_id, "assignee", assignee)
        note(connection, change, "conversation.assigned", conversation_id)


def read(connection: Connection, organization_id: str, conversation_id: str, until: str) -> None:
    """Write up to which message a conversation was read; never further back than before."""
    before = of_conversations(connection, organization_id, [conversation_id]).get(conversation_id, Marks())
    if before.read_until < until:
        _write(connection, organization_id, conversation_id, "read_until", until)


def forget(connection: Connection, organization_id: str, conversation_ids: Collection[str]) -> None:
    """Delete all that is noted about conversations that are removed."""
    for table in _TABLES:
        mine = table.c.organization_id == organization_id
        connection.execute(delete(table).where(mine, table.c.conversation_id.in_(conversation_ids)))


def _write(connection: Connection, organization_id: str, conversation_id: str, column: str, value: str) -> None:
    """Change a column of the marks; the store writes one change at a time, so that nobody inserts between."""
    table = conversation_marks
    mine = (table.c.organization_id == organization_id) & (table.c.conversation_id == conversation_id)
    if not connection.execute(update(table).where(mine).values({column: value})).rowcount:
        row = {"organization_id": organization_id, "conversation_id": conversation_id, "assignee": "", "read_until": ""}
        connection.execute(insert(table).values(row | {column: value}))
