"""Serve `/v1/conversations/{id}/notes`: notes that an organization's people write for each other."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.errors import NotFound
from tellwire.model.marks import Note
from tellwire.model.messaging import Conversation
from tellwire.model.row_json import instant
from tellwire.stores.queries import members, notes
from tellwire.web.api.conversation_rows import known
from tellwire.web.api.shapes import Id, NextCursor, When
from tellwire.web.parameters import Cursor, Limit, cursor_of, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import page_body, raw_json_response

_READ = {"scopes": ("read", "inbox")}
_WRITE = {"scopes": ("messages:write",)}
_NOUN = "notes"
_PATH = "/conversations/{conversation_id:str}/notes"
_TEXT = r"^(?![\s\S]*[\u0000-\u0009\u000b-\u001f\u007f])(?=[\s\S]*\S)"
"""Lines of text that are not empty, without other control characters."""
_MEMBER = "member "


class NoteDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """A note to write."""

    text: Annotated[str, Meta(min_length=1, max_length=4000, pattern=_TEXT)]


class NoteRead(Struct, kw_only=True):
    """A note. `written_by` is as the audit names who calls; `author` is the name of a member."""

    id: Id
    organization_id: Id
    conversation_id: Id
    contact_id: str | None
    text: str
    written_by: str
    author: str | None
    created_at: When


class NoteList(Struct, kw_only=True):
    """A page of notes, newest first."""

    data: list[NoteRead]
    next_cursor: NextCursor


@get(_PATH, summary="List the notes about a conversation", opt=_READ)
async def list_notes(
    conversation_id: FromPath[str], context: ContextDependency, limit: Limit = 50, cursor: Cursor = ""
) -> Response[NoteList]:
    """Notes are for the organization's own people: customers and webhooks never get them."""
    name, paging = await context.conversation_id(conversation_id), page_request(_NOUN, limit, cursor)

    def look(connection: Connection) -> bytes:
        conversation = known(connection, context, name)
        page = notes.page(connection, context.organization_id, name, paging)
        names = _names(connection, context, page.items)
        return page_body([_shown(each, conversation, names) for each in page.items], cursor_of(_NOUN, page.after))

    return raw_json_response(await context.read(look), NoteList)


@post(_PATH, summary="Write a note about a conversation", opt=_WRITE)
async def write_note(
    request: Request[Any, Any, Any],
    conversation_id: FromPath[str],
    context: ContextDependency,
    data: JSONBody[NoteDraft],
) -> Response[NoteRead]:
    """A note goes with its conversation, when that or its contact is erased."""
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        name, audit_change = await context.conversation_id(conversation_id), context.audit_change()
        draft = Note(
            id="",
            organization_id=context.organization_id,
            conversation_id=name,
            text=data.text,
            written_by=audit_change.actor,
            created_at=0,
        )

        def work(connection: Connection) -> tuple[Note, bytes]:
            conversation = known(connection, context, name)
            made = notes.add(connection, audit_change, draft)
            return made, _shown(made, conversation, _names(connection, context, [made]))

        _, body = await once.write(work)
    return raw_json_response(body, NoteRead, status=201)


@delete(f"{_PATH}/{{note_id:str}}", summary="Delete a note", opt=_WRITE, status_code=204)
async def delete_note(conversation_id: FromPath[str], note_id: FromPath[str], context: ContextDependency) -> None:
    """A deleted note is gone for good."""
    name, note, change = await context.conversation_id(conversation_id), our_id(note_id, "note"), context.audit_change()
    if not await context.write(lambda c: notes.remove(c, change, name, note)):
        raise NotFound("There is no note with this id about this conversation.")


def _names(connection: Connection, context: RequestContext, some: list[Note]) -> dict[str, str]:
    """Return the names of the members who wrote notes, by what the audit calls them."""
    ids = {each.written_by.removeprefix(_MEMBER) for each in some if each.written_by.startswith(_MEMBER)}
    found = members.get_many(connection, context.organization_id, ids)
    return {_MEMBER + each.id: each.name or each.email for each in found}


def _shown(note: Note, conversation: Conversation, names: dict[str, str]) -> bytes:
    return encode(
        NoteRead(
            id=note.id,
            organization_id=note.organization_id,
            conversation_id=note.conversation_id,
            contact_id=None if conversation.is_group else conversation.party,
            text=note.text,
            written_by=note.written_by,
            author=names.get(note.written_by),
            created_at=instant(note.created_at),
        )
    )


HANDLERS = (list_notes, write_note, delete_note)
