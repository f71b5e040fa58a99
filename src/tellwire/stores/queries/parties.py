"""The people and groups that an account writes with, each as one thread, however many conversations it has had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, select

from tellwire.model.messaging import Contact, Conversation, Message
from tellwire.stores.queries.messages import get_contact
from tellwire.stores.queries.paging import first
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import contacts, conversations, messages

_CONVERSATION = tuple(conversations.c[name] for name in ledger_rows.CONVERSATION)
_CONTACT = tuple(contacts.c[name] for name in ledger_rows.CONTACT)
_MESSAGE = tuple(messages.c[name] for name in ledger_rows.MESSAGE)
_PAGE = 500
_PAGES = 20
_CONVERSATIONS = 20
MOST_UNREAD = 100
"""How many of a party's newest messages are looked at for the last outgoing one."""


class Thread(Struct, frozen=True):
    """All that an account wrote with a party: a contact's id, or a group's."""

    organization_id: str
    account_id: str
    party: str


def recent(connection: Connection, organization_id: str, account_id: str, limit: int) -> list[Conversation]:
    """Return the newest conversation of each party of an account, whose last message is newest first.

    The account's newest 10,000 messages are looked at.
    """
    found: dict[str, Conversation] = {}
    seen: set[str] = set()
    before = ""
    for _ in range(_PAGES):
        query = select(messages.c.id, messages.c.conversation_id).where(
            messages.c.organization_id == organization_id, messages.c.account_id == account_id
        )
        if before:
            query = query.where(messages.c.id < before)
        rows = connection.execute(query.order_by(messages.c.id.desc()).limit(_PAGE)).all()
        named = [each for each in dict.fromkeys(row.conversation_id for row in rows) if each not in seen]
        seen.update(named)
        for conversation in _conversations(connection, organization_id, named):
            found.setdefault(conversation.party, conversation)
        if len(found) >= limit or len(rows) < _PAGE:
            break
        before = rows[-1].id
    return list(found.values())[:limit]


def newest_conversation(connection: Connection, thread: Thread) -> Conversation | None:
    """Return the newest conversation of a thread, None when there is none."""
    ids = _ids(connection, thread, 1)
    return next(iter(_conversations(connection, thread.organization_id, ids)), None)


def newest_messages(connection: Connection, thread: Thread, limit: int) -> list[Message]:
    """Return the newest messages of a thread, newest first: at most `limit`, in its newest conversations, and no more
    than a page may hold."""
    rows, _ = first(_rows(connection, thread, _MESSAGE, limit), limit)
    return [ledger_rows.message(row) for row in rows]


def unread(connection: Connection, thread: Thread) -> int:
    """Return how many messages came in since the last outgoing one; 0 when none of the newest was outgoing."""
    for count, row in enumerate(_rows(connection, thread, (messages.c.direction,), MOST_UNREAD)):
        if row.direction == "outgoing":
            return count
    return 0


def person(connection: Connection, organization_id: str, party: str) -> Contact | None:
    """Return the contact behind a party, the one that it was merged into if it was; None for a group."""
    contact = get_contact(connection, organization_id, party)
    if contact is not None and contact.merged_into:
        contact = get_contact(connection, organization_id, contact.merged_into)
    return contact


def people_like(connection: Connection, organization_id: str, name: str, digits: str, limit: int) -> list[Contact]:
    """Return the newest contacts whose name and phone number contain these texts; "" is in every one."""
    query = select(*_CONTACT).where(contacts.c.organization_id == organization_id, contacts.c.merged_into == "")
    if name:
        query = query.where(contacts.c.name.icontains(name, autoescape=True))
    if digits:
        query = query.where(contacts.c.phone.contains(digits))
    rows = connection.execute(query.order_by(contacts.c.id.desc()).limit(limit))
    return [ledger_rows.contact(row) for row in rows]


def _conversations(connection: Connection, organization_id: str, ids: Sequence[str]) -> list[Conversation]:
    """Return conversations in the order of their ids as given."""
    query = select(*_CONVERSATION).where(
        conversations.c.organization_id == organization_id, conversations.c.id.in_(ids)
    )
    known = {row.id: ledger_rows.conversation((*row, None)) for row in connection.execute(query)} if ids else {}
    return [known[each] for each in ids if each in known]


def _ids(connection: Connection, thread: Thread, limit: int) -> Sequence[str]:
    query = select(conversations.c.id).where(
        conversations.c.organization_id == thread.organization_id,
        conversations.c.party == thread.party,
        conversations.c.account_id == thread.account_id,
    )
    return connection.execute(query.order_by(conversations.c.id.desc()).limit(limit)).scalars().all()


def _rows(connection: Connection, thread: Thread, columns: tuple[Any, ...], limit: int) -> Iterator[Any]:
    """Yield columns of a thread's newest messages, conversation by conversation, as far as they are asked for."""
    left = limit
    for conversation_id in _ids(connection, thread, _CONVERSATIONS):
        query = select(*columns).where(
            messages.c.conversation_id == conversation_id, messages.c.organization_id == thread.organization_id
        )
        for row in connection.execute(query.order_by(messages.c.id.desc()).limit(left)):
            left -= 1
            yield row
        if left <= 0:
            return
