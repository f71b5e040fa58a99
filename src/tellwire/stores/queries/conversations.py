"""Conversations, by our ids and by the ids that a payload format shows."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection, Table, func, select

from tellwire.ids import id_floor
from tellwire.model.messaging import NEVER, Conversation
from tellwire.model.units import MICROS
from tellwire.ports.formats import ShownIds
from tellwire.stores.queries.paging import Page, PageRequest, matching, newest, unindexed
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import contact_aliases, contacts, conversations, messages

_LAST = select(func.max(messages.c.id)).where(messages.c.conversation_id == conversations.c.id).scalar_subquery()
_COLUMNS = (*(conversations.c[name] for name in ledger_rows.CONVERSATION), _LAST)


class ConversationFilter(Struct, frozen=True, kw_only=True):
    """Filters of a list of conversations; "" filters nothing. `party` is a contact's id or a group's."""

    status: str = ""
    account_id: str = ""
    party: str = ""


def page(
    connection: Connection, organization_id: str, chosen: ConversationFilter, request: PageRequest
) -> Page[Conversation]:
    """Return a page of the conversations of an organization."""
    owner = conversations.c.organization_id
    query = select(*_COLUMNS).where((unindexed(owner) if chosen.party else owner) == organization_id)
    query = matching(
        query,
        (conversations.c.status, chosen.status),
        (conversations.c.account_id, chosen.account_id),
        (conversations.c.party, chosen.party),
    )
    return newest(connection, query, conversations.c.id, request, ledger_rows.conversation)


def get(connection: Connection, organization_id: str, conversation_id: str) -> Conversation | None:
    """Return a conversation of an organization, None when there is none."""
    query = select(*_COLUMNS).where(
        conversations.c.id == conversation_id, conversations.c.organization_id == organization_id
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else ledger_rows.conversation(row)


def with_group(connection: Connection, organization_id: str, account_id: str, group_id: str) -> Conversation | None:
    """Return the newest conversation of an account with a group, None when nothing of the group has come."""
    query = select(*_COLUMNS).where(
        conversations.c.party == group_id,
        conversations.c.account_id == account_id,
        unindexed(conversations.c.organization_id) == organization_id,
    )
    rows = connection.execute(query.order_by(conversations.c.id.desc()).limit(1)).all()
    found = next(map(ledger_rows.conversation, rows), None)
    return found if found is not None and found.is_group else None


def party_of(connection: Connection, organization_id: str, name: str) -> str:
    """Return the party named by a contact's id, phone number or user id, or by a group's id."""
    own = select(contacts.c.merged_into).where(contacts.c.id == name, contacts.c.organization_id == organization_id)
    merged_into = connection.execute(own).scalar_one_or_none()
    if merged_into is not None:
        return merged_into or name
    spellings = (name, name.removeprefix("+"))
    alias = select(contact_aliases.c.contact_id).where(
        contact_aliases.c.organization_id == organization_id,
        contact_aliases.c.value.in_(spellings),
        contact_aliases.c.until == NEVER,
    )
    return connection.execute(alias).scalars().first() or name


def of_shown_id(connection: Connection, organization_id: str, given: str, ids: ShownIds) -> str:
    """Return the id of the conversation that a format shows under an id of its own, or whose message it shows so.

    The result is "" when there is none.
    """
    found = _search(connection, conversations, organization_id, given, ids)
    if found:
        return found
    message_id = message_of_shown_id(connection, organization_id, given, ids)
    query = select(messages.c.conversation_id).where(
        messages.c.organization_id == organization_id, messages.c.id == message_id
    )
    return (connection.execute(query).scalar_one_or_none() or "") if message_id else ""


def message_of_shown_id(connection: Connection, organization_id: str, given: str, ids: ShownIds) -> str:
    """Return the id of the message that a format shows under an id of its own; "" for none."""
    return _search(connection, messages, organization_id, given, ids)


def _search(connection: Connection, table: Table, organization_id: str, given: str, ids: ShownIds) -> str:
    """Search the rows created in the second that the id names."""
    second = ids.made_at(given)
    query = select(table.c.id).where(
        table.c.id >= id_floor(second * MICROS),
        table.c.id < id_floor((second + 1) * MICROS),
        table.c.organization_id == organization_id,
    )
    return next((each for each in connection.execute(query).scalars() if ids.shown(each) == given), "")
