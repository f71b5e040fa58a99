"""Messages with their contacts and sends, and contacts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, select, update

from tellwire.model.messaging import NEVER, Contact, Message, Send, StatusFact
from tellwire.model.units import Micros, Seconds
from tellwire.stores.queries import sends as send_queries
from tellwire.stores.queries.audit import AuditChange, note
from tellwire.stores.queries.paging import Page, PageRequest, matching, newest, since
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import contact_aliases, contacts, message_statuses, messages

_CONTACT = tuple(contacts.c[name] for name in ledger_rows.CONTACT)
_MESSAGE = tuple(messages.c[name] for name in ledger_rows.MESSAGE)
_STEPS = ("sent", "delivered", "read", "played")  # Meta's times are whole seconds, and several steps may share one


class MessageFilter(Struct, frozen=True, kw_only=True):
    """Filters of a list of messages; "" and None filter nothing."""

    conversation_id: str = ""
    account_id: str = ""
    direction: str = ""
    send_state: str = ""
    since: Micros | None = None


class MessageEntry(Struct, frozen=True):
    """A message, its contact as known now, and its send if it is one that we send."""

    message: Message
    contact: Contact | None
    send: Send | None = None


def page(
    connection: Connection, organization_id: str, chosen: MessageFilter, request: PageRequest
) -> Page[MessageEntry]:
    """Return a page of the messages of an organization."""
    query = select(*_MESSAGE).where(messages.c.organization_id == organization_id)
    query = matching(
        query,
        (messages.c.conversation_id, chosen.conversation_id),
        (messages.c.account_id, chosen.account_id),
        (messages.c.direction, chosen.direction),
    )
    if chosen.send_state:
        query = query.where(send_queries.in_state(organization_id, messages.c.id, chosen.send_state))
    query = since(query, messages.c.id, messages.c.created_at, chosen.since)
    found = newest(connection, query, messages.c.id, request, ledger_rows.message)
    people = contacts_of(connection, organization_id, {message.contact_id for message in found.items})
    sends = send_queries.of_messages(connection, organization_id, found.items)
    return Page([MessageEntry(m, people.get(m.contact_id), sends.get(m.id)) for m in found.items], found.after)


def get(connection: Connection, organization_id: str, message_id: str) -> MessageEntry | None:
    """Return a message of an organization by our id, None when there is none."""
    query = select(*_MESSAGE).where(messages.c.id == message_id, messages.c.organization_id == organization_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    message = ledger_rows.message(row)
    people = contacts_of(connection, organization_id, {message.contact_id})
    send = send_queries.of_messages(connection, organization_id, [message]).get(message_id)
    if send is not None and (row := connection.execute(query).one_or_none()) is not None:
        message = ledger_rows.message(row)  # as new as its send: both may have changed since the first look
    return MessageEntry(message, people.get(message.contact_id), send)


def facts_of(connection: Connection, message: Message) -> Sequence[StatusFact]:
    """Return every status of a message from Meta, in the order of Meta's times, then of the steps of a message."""
    if not message.wamid:
        return []
    query = (
        select(message_statuses)
        .where(message_statuses.c.account_id == message.account_id, message_statuses.c.wamid == message.wamid)
        .order_by(message_statuses.c.at, message_statuses.c.name, message_statuses.c.participant)
    )
    facts = [
        StatusFact(name=row.name, at=row.at, participant=row.participant, pricing=row.pricing, errors=row.errors)
        for row in connection.execute(query)
    ]
    return sorted(facts, key=lambda fact: (fact.at, _STEPS.index(fact.name) if fact.name in _STEPS else len(_STEPS)))


def contacts_page(connection: Connection, organization_id: str, alias: str, request: PageRequest) -> Page[Contact]:
    """Return a page of an organization's contacts; with `alias` only the contact with that phone number or user id."""
    query = select(*_CONTACT).where(contacts.c.organization_id == organization_id, contacts.c.merged_into == "")
    if alias:
        spellings = (alias, alias.removeprefix("+"))
        known = select(contact_aliases.c.contact_id).where(
            contact_aliases.c.organization_id == organization_id,
            contact_aliases.c.value.in_(spellings),
            contact_aliases.c.until == NEVER,
        )
        query = query.where(contacts.c.id.in_(known))
    return newest(connection, query, contacts.c.id, request, ledger_rows.contact)


def get_contact(connection: Connection, organization_id: str, contact_id: str) -> Contact | None:
    """Return a contact of an organization, also one that was merged (`merged_into`); None when there is none."""
    query = select(*_CONTACT).where(contacts.c.id == contact_id, contacts.c.organization_id == organization_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else ledger_rows.contact(row)


def rename_contact(connection: Connection, change: AuditChange, contact_id: str, name: str | None) -> Contact | None:
    """Set the name of a contact, which Meta's names then do not replace; with None they do again."""
    contact = get_contact(connection, change.organization_id, contact_id)
    if contact is None:
        return None
    contact = replace(
        contact,
        name=contact.name if name is None else name,
        own_name=name is not None,
        updated_at=max(change.at, contact.updated_at + 1),
    )
    mine = (contacts.c.organization_id == change.organization_id) & (contacts.c.id == contact_id)
    columns = {"name": contact.name, "own_name": contact.own_name, "updated_at": contact.updated_at}
    connection.execute(update(contacts).where(mine).values(columns))
    note(connection, change, "contact.changed", contact_id)
    return contact


def aliases_of(connection: Connection, contact_id: str) -> list[tuple[str, Seconds]]:
    """Return every phone number and user id of a contact, and until when it is the contact's."""
    query = (
        select(contact_aliases.c.value, contact_aliases.c.until)
        .where(contact_aliases.c.contact_id == contact_id)
        .order_by(contact_aliases.c.value)
    )
    return [(row.value, row.until) for row in connection.execute(query)]


def contacts_of(connection: Connection, organization_id: str, wanted: Iterable[str]) -> Mapping[str, Contact]:
    """Return contacts by the ids asked for; for a merged contact the one that it was merged into."""
    found = {c.id: c for c in _load(connection, organization_id, wanted)}
    survivors = {c.id: c for c in _load(connection, organization_id, {c.merged_into for c in found.values()})}
    return {key: survivors.get(c.merged_into, c) for key, c in found.items()}


def _load(connection: Connection, organization_id: str, wanted: Iterable[str]) -> Sequence[Contact]:
    named = [each for each in wanted if each]
    if not named:
        return []
    query = select(*_CONTACT).where(contacts.c.organization_id == organization_id, contacts.c.id.in_(named))
    return [ledger_rows.contact(row) for row in connection.execute(query)]
