"""PURE. Find out who a person is, as decisions over a ledger (docs/reference/formats.md, "Who").

Phone numbers and business-scoped user ids are aliases of one contact. Number variants are looked up, never written.
What Meta ties is one person; two different user ids are two people, whatever number they share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from tellwire.conversations import aliases, lifecycle, marketing
from tellwire.conversations.aliases import in_use, spellings
from tellwire.meta.phone_numbers import alias, is_user_id, variants
from tellwire.meta.webhooks.items import WebhookContact
from tellwire.model.ledger import Ledger, Merged
from tellwire.model.messaging import NEVER, Alias, Contact, Conversation
from tellwire.model.routing import order_key
from tellwire.model.units import Seconds


def find(ledger: Ledger, organization_id: str, addresses: Sequence[str], at: Seconds) -> Contact | None:
    """Return the contact that had one of the addresses at a time of Meta's, else a variant of one; several contacts are
    merged into one, except people who cannot be the same."""
    found = _people(ledger, organization_id, addresses, addresses, at)
    if not found:
        other = [each for address in addresses for each in variants(address)]
        found = _people(ledger, organization_id, other, addresses, at)[:1]
    return merge(ledger, found) if found else None


def _people(
    ledger: Ledger, organization_id: str, addresses: Sequence[str], named: Sequence[str], at: Seconds
) -> list[Contact]:
    """Return who had the addresses, user ids first, without those who are not the person that all of `named` are of."""
    user_ids = [each for each in named if is_user_id(each)]
    found: list[Contact] = []
    for address in addresses if len(addresses) == 1 else sorted(addresses, key=is_user_id, reverse=True):
        owner = aliases.owner(ledger, organization_id, address, at)
        contact = ledger.contacts[owner.contact_id] if owner is not None else None
        if contact is None or any(contact.id == each.id for each in found):
            continue
        if not found and contact.user_id and user_ids and not is_user_id(address):
            continue  # the item's own user id is another one
        if not any(_are_two(ledger, contact, each, named) for each in found):
            found.append(contact)
    return found


def _are_two(ledger: Ledger, one: Contact, other: Contact, addresses: Iterable[str]) -> bool:
    """Return whether two contacts are known to be two people."""
    return _differ(one, other) or aliases.was_handed_on(ledger, one, other, addresses)


def _differ(one: Contact, other: Contact) -> bool:
    return bool(one.user_id and other.user_id and one.user_id != other.user_id)


def resolve(ledger: Ledger, organization_id: str, who: WebhookContact, at: Seconds) -> Contact:
    """Return the contact of an item that Meta dates so, created when unknown, with every alias and name that the
    payload gives, and the new addresses that it brings."""
    if who.adds:
        return moved(ledger, organization_id, who, at, create=True)[0] or _new(ledger, organization_id)
    contact = _as_known(ledger, organization_id, who)
    if contact is not None:
        return contact
    contact = find(ledger, organization_id, who.aliases, at) or _new(ledger, organization_id)
    return _given(ledger, contact, who, who.aliases, at)


def tie(ledger: Ledger, contact: Contact, who: WebhookContact, at: Seconds) -> Contact:
    """Return whom Meta names for a message to a contact, as `resolve`: this contact, who then has these addresses too,
    unless they are known to be somebody else's."""
    told = [each for each in who.aliases if aliases.of_contact(ledger, contact, each) is None]
    if not told:
        return _given(ledger, contact, who, (), at)
    organization_id = contact.organization_id
    named = _people(ledger, organization_id, told, told, at)
    unknown = any(is_user_id(each) and aliases.owner(ledger, organization_id, each, at) is None for each in told)
    if (contact.user_id and unknown) or any(_are_two(ledger, contact, each, who.aliases) for each in named):
        return resolve(ledger, organization_id, who, at)
    return _given(ledger, merge(ledger, [contact, *named]), who, told, at)


def _new(ledger: Ledger, organization_id: str) -> Contact:
    return Contact(id=ledger.new_id(), organization_id=organization_id, created_at=ledger.now, updated_at=ledger.now)


def _as_known(ledger: Ledger, organization_id: str, who: WebhookContact) -> Contact | None:
    """Return whose every address of an item is, and ever was, if the item says nothing new of them. Nearly every
    message is of such a contact."""
    contact_id = ""
    for address in who.aliases:
        found = ledger.aliases.get((organization_id, address), ())
        if len(found) != 1 or found[0].until != NEVER or contact_id not in ("", found[0].contact_id):
            return None
        contact_id = found[0].contact_id
    contact = ledger.contacts.get(contact_id)
    if contact is None or (who.name not in (None, contact.name) and not contact.own_name):
        return None
    return contact if who.username in (None, contact.username) else None


def _given(ledger: Ledger, contact: Contact, who: WebhookContact, addresses: Iterable[str], at: Seconds) -> Contact:
    """Give a contact the names of an item, and addresses that it ties to the contact."""
    changed = replace(
        contact,
        name=contact.name if who.name is None or contact.own_name else who.name,
        username=contact.username if who.username is None else who.username,
    )
    for address in addresses:
        changed, loser = aliases.give(ledger, changed, address, at)
        if loser is not None:
            _readdress(ledger, loser, spellings(address).__contains__)
    return _put(ledger, contact, changed)


def _put(ledger: Ledger, before: Contact, after: Contact) -> Contact:
    if after != before or after.id not in ledger.contacts:
        after = replace(after, updated_at=max(ledger.now, before.updated_at + (before.id in ledger.contacts)))
        ledger.put_contact(after)
    return after


# --- changes of addresses ---------------------------------------------------------------------------------------------


def moved(
    ledger: Ledger, organization_id: str, who: WebhookContact, at: Seconds, *, create: bool = False
) -> tuple[Contact | None, bool]:
    """Give a contact the new addresses that Meta names: it leaves those that they replace, its open conversations go
    on under the new ones and emit an update.

    Returns: the contact, None when it is unknown and not to be created; and whether anything was new.
    """
    contact = _told_before(ledger, organization_id, who, at)
    if contact is None:
        old = [each for each in who.aliases if not aliases.came_later(ledger, organization_id, each, at)]
        contact = find(ledger, organization_id, old, at) or _at_new_address(ledger, organization_id, who, at)
        if contact is None and not create:
            return None, False
        contact = _given(ledger, contact or _new(ledger, organization_id), who, who.aliases, at)
        for each in who.aliases:
            if is_user_id(each) and aliases.owner(ledger, organization_id, each, at) is None:
                ledger.put_alias(organization_id, each, Alias(contact.id, at, at))  # it was replaced by a known one
    before, count = contact, len(ledger.changed_aliases)
    kept = {each for address in who.adds for each in spellings(address)}
    user_ids = [each for each in who.adds if is_user_id(each)]
    numbers = [each for each in who.adds if not is_user_id(each)]
    if user_ids:
        contact = _with_user_ids(ledger, contact, user_ids, at)
    if numbers:
        contact = _with_numbers(ledger, contact, numbers, at)
    addresses = (contact.id, contact.phone, contact.user_id)
    changed = addresses != (before.id, before.phone, before.user_id) or len(ledger.changed_aliases) > count
    contact = _put(ledger, before, contact)
    replaced = {True: bool(user_ids) and at >= before.user_id_at, False: bool(numbers) and at >= before.phone_at}

    def left(address: str) -> bool:
        return (replaced[is_user_id(address)] and address not in kept) or not in_use(ledger, contact, address)

    _readdress(ledger, contact, left, gained=contact.phone if not before.phone else "", always=changed)
    return contact, changed


def _told_before(ledger: Ledger, organization_id: str, who: WebhookContact, at: Seconds) -> Contact | None:
    """Return who has the new addresses and left the old ones just then: another number of ours was told too, or this
    one again."""
    for address in who.adds:
        owner = aliases.owner(ledger, organization_id, address, at)
        contact = ledger.contacts[owner.contact_id] if owner is not None else None
        left = [aliases.of_contact(ledger, contact, each) for each in who.aliases] if contact is not None else []
        if any(own is not None and own.ended and abs(own.until - at) <= aliases.SAME for own in left):
            return contact
    return None


def _at_new_address(ledger: Ledger, organization_id: str, who: WebhookContact, at: Seconds) -> Contact | None:
    """Return who is known by the new addresses only: their first message came before Meta's word of the change."""
    named = [each for each in (*who.aliases, *who.adds) if is_user_id(each)]
    for address in sorted(who.adds, key=is_user_id, reverse=True):
        owner = aliases.owner(ledger, organization_id, address, at)
        contact = ledger.contacts[owner.contact_id] if owner is not None else None
        if owner is None or contact is None:
            continue
        other = bool(named and contact.user_id and contact.user_id not in named)
        if is_user_id(address) or (owner.since >= at - aliases.SAME and not other):
            return contact
    return None


def _with_user_ids(ledger: Ledger, contact: Contact, user_ids: Sequence[str], at: Seconds) -> Contact:
    """Give a contact its new user ids. Meta's word makes who has one of them the same person."""
    late = at < contact.user_id_at
    contact = aliases.leave(ledger, contact, user_ids=True, at=at, kept=user_ids)
    for address in user_ids:
        owner = aliases.owner(ledger, contact.organization_id, address, at)
        if owner is None:
            until = contact.user_id_at if late else NEVER
            ledger.put_alias(contact.organization_id, address, Alias(contact.id, at, until))
        elif owner.contact_id != contact.id:
            contact = merge(ledger, [contact, ledger.contacts[owner.contact_id]])
    if in_use(ledger, contact, user_ids[0]) and not late:
        contact = replace(contact, user_id=user_ids[0], user_id_at=at)
    return contact


def _with_numbers(ledger: Ledger, contact: Contact, numbers: Sequence[str], at: Seconds) -> Contact:
    """Give a contact its new numbers. Who was first seen there after the change is the same person."""
    late = at < contact.phone_at
    kept = {each for number in numbers for each in spellings(number)}
    contact = aliases.leave(ledger, contact, user_ids=False, at=at, kept=kept)
    for address in numbers:
        others = [
            ledger.contacts[owner.contact_id]
            for each in spellings(address)
            if (owner := aliases.owner(ledger, contact.organization_id, each, at)) is not None
            and owner.contact_id != contact.id
            and owner.since >= at - aliases.SAME
        ]
        own = aliases.of_contact(ledger, contact, address)
        known = own is not None and at <= own.until
        same = {each.id: each for each in others if not known and not _differ(each, contact)}
        contact = merge(ledger, [contact, *same.values()])
        contact, loser = aliases.give(ledger, contact, address, at)
        if loser is not None:
            _readdress(ledger, loser, spellings(address).__contains__)
        own = aliases.of_contact(ledger, contact, address)
        if late and own is not None and not own.ended and contact.phone not in kept:
            ledger.put_alias(contact.organization_id, address, replace(own, until=contact.phone_at))
    if not late and in_use(ledger, contact, numbers[0]):
        contact = replace(contact, phone=numbers[0], phone_at=at)
    return contact


def _readdress(
    ledger: Ledger, contact: Contact, left: Callable[[str], bool], *, gained: str = "", always: bool = False
) -> None:
    """Let a contact's open conversations go on under an address in use if theirs was left, or if theirs is a user id
    and a number was `gained`. `always`: they emit an update also if their own address stays."""
    for conversation in [each for each in ledger.open.values() if each.party == contact.id]:
        address = conversation.contact_address
        to = gained if gained and is_user_id(address) else address_of(contact, address) if left(address) else address
        if always or to != address:
            lifecycle.readdress(ledger, conversation, to)


def address_of(contact: Contact, left: str = "") -> str:
    """Return the address to reach a contact under: of the kind of the one that it left, else of the other."""
    if is_user_id(left) and contact.user_id:
        return contact.user_id
    return contact.phone or contact.user_id or left


def address_to_use(ledger: Ledger, contact: Contact, given: str) -> str:
    """Return the address of a new conversation: the phone number that was just used, if it is still the contact's, else
    the contact's known one."""
    number = alias(given)
    if number and not is_user_id(number) and in_use(ledger, contact, number):
        return number
    return address_of(contact, number)


def reachable(ledger: Ledger, contact: Contact, conversation: Conversation, given: str = "") -> str:
    """Return the address that a message in a conversation goes to now: the `given` one, else the conversation's, else
    the contact's, whichever is the contact's first; "" when none is."""
    for address in (given, conversation.contact_address, contact.phone, contact.user_id):
        if address and in_use(ledger, contact, alias(address)):
            return address
    return ""


# --- merging ----------------------------------------------------------------------------------------------------------


def merge(ledger: Ledger, contacts: Sequence[Contact]) -> Contact:
    """Make one contact of several: the oldest stays; the open conversations of the others are closed first."""
    survivor, *younger = sorted(contacts, key=lambda c: (c.created_at, c.id))
    for other in younger:
        survivor = _merged(ledger, survivor, other)
    return survivor


def _merged(ledger: Ledger, survivor: Contact, other: Contact) -> Contact:
    for conversation in [c for c in ledger.open.values() if c.party == other.id]:
        lifecycle.close(ledger, conversation)
    aliases.join(ledger, survivor, other)
    survivor = replace(
        survivor,
        name=other.name if other.own_name and not survivor.own_name else survivor.name or other.name,
        own_name=survivor.own_name or other.own_name,
        username=survivor.username or other.username,
        phone=_newer(survivor.phone, survivor.phone_at, other.phone, other.phone_at),
        phone_at=max(survivor.phone_at, other.phone_at),
        user_id=_newer(survivor.user_id, survivor.user_id_at, other.user_id, other.user_id_at),
        user_id_at=max(survivor.user_id_at, other.user_id_at),
        marketing=marketing.merged(survivor.marketing, other.marketing),
        updated_at=max(ledger.now, survivor.updated_at + 1),
    )
    ledger.put_contact(replace(other, merged_into=survivor.id, updated_at=max(ledger.now, other.updated_at + 1)))
    ledger.put_contact(survivor)
    ledger.moves.append(Merged(survivor.organization_id, survivor.id, other.id))
    for conversation in [c for c in ledger.conversations.values() if c.party == other.id]:
        ledger.put_conversation(replace(conversation, party=survivor.id))
    for account in {send.account_id for send in ledger.sends.values()}:
        keys = order_key(account, survivor.id), order_key(account, other.id)
        for send in [s for s in ledger.sends.values() if s.order_key == keys[1] and s.open]:
            ledger.put_send(replace(send, order_key=keys[0]))
    for place in [each for each in ledger.new_calls if each[2] == other.id]:
        theirs = (*place[:2], survivor.id)
        ledger.new_calls[theirs] = max(ledger.new_calls.pop(place), ledger.new_calls.get(theirs, 0))
    return survivor


def _newer(own: str, own_at: Seconds, other: str, other_at: Seconds) -> str:
    return other if other and (not own or other_at > own_at) else own


def survivor(ledger: Ledger, contact_id: str) -> Contact | None:
    """Return the contact that a contact was merged into, or itself if it was not merged; None when it is gone."""
    contact = ledger.contacts.get(contact_id)
    while contact is not None and contact.merged_into:
        contact = ledger.contacts.get(contact.merged_into)
    return contact
