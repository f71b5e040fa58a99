"""The contacts, addresses and conversations of one person."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct
from sqlalchemy import Connection, select, text

from tellwire.meta.webhooks.redaction import spellings
from tellwire.model.erasures import Spans
from tellwire.model.messaging import NEVER, Contact, Conversation
from tellwire.model.units import Seconds
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import MERGED, contact_aliases, contacts, conversations

_CONTACT = tuple(contacts.c[name] for name in ledger_rows.CONTACT)
_CONVERSATION = tuple(conversations.c[name] for name in ledger_rows.CONVERSATION)


class PersonRows(Struct, frozen=True):
    """The rows of a person: the current contact, then those merged into it; `aliases` as they are stored, of which
    they have left those in `left`, at Meta's time there. `spans` as in `erasures.Subject`."""

    contacts: tuple[Contact, ...]
    aliases: tuple[str, ...]
    left: dict[str, Seconds] = {}
    spans: Spans = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all their contacts."""
        return tuple(each.id for each in self.contacts)

    @property
    def addresses(self) -> frozenset[str]:
        """Every spelling of every address of theirs."""
        own = [address for each in self.contacts for address in (each.phone, each.user_id)]
        return spellings([*self.aliases, *own])


def get(connection: Connection, organization_id: str, contact_id: str) -> PersonRows | None:
    """Return the person with this contact, which may be a merged one; None when there is none."""
    found = _contacts(connection, organization_id, [contact_id])
    while found and found[0].merged_into:
        found = _contacts(connection, organization_id, [found[0].merged_into])
    if not found:
        return None
    everyone, latest = {found[0].id: found[0]}, [found[0].id]
    while latest:
        query = select(*_CONTACT).where(
            contacts.c.merged_into.in_(latest), text(MERGED), contacts.c.organization_id == organization_id
        )
        merged = [ledger_rows.contact(row) for row in connection.execute(query)]
        latest = [each.id for each in merged if each.id not in everyone]
        everyone |= {each.id: each for each in merged}
    own = select(contact_aliases.c.value, contact_aliases.c.until).where(contact_aliases.c.contact_id.in_(everyone))
    aliases = {row.value: row.until for row in connection.execute(own)}
    others = select(contact_aliases.c.value, contact_aliases.c.until).where(
        contact_aliases.c.organization_id == organization_id,
        contact_aliases.c.value.in_(aliases),
        contact_aliases.c.contact_id.not_in(everyone),
    )
    before = dict.fromkeys(aliases, -1)
    for row in connection.execute(others):
        if row.until < aliases[row.value]:
            before[row.value] = max(before[row.value], row.until)
    spans = {
        spelling: (before[value], until)
        for value, until in aliases.items()
        if (before[value], until) != (-1, NEVER)
        for spelling in spellings([value])
    }
    left = {value: until for value, until in aliases.items() if until != NEVER}
    return PersonRows(tuple(everyone.values()), tuple(sorted(aliases)), left, spans)


def conversations_of(connection: Connection, organization_id: str, ids: Collection[str]) -> Sequence[Conversation]:
    """Return every conversation with a person, oldest first, without groups."""
    query = select(*_CONVERSATION).where(conversations.c.party.in_(ids)).order_by(conversations.c.id)
    found = [ledger_rows.conversation((*row, None)) for row in connection.execute(query)]
    return [each for each in found if each.organization_id == organization_id]


def next_group(connection: Connection, organization_id: str, after: str) -> str:
    """Return the id of the organization's next conversation with a group, "" after the last."""
    person = select(contacts.c.id).where(
        contacts.c.organization_id == organization_id, contacts.c.id == conversations.c.party
    )
    query = (
        select(conversations.c.id)
        .where(conversations.c.organization_id == organization_id, conversations.c.id > after, ~person.exists())
        .order_by(conversations.c.id)
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none() or ""


def _contacts(connection: Connection, organization_id: str, ids: Collection[str]) -> list[Contact]:
    query = select(*_CONTACT).where(contacts.c.organization_id == organization_id, contacts.c.id.in_(ids))
    return [ledger_rows.contact(row) for row in connection.execute(query)]
