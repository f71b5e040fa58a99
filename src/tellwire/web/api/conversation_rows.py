"""Show conversations as the API does: their rows, with who it is, what was said last and what people noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct
from sqlalchemy import Connection

from tellwire.agents.transcript import words
from tellwire.errors import NotFound
from tellwire.meta.outgoing.windows import WINDOW
from tellwire.model.marks import Colour
from tellwire.model.messaging import Conversation, Message
from tellwire.model.row_json import contact_json, conversation_row, instant
from tellwire.model.units import MICROS, Seconds
from tellwire.stores.queries import conversation_activity, conversations, members, service_windows
from tellwire.stores.queries.conversation_activity import Overview
from tellwire.web.api.shapes import ContactShown, ConversationRow, Id, NextCursor, When
from tellwire.web.request import RequestContext
from tellwire.web.responses import joined

_LONGEST = 200
_SYSTEM = b'{"type":"system"'


class LabelShown(Struct, kw_only=True):
    """A label on a conversation."""

    id: Id
    name: str
    colour: Colour


class Assignee(Struct, kw_only=True):
    """Who is to answer: a member of the organization, or an agent."""

    kind: Literal["member", "agent"]
    id: Id
    name: str


class LastMessage(Struct, kw_only=True):
    """The newest message of a conversation; `text` says it in words, brackets describe what is no text."""

    id: Id
    direction: Literal["incoming", "outgoing"]
    type: str
    text: Annotated[str, Meta(max_length=_LONGEST)]
    created_at: When


WindowClosesAt = Annotated[
    When,
    Meta(
        description="When the customer service window closes, or closed: 24 hours after the customer's last message or"
        " call; null when none is known. Lists look at the conversation's last one only."
    ),
]
Unread = Annotated[bool, Meta(description="The newest message is the customer's, and nobody has read it here.")]


class _More(Struct, kw_only=True):
    account_id: Id
    contact_id: str | None
    group_id: str | None
    last_row_at: When
    contact: Raw | None
    labels: list[LabelShown]
    assignee: Assignee | None
    unread: Unread
    window_closes_at: WindowClosesAt | None
    last_message: LastMessage | None


class ConversationRead(ConversationRow, kw_only=True):
    """A conversation: with a contact, or in one of Meta's groups; `last_row_at` is when its last row was recorded."""

    account_id: Id
    contact_id: str | None
    group_id: str | None
    last_row_at: When
    contact: ContactShown | None
    labels: list[LabelShown]
    assignee: Assignee | None
    unread: Unread
    window_closes_at: WindowClosesAt | None
    last_message: LastMessage | None


class ConversationList(Struct, kw_only=True):
    """A page of conversations: newest first, or that with the newest message first."""

    data: list[ConversationRead]
    next_cursor: NextCursor


def shown(connection: Connection, context: RequestContext, some: Sequence[Conversation]) -> list[bytes]:
    """Return conversations as lists show them, as JSON."""
    seen = conversation_activity.overviews(connection, context.organization_id, some)
    people = assignees(connection, context, {each.marks.assignee for each in seen.values()})
    return [_row(each, seen[each.id], people, _window(seen[each.id])) for each in some]


def shown_alone(connection: Connection, context: RequestContext, conversation: Conversation) -> bytes:
    """Return one conversation as JSON, with all that is known of its customer service window."""
    owner = context.organization_id
    seen = conversation_activity.overviews(connection, owner, [conversation])[conversation.id]
    people = assignees(connection, context, {seen.marks.assignee})
    last = service_windows.last_incoming_at(connection, owner, conversation.account_id, conversation.party)
    return _row(conversation, seen, people, last)


def assignees(connection: Connection, context: RequestContext, ids: set[str]) -> dict[str, Assignee]:
    """Return the members and agents of the organization with these ids, by id."""
    owner, agents = context.organization_id, context.services.store.registry().agents
    found = {
        each.id: Assignee(kind="member", id=each.id, name=each.name or each.email)
        for each in members.get_many(connection, owner, ids - {""})
    }
    for identifier in ids:
        agent = agents.get(identifier)
        if agent is not None and agent.organization_id == owner:
            found[identifier] = Assignee(kind="agent", id=agent.id, name=agent.name)
    return found


def known(connection: Connection, context: RequestContext, conversation_id: str) -> Conversation:
    """Return a conversation of the caller's organization.

    Raises:
        NotFound: there is none with this id.
    """
    conversation = conversations.get(connection, context.organization_id, conversation_id)
    if conversation is None:
        raise NotFound("There is no conversation with this id.")
    return conversation


def _row(conversation: Conversation, seen: Overview, people: dict[str, Assignee], last: Seconds) -> bytes:
    more = _More(
        account_id=conversation.account_id,
        contact_id=None if conversation.is_group else conversation.party,
        group_id=conversation.party if conversation.is_group else None,
        last_row_at=instant(conversation.last_row_at),
        contact=Raw(contact_json(seen.contact)) if seen.contact else None,
        labels=[LabelShown(id=each.id, name=each.name, colour=each.colour) for each in seen.labels],
        assignee=people.get(seen.marks.assignee),
        unread=seen.unread,
        window_closes_at=instant((last + WINDOW) * MICROS) if last else None,
        last_message=_last(seen.last) if seen.last else None,
    )
    return joined(conversation_row(conversation), more)


def _last(message: Message) -> LastMessage:
    kind, _, _ = message.content.removeprefix(b'{"type":"').partition(b'"')
    return LastMessage(
        id=message.id,
        direction=message.direction,
        type=kind.decode(errors="replace"),
        text=words(message.content)[:_LONGEST],
        created_at=instant(message.created_at),
    )


def _window(seen: Overview) -> Seconds:
    last = seen.last_incoming
    return 0 if last is None or last.history or last.content.startswith(_SYSTEM) else last.timestamp
