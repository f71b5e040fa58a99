"""PURE. Whose an address is at a time of Meta's, over a ledger (docs/reference/formats.md, "Who").

An alias has an end: a phone number that a person left can get another owner. Of the contacts that have or had an
address, the first whose time has not ended is meant; a user id is never anybody else's. Times are Meta's, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from tellwire.meta.phone_numbers import is_user_id, variants
from tellwire.model.ledger import Ledger, Left
from tellwire.model.messaging import NEVER, Alias, Contact
from tellwire.model.units import DAY, MICROS, Seconds

SAME: Seconds = DAY // MICROS
"""What Meta dates this close to a change of a number may be of the person who changed it; a number that was left gets
a new owner much later."""

_SKEW: Seconds = 10


def spellings(address: str) -> tuple[str, ...]:
    """Return an address and the other spellings of it."""
    return address, *variants(address)


def known(ledger: Ledger, organization_id: str, address: str) -> tuple[Alias, ...]:
    """Return the aliases of this very spelling, the one that ended first coming first."""
    return ledger.aliases.get((organization_id, address), ())


def owner(ledger: Ledger, organization_id: str, address: str, at: Seconds) -> Alias | None:
    """Return the alias that an address, in this spelling, is at a time; None when it is nobody's."""
    found = known(ledger, organization_id, address)
    if found and is_user_id(address):
        return found[-1]
    return next((alias for alias in found if at <= alias.until), None)


def came_later(ledger: Ledger, organization_id: str, address: str, at: Seconds) -> bool:
    """Return whether who has a number at a time was first seen there after it: if it was left then, they are its next
    owner."""
    if is_user_id(address):
        return False
    found = [alias for each in spellings(address) if (alias := owner(ledger, organization_id, each, at)) is not None]
    return bool(found) and all(alias.since > at + _SKEW for alias in found)


def of_contact(ledger: Ledger, contact: Contact, address: str) -> Alias | None:
    """Return a contact's own alias of this spelling, ended or not."""
    found = known(ledger, contact.organization_id, address)
    return next((alias for alias in found if alias.contact_id == contact.id), None)


def in_use(ledger: Ledger, contact: Contact, address: str) -> bool:
    """Return whether an address is a contact's now; also when nothing is known of it."""
    if (as_given := of_contact(ledger, contact, address)) is not None and not as_given.ended:
        return True
    own = [alias for each in spellings(address) if (alias := of_contact(ledger, contact, each)) is not None]
    if own:
        return not all(alias.ended for alias in own)
    return not any(known(ledger, contact.organization_id, each) for each in spellings(address))


def was_handed_on(ledger: Ledger, one: Contact, other: Contact, addresses: Iterable[str]) -> bool:
    """Return whether an address is known as one that went from one of the contacts to the other: then they are two
    people."""
    return any(
        of_contact(ledger, one, each) is not None and of_contact(ledger, other, each) is not None
        for address in addresses
        for each in spellings(address)
    )


# --- changes ----------------------------------------------------------------------------------------------------------


def is_left(left: Left, address: str, alias: Alias) -> bool:
    """Return whether an alias of the contact is one of those that it left."""
    theirs = is_user_id(address) == left.user_ids and address not in left.kept
    return theirs and alias.since <= left.seen and left.at < alias.until


def leave(ledger: Ledger, contact: Contact, *, user_ids: bool, at: Seconds, kept: Iterable[str]) -> Contact:
    """End every address of one kind that a contact had at a time, but for those in `kept`; return the contact."""
    late = at < (contact.user_id_at if user_ids else contact.phone_at)
    seen = at if late else at + _SKEW  # what we have sent to was seen by our clock
    left = Left(contact.organization_id, contact.id, user_ids, at, seen, frozenset(kept))
    for (organization_id, address), found in list(ledger.aliases.items()):
        for alias in found:
            if alias.contact_id == contact.id and is_left(left, address, alias):
                ledger.put_alias(organization_id, address, replace(alias, until=at))
    ledger.moves.append(left)
    if late or (contact.user_id if user_ids else contact.phone) in left.kept:
        return contact
    return replace(contact, user_id="") if user_ids else replace(contact, phone="")


def give(ledger: Ledger, contact: Contact, address: str, at: Seconds) -> tuple[Contact, Contact | None]:
    """Give a contact an address that Meta ties to it at a time: a number of somebody else's becomes this contact's
    from then on, a user id never does.

    Returns: the contact, and who has lost the number.
    """
    organization_id = contact.organization_id
    if is_user_id(address):
        return _give_user_id(ledger, contact, address, at), None
    own = of_contact(ledger, contact, address)
    if own is not None and at <= own.until:
        return _shown(contact, address, own), None
    same = [alias for each in variants(address) if (alias := of_contact(ledger, contact, each)) and at <= alias.until]
    if same:
        loser, until = None, max(alias.until for alias in same)
    else:
        loser, until = _take(ledger, contact, address, at)
    gained = Alias(contact.id, at, until if own is None else max(until, own.until))
    ledger.put_alias(organization_id, address, gained)
    return _shown(contact, address, gained), loser


def _give_user_id(ledger: Ledger, contact: Contact, address: str, at: Seconds) -> Contact:
    own = owner(ledger, contact.organization_id, address, at)
    if own is None and not contact.user_id:
        ledger.put_alias(contact.organization_id, address, Alias(contact.id, at))
        return replace(contact, user_id=address)
    if own is not None and own.contact_id == contact.id and not own.ended and not contact.user_id:
        return replace(contact, user_id=address)
    return contact


def _shown(contact: Contact, address: str, alias: Alias) -> Contact:
    return contact if contact.phone or alias.ended else replace(contact, phone=address)


def _take(ledger: Ledger, contact: Contact, address: str, at: Seconds) -> tuple[Contact | None, Seconds]:
    """Take a number from who has it at a time; return who that is, and until when it is the contact's.

    Who was first seen there later keeps it: then the contact had it before.
    """
    until, loser = NEVER, None
    for each in spellings(address):
        for alias in known(ledger, contact.organization_id, each):
            if alias.contact_id == contact.id or at > alias.until:
                continue
            if at < alias.since:
                until = min(until, alias.since - 1)
            elif loser is None or alias.contact_id == loser.id:
                until = min(until, alias.until)
                loser = _without(ledger, each, alias, at - 1)
    return loser, until


def _without(ledger: Ledger, address: str, alias: Alias, until: Seconds) -> Contact:
    """End an alias; return its contact, which is no longer shown under it."""
    contact = ledger.contacts[alias.contact_id]
    ledger.put_alias(contact.organization_id, address, replace(alias, until=until))
    if contact.phone == address:
        contact = replace(contact, phone="", updated_at=max(ledger.now, contact.updated_at + 1))
        ledger.put_contact(contact)
    return contact


def join(ledger: Ledger, survivor: Contact, younger: Contact) -> None:
    """Give the survivor what the ledger knows of the younger contact's aliases."""
    for (organization_id, address), found in list(ledger.aliases.items()):
        for alias in found:
            if alias.contact_id == younger.id:
                own = of_contact(ledger, survivor, address) or replace(alias, contact_id=survivor.id)
                since, until = min(own.since, alias.since), max(own.until, alias.until)
                ledger.drop_alias(organization_id, address, younger.id)
                ledger.put_alias(organization_id, address, Alias(survivor.id, since, until))
