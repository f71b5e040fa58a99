"""Conversations by their last message, and what a list of them shows of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, and_, func, not_, select

from tellwire.agents.transcript import words
from tellwire.model.marks import Label, Marks
from tellwire.model.messaging import Contact, Conversation, Message
from tellwire.stores.queries import conversation_marks, labels
from tellwire.stores.queries import messages as message_queries
from tellwire.stores.queries.paging import Page, PageRequest
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.marks import conversation_labels
from tellwire.stores.schema.marks import conversation_marks as marks_table
from tellwire.stores.schema.tables import conversations, messages

NOBODY = "none"
"""The filter for conversations that are assigned to nobody."""
MOST = 1_000
"""How many messages one page looks at."""
MOST_MARKED = 500
"""How many conversations with a label, or of an assignee."""
_AT_ONCE = 250
_DIGITS = 4
"""A number is found by so many of its digits, however it is written."""
_MESSAGE = tuple(messages.c[name] for name in ledger_rows.MESSAGE)
_OF = messages.c.conversation_id == conversations.c.id
_LAST = select(func.max(messages.c.id)).where(_OF).scalar_subquery()
_LAST_INCOMING = (
    select(messages.c.id)
    .where(_OF, messages.c.direction == "incoming")
    .order_by(messages.c.id.desc())
    .limit(1)
    .scalar_subquery()
)


def _mark(column: str) -> ScalarSelect[Any]:
    """Return the query for a mark of the conversation of the outer query."""
    of = (marks_table.c.organization_id == conversations.c.organization_id) & (
        marks_table.c.conversation_id == conversations.c.id
    )
    return select(marks_table.c[column]).where(of).scalar_subquery()


_LAST_DIRECTION = select(messages.c.direction).where(_OF).order_by(messages.c.id.desc()).limit(1).scalar_subquery()
_UNREAD = and_(func.coalesce(_LAST_DIRECTION, "") == "incoming", func.coalesce(_mark("read_until"), "") < _LAST)


class ActivityFilter(Struct, frozen=True, kw_only=True):
    """Filters of a list of conversations by their last message; "" and None filter nothing. `assignee`: a member's or
    an agent's id, or `none`. `text`: what a message says, or the contact's name, number or username holds."""

    status: str = ""
    account_id: str = ""
    party: str = ""
    label_id: str = ""
    assignee: str = ""
    unread: bool | None = None
    text: str = ""


class Overview(Struct, frozen=True, kw_only=True):
    """What is shown of a conversation beside its row. `last`: its newest message; `last_incoming`: the customer's."""

    contact: Contact | None = None
    marks: Marks = Marks()
    labels: tuple[Label, ...] = ()
    last: Message | None = None
    last_incoming: Message | None = None

    @property
    def unread(self) -> bool:
        """Whether the newest message is the customer's, and nobody has read it here."""
        return self.last is not None and self.last.direction == "incoming" and self.last.id > self.marks.read_until


def page(
    connection: Connection, organization_id: str, chosen: ActivityFilter, request: PageRequest
) -> Page[Conversation]:
    """Return a page of conversations, that with the newest message first.

    A page looks at `MOST` messages at the most. Where that ends it, it has fewer conversations than were asked for,
    maybe none, and the next page goes on from there. With a label or an assignee, but no text, it looks at the newest
    `MOST_MARKED` of its conversations instead. A text that several messages of a conversation say may bring it on
    several pages.
    """
    kept: dict[str, Conversation] = {}
    marked = not chosen.text and (chosen.label_id or chosen.assignee not in ("", NOBODY))
    looked_at = (_marked if marked else _by_message)(connection, organization_id, chosen, request.before)
    end = ""
    for found, end in looked_at:  # noqa: B007 - where the last look ended
        for place, conversation in found:
            kept.setdefault(conversation.id, conversation)
            if len(kept) == request.limit:
                return Page(list(kept.values()), place)
    return Page(list(kept.values()), end)


def last_of(connection: Connection, conversation_id: str) -> str:
    """Return the id of the newest message of a conversation, "" when there is none."""
    newest = select(func.max(messages.c.id)).where(messages.c.conversation_id == conversation_id)
    return connection.execute(newest).scalar() or ""


def overviews(connection: Connection, organization_id: str, some: Sequence[Conversation]) -> Mapping[str, Overview]:
    """Return what is shown of conversations beside their rows, by their ids."""
    ids = [each.id for each in some]
    if not ids:
        return {}
    query = select(conversations.c.id, _LAST.label("last"), _LAST_INCOMING.label("incoming"))
    rows = connection.execute(query.where(_own(organization_id), conversations.c.id.in_(ids))).all()
    wanted = {each for row in rows for each in (row.last, row.incoming) if each}
    said = {each.id: each for each in _messages(connection, organization_id, wanted)}
    people = message_queries.contacts_of(
        connection, organization_id, {each.party for each in some if not each.is_group}
    )
    marks = conversation_marks.of_conversations(connection, organization_id, ids)
    known = labels.get_many(connection, organization_id, {each for mark in marks.values() for each in mark.labels})
    newest = {row.id: row for row in rows}
    return {
        each.id: _overview(
            people.get(each.party), marks.get(each.id, Marks()), known, *_ends(newest.get(each.id), said)
        )
        for each in some
    }


def _ends(row: Any, said: Mapping[str, Message]) -> tuple[Message | None, Message | None]:
    return (said.get(row.last), said.get(row.incoming)) if row is not None else (None, None)


def _overview(
    contact: Contact | None,
    marks: Marks,
    known: Mapping[str, Label],
    last: Message | None,
    last_incoming: Message | None,
) -> Overview:
    theirs = sorted((known[each] for each in marks.labels if each in known), key=lambda label: label.name)
    return Overview(contact=contact, marks=marks, labels=tuple(theirs), last=last, last_incoming=last_incoming)


_Placed = list[tuple[str, Conversation]]
"""Conversations, each behind the id of the message that places it in the list, newest first."""


def _marked(
    connection: Connection, organization_id: str, chosen: ActivityFilter, before: str
) -> Iterator[tuple[_Placed, str]]:
    """Give the newest conversations with the label, else of the assignee, that match."""
    table = conversation_labels if chosen.label_id else marks_table
    query = _labelled(organization_id, chosen) if chosen.label_id else _assigned(organization_id, chosen)
    newest = query.order_by(table.c.conversation_id.desc()).limit(MOST_MARKED)
    ids = connection.execute(newest).scalars().all()
    placed = [(row[-1] or row.id, _conversation(row)) for row in _matching(connection, organization_id, chosen, ids)]
    yield sorted((each for each in placed if not before or each[0] < before), key=_place, reverse=True), ""


def _by_message(
    connection: Connection, organization_id: str, chosen: ActivityFilter, before: str
) -> Iterator[tuple[_Placed, str]]:
    """Give the conversations that match as their messages come, newest first, and where the next look begins ("":
    nowhere)."""
    for _ in range(MOST // _AT_ONCE):
        said = _newest(connection, organization_id, chosen, before)
        newest = {row.conversation_id: row.id for row in reversed(said)}
        hits = _hits(said, chosen.text) if chosen.text else {}
        rows = _matching(connection, organization_id, chosen, newest.keys())
        current = [(row[-1], _conversation(row)) for row in rows if row[-1] == newest[row.id]]
        if chosen.text:
            named = _named(connection, organization_id, current, chosen.text)
            current = [each for each in current if each[1].id in named]
            current += [(hits[row.id], _conversation(row)) for row in rows if row.id in hits.keys() - named]
        before = said[-1].id if len(said) == _AT_ONCE else ""
        yield sorted(current, key=_place, reverse=True), before
        if not before:
            return


def _place(placed: tuple[str, Conversation]) -> str:
    return placed[0]


def _newest(connection: Connection, organization_id: str, chosen: ActivityFilter, before: str) -> Sequence[Any]:
    columns = [messages.c.id, messages.c.conversation_id, *([messages.c.content] if chosen.text else [])]
    query = select(*columns).where(messages.c.organization_id == organization_id)
    if before:
        query = query.where(messages.c.id < before)
    return connection.execute(query.order_by(messages.c.id.desc()).limit(_AT_ONCE)).all()


def _hits(said: Sequence[Any], text: str) -> dict[str, str]:
    """Return, by conversation, the newest message that says a text."""
    wanted = text.casefold()
    return {row.conversation_id: row.id for row in reversed(said) if wanted in words(row.content).casefold()}


def _named(connection: Connection, organization_id: str, placed: _Placed, text: str) -> set[str]:
    """Return the ids of the conversations whose contact's name, username or number holds a text."""
    people = message_queries.contacts_of(connection, organization_id, {each.party for _, each in placed})
    wanted, digits = text.casefold(), "".join(each for each in text if each.isdecimal())
    found = set()
    for _, each in placed:
        contact = people.get(each.party)
        names = [each.contact_address, *((contact.name, contact.username, contact.phone) if contact else ())]
        by_number = len(digits) >= _DIGITS and any(digits in name for name in names)
        if by_number or any(wanted in name.casefold() for name in names):
            found.add(each.id)
    return found


def _matching(
    connection: Connection, organization_id: str, chosen: ActivityFilter, ids: Collection[str]
) -> Sequence[Any]:
    """Return those of these conversations that the filters match, each with the id of its last message."""
    if not ids:
        return []
    query = select(*(conversations.c[name] for name in ledger_rows.CONVERSATION), _LAST)
    query = query.where(_own(organization_id), conversations.c.id.in_(ids))
    for name, value in (("status", chosen.status), ("account_id", chosen.account_id), ("party", chosen.party)):
        if value:
            query = query.where(conversations.c[name] == value)
    if chosen.label_id:
        query = query.where(conversations.c.id.in_(_labelled(organization_id, chosen)))
    if chosen.assignee == NOBODY:
        query = query.where(func.coalesce(_mark("assignee"), "") == "")
    elif chosen.assignee:
        query = query.where(conversations.c.id.in_(_assigned(organization_id, chosen)))
    if chosen.unread is not None:
        query = query.where(_UNREAD if chosen.unread else not_(_UNREAD))
    return connection.execute(query).all()


def _labelled(organization_id: str, chosen: ActivityFilter) -> Select[Any]:
    mine = conversation_labels.c.organization_id == organization_id
    return select(conversation_labels.c.conversation_id).where(mine, conversation_labels.c.label_id == chosen.label_id)


def _assigned(organization_id: str, chosen: ActivityFilter) -> Select[Any]:
    mine = (marks_table.c.organization_id == organization_id) & (marks_table.c.assignee == chosen.assignee)
    return select(marks_table.c.conversation_id).where(mine, marks_table.c.assignee != "")  # as the index says it


def _own(organization_id: str) -> ColumnElement[bool]:
    return conversations.c.organization_id == organization_id


def _conversation(row: Any) -> Conversation:
    return ledger_rows.conversation(tuple(row))


def _messages(connection: Connection, organization_id: str, ids: Collection[str]) -> list[Message]:
    if not ids:
        return []
    query = select(*_MESSAGE).where(messages.c.organization_id == organization_id, messages.c.id.in_(ids))
    return [ledger_rows.message(row) for row in connection.execute(query)]
