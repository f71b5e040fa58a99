"""PURE. Apply what is told about a person and is no row: preferences, copies of threads of others, and handovers.

Source: docs/reference/formats.md, "Threads of other responders" and "Marketing preferences".
"""

from __future__ import annotations

from hashlib import blake2b
from typing import assert_never

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from tellwire.accounts import notices, standby
from tellwire.conversations import contacts, marketing
from tellwire.conversations.changes import seconds
from tellwire.conversations.marketing import Preference
from tellwire.meta.webhooks.items import ControlChange, PreferenceChange, StandbyCopy, Told
from tellwire.model.inbound import ItemResult, Outcome
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Contact
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.routing import order_key
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS

PREFERENCE = "contact.preference_changed"
_CONTROL = {"control_passed": "thread.control_passed", "control_taken": "thread.control_taken"}
_COPIES = {"message": "standby.message", "echo": "standby.echo", "status": "standby.status"}
_ONLY_COPIES = "Meta sends only copies (standby) of what customers write to this number: another responder answers them"

_encode = msgspec.json.Encoder().encode


def key_of(item: Told) -> str:
    """Return the key by which one that comes again is recognised, in place of a wamid, which would name a number."""
    # A wamid says which message or echo it is; everything else is what it says.
    own = item.wamid.encode() if isinstance(item, StandbyCopy) and item.kind != "status" else item.value
    return blake2b(name_of(item).encode() + b"\0" + own, digest_size=20).hexdigest()


def name_of(item: Told) -> str:
    """Return the name of the event that tells of it."""
    match item:
        case PreferenceChange():
            return PREFERENCE
        case StandbyCopy():
            return _COPIES[item.kind]
        case ControlChange():
            return _CONTROL[item.event]
        case _:
            assert_never(item)


def described(item: Told) -> tuple[str, str]:
    """Return what it is, for people, and Meta's message id where it has one."""
    match item:
        case PreferenceChange():
            return f"preference {item.choice}", ""
        case StandbyCopy():
            return f"standby {item.kind}", item.wamid
        case ControlChange():
            return item.event, ""
        case _:
            assert_never(item)


def apply(ledger: Ledger, item: Told, account: Account) -> ItemResult:
    """Apply one of them."""
    match item:
        case PreferenceChange():
            return _preference(ledger, item, account)
        case StandbyCopy():
            return _copy(ledger, item, account)
        case ControlChange():
            return _control(ledger, item, account)
        case _:
            assert_never(item)


def message_came(ledger: Ledger, account: Account) -> None:
    """Note that an account has got a message itself; whoever calls has asked `standby.is_active`."""
    _keep(ledger, account, standby.after_message(account.about, ledger.now // MICROS))


def _preference(ledger: Ledger, item: PreferenceChange, account: Account) -> ItemResult:
    at = seconds(item.timestamp, ledger.now)
    choice = next((each for each in marketing.CHOICES if each == item.choice), None)
    new = Preference(choice, at) if item.category == marketing.CATEGORY and choice is not None else None
    # Only what is new may name the person: what comes again may be older than the name that is known.
    if new and (known := contacts.find(ledger, account.organization_id, item.who.aliases, at)) is not None:
        result = _known_preference(known, item, account, new)
        if result is not None:
            return result
    if not new and not notices.record_once(ledger, account, PREFERENCE, key_of(item)):
        return ItemResult(Outcome.DUPLICATE)
    contact = contacts.resolve(ledger, account.organization_id, item.who, at)
    if new:
        preferences = marketing.with_preferences(contact.marketing, {account.id: new})
        contact = replace(contact, marketing=preferences, updated_at=max(ledger.now, contact.updated_at + 1))
        ledger.put_contact(contact)
    _tell(ledger, account, item, contact, {"category": item.category, "event": item.choice})
    return ItemResult(Outcome.APPLIED)


def _known_preference(contact: Contact, item: PreferenceChange, account: Account, new: Preference) -> ItemResult | None:
    """Return the result of a preference that changes nothing, None for one that does."""
    known = marketing.known(contact.marketing).get(account.id)
    if known is None:
        return None
    if known == new or (item.timestamp is None and known.choice == new.choice):
        return ItemResult(Outcome.DUPLICATE)
    if known.rank > new.rank:
        return ItemResult(Outcome.RECORDED, "a later word of this person is known")
    return None


def _copy(ledger: Ledger, item: StandbyCopy, account: Account) -> ItemResult:
    if not notices.record_once(ledger, account, name_of(item), key_of(item)):
        return ItemResult(Outcome.DUPLICATE)
    if item.kind == "message":
        _warn(ledger, account)
    # The person is made a contact, so that what they wrote can be exported and erased; there is no row to answer.
    contact = _person(ledger, account, item)
    _tell(ledger, account, item, contact, {"wa_id": item.wamid})
    return ItemResult(Outcome.APPLIED)


def _warn(ledger: Ledger, account: Account) -> None:
    """Note that a copy came where a message would have come; the first one is a warning."""
    about, warns = standby.after_copy(account.about, ledger.now // MICROS)
    if about != account.about:
        _keep(ledger, account, about)
    if warns:
        given = {"account_id": account.id, "phone_number_id": account.phone_number_id, "waba_id": account.waba_id}
        data = {name: value for name, value in given.items() if value} | {"field": "standby", "reason": _ONLY_COPIES}
        notices.emit(ledger, account, notices.WARNING, data)


def _keep(ledger: Ledger, account: Account, about: str) -> None:
    ledger.change_account(replace(account, about=about, updated_at=max(ledger.now, account.updated_at + 1)))


def _control(ledger: Ledger, item: ControlChange, account: Account) -> ItemResult:
    if not notices.record_once(ledger, account, name_of(item), key_of(item)):
        return ItemResult(Outcome.DUPLICATE)
    contact = _person(ledger, account, item)
    if contact is not None and item.event == "control_taken":
        _leave(ledger, account, contact)
    _tell(ledger, account, item, contact, {"event": item.event})
    return ItemResult(Outcome.APPLIED)


def _person(ledger: Ledger, account: Account, item: StandbyCopy | ControlChange) -> Contact | None:
    """Return the person in a thread, None when nobody is named."""
    if item.who is None:
        return None
    return contacts.resolve(ledger, account.organization_id, item.who, seconds(item.timestamp, ledger.now))


def _leave(ledger: Ledger, account: Account, contact: Contact) -> None:
    """End the turn of the AI agent: an answer now would take the thread back from whoever has just taken it."""
    conversation = ledger.open.get((account.id, contact.id))
    turn = ledger.turns.get(conversation.id) if conversation else None
    if turn is not None:
        ledger.end_turn(turn)


def _tell(ledger: Ledger, account: Account, item: Told, contact: Contact | None, more: dict[str, str]) -> None:
    """Emit the event, in the order of the person's other events."""
    given = {
        "account_id": account.id,
        "phone_number_id": account.phone_number_id,
        "contact_id": contact.id if contact else "",
        "field": item.place.field,
        **more,
    }
    event = OperationalEvent(
        name=name_of(item),
        data=_encode({key: value for key, value in given.items() if value} | {"value": Raw(item.value)}),
        account_id=account.id,
        phone_number_id=account.phone_number_id,
        contact_id=contact.id if contact else "",
        order_key=order_key(account.id, contact.id) if contact else "",
    )
    ledger.emit(event.event(ledger.new_id(), account.organization_id, ledger.now))
