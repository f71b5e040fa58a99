"""Notes about conversations, for the organization's own people."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import asdict, replace
from sqlalchemy import Connection, delete, insert, select

from tellwire.model.marks import Note
from tellwire.stores.queries import audit
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.schema.marks import notes


def add(connection: Connection, change: AuditChange, note: Note) -> Note:
    """Store a new note with a new id and the change's time; return it."""
    made = replace(note, id=change.new_id(), created_at=change.at)
    connection.execute(insert(notes).values(asdict(made)))
    audit.note(connection, change, "note.created", made.id)
    return made


def page(connection: Connection, organization_id: str, conversation_id: str, request: PageRequest) -> Page[Note]:
    """Return a page of the notes about a conversation."""
    query = select(notes).where(notes.c.organization_id == organization_id, notes.c.conversation_id == conversation_id)
    return newest(connection, query, notes.c.id, request, lambda row: Note(**columns(row)))


def of_conversations(connection: Connection, organization_id: str, conversation_ids: Collection[str]) -> Sequence[Note]:
    """Return every note about these conversations, oldest first."""
    query = select(notes).where(
        notes.c.organization_id == organization_id, notes.c.conversation_id.in_(conversation_ids)
    )
    return [Note(**columns(row)) for row in connection.execute(query.order_by(notes.c.id))]


def remove(connection: Connection, change: AuditChange, conversation_id: str, note_id: str) -> bool:
    """Delete a note about a conversation; return whether there was one."""
    mine = (notes.c.organization_id == change.organization_id) & (notes.c.id == note_id)
    gone = connection.execute(delete(notes).where(mine, notes.c.conversation_id == conversation_id)).rowcount == 1
    if gone:
        audit.note(connection, change, "note.deleted", note_id)
    return gone
