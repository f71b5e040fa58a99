"""PURE. Find out who a person is, as decisions over a ledger (docs/reference/formats.md, "Who").

Phone numbers and business-scoped user ids are aliases of one contact. Number variants are looked up, never written.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from tellwire.conversations import lifecycle, marketing
from tellwire.meta.phone_numbers import variants
from tellwire.meta.webhooks.items import WebhookContact
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Contact


def find(ledger: Ledger, organization_id: str, addresses: Iterable[str]) -> Contact | None:
    """Return the contact that has one of the addresses, else a variant of one; several contacts are merged into one."""
    known = _known(ledger, organization_id, addresses)
    if not known:
        known = _known(ledger, organization_id, (v for address in addresses for v in variants(address)))[:1]
    return merge(ledger, known) if known else None


def resolve(ledger: Ledger, organization_id: str, who: WebhookContact) -> Contact:
    """Return the contact of an item, created when unknown, with every alias and name that the payload gives."""
    contact = find(ledger, organization_id, who.aliases)
    if contact is None:
        contact = Contact(
            id=ledger.new_id(), organization_id=organization_id, created_at=ledger.now, updated_at=ledger.now
        )
    elif not who.adds and _says_nothing_new(ledger, contact, who):
        return contact
    changed = replace(
        contact,
        name=contact.name if who.name is None or contact.own_name else who.name,
        username=contact.username if who.username is None else who.username,
    )
    for alias in who.aliases:
        changed = _with_alias(ledger, changed, alias)
    if changed != contact or contact.id not in ledger.contacts:
        changed = replace(changed, updated_at=max(ledger.now, contact.updated_at))
        ledger.put_contact(changed)
    return changed


def add_addresses(ledger: Ledger, contact: Contact, adds: Iterable[str]) -> tuple[Contact, bool]:
    """Give a contact the new addresses that Meta names; its open conversations stay open and emit an update.

    Returns: the contact, and whether anything was new.
    """
    new = [a for a in adds if ledger.aliases.get((contact.organization_id, a)) != contact.id]
    if not new:
        return contact, False
    old = contact
    for address in new:
        other_id = ledger.aliases.get((contact.organization_id, address))
        other = ledger.contacts.get(other_id) if other_id else None
        if other is not None:
            contact = merge(ledger, [contact, other])
        contact = replace(contact, **({"user_id": address} if is_user_id(address) else {"phone": address}))
        ledger.put_alias(contact.organization_id, address, contact.id)
    contact = replace(contact, updated_at=max(ledger.now, contact.updated_at + 1))
    ledger.put_contact(contact)
    for conversation in [c for c in ledger.open.values() if c.party == contact.id]:
        lifecycle.readdress(ledger, conversation, _address_after(conversation.contact_address, new, old))
    return contact, True


def _address_after(address: str, new: list[str], old: Contact) -> str:
    """Return the new address of a conversation: a phone number replaces a phone number, a user id a user id; a phone
    number also replaces a user id."""
    for candidate in new:
        if is_user_id(candidate) == is_user_id(address) or (not is_user_id(candidate) and not old.phone):
            return candidate
    return address


def merge(ledger: Ledger, contacts: list[Contact]) -> Contact:
    """Make one contact of several: the oldest stays; the open conversations of the others are closed first."""
    survivor, *younger = sorted(contacts, key=lambda c: (c.created_at, c.id))
    for other in younger:
        for conversation in [c for c in ledger.open.values() if c.party == other.id]:
            closed = lifecycle.close(ledger, conversation)
            ledger.put_conversation(replace(closed, party=survivor.id))
        for key, contact_id in list(ledger.aliases.items()):
            if contact_id == other.id:
                ledger.put_alias(*key, survivor.id)
        survivor = replace(
            survivor,
            name=other.name if other.own_name and not survivor.own_name else survivor.name or other.name,
            own_name=survivor.own_name or other.own_name,
            username=survivor.username or other.username,
            phone=survivor.phone or other.phone,
            user_id=survivor.user_id or other.user_id,
            marketing=marketing.merged(survivor.marketing, other.marketing),
            updated_at=max(ledger.now, survivor.updated_at + 1),
        )
        ledger.put_contact(replace(other, merged_into=survivor.id, updated_at=max(ledger.now, other.updated_at + 1)))
        ledger.put_contact(survivor)
        ledger.merged_contacts.append((survivor.id, other.id))
    return survivor


def survivor(ledger: Ledger, contact_id: str) -> Contact | None:
    """Return the contact that a contact was merged into, or itself if it was not merged; None when it is gone."""
    contact = ledger.contacts.get(contact_id)
    while contact is not None and contact.merged_into:
        contact = ledger.contacts.get(contact.merged_into)
    return contact


def is_user_id(address: str) -> bool:
    """Return whether an address is a business-scoped user id (`CC.…`), not a phone number."""
    return not address.lstrip("+").isdigit()


def _known(ledger: Ledger, organization_id: str, addresses: Iterable[str]) -> list[Contact]:
    ids = dict.fromkeys(ledger.aliases.get((organization_id, address)) for address in addresses)
    return [ledger.contacts[i] for i in ids if i is not None]


def _says_nothing_new(ledger: Ledger, contact: Contact, who: WebhookContact) -> bool:
    return (
        (who.name in (None, contact.name) or contact.own_name)
        and who.username in (None, contact.username)
        and all(ledger.aliases.get((contact.organization_id, alias)) == contact.id for alias in who.aliases)
    )


def _with_alias(ledger: Ledger, contact: Contact, alias: str) -> Contact:
    if ledger.aliases.get((contact.organization_id, alias)) != contact.id:
        ledger.put_alias(contact.organization_id, alias, contact.id)
    if is_user_id(alias):
        return contact if contact.user_id else replace(contact, user_id=alias)
    return contact if contact.phone else replace(contact, phone=alias)
