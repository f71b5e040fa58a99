"""PURE. Whom a message of ours goes to when its turn comes, and whom Meta then names.

Source: docs/reference/formats.md, "Who".
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from tellwire.conversations import contacts
from tellwire.conversations.changes import update
from tellwire.meta.phone_numbers import alias
from tellwire.meta.webhooks.items import WebhookContact
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Message, Send
from tellwire.model.tenancy import Account
from tellwire.model.units import Seconds


class Named(Struct, frozen=True):
    """Whom Meta named for a message of ours, and when, by its time."""

    who: WebhookContact
    at: Seconds


def as_sent(address: str) -> str:
    """Return an address as Meta is given it."""
    return f"+{alias(address)}" if alias(address).isdecimal() else address


def has_left(ledger: Ledger, message_id: str) -> bool:
    """Return whether a message that is to be sent has nowhere to go: its recipient has left every address known."""
    message, send = ledger.by_id.get(message_id), ledger.sends.get(message_id)
    return message is not None and send is not None and not _address_now(ledger, send, message)


def _address_now(ledger: Ledger, send: Send, message: Message) -> str:
    """Return the address that a message goes to now, "" for none."""
    conversation = ledger.conversations.get(message.conversation_id)
    person = contacts.survivor(ledger, message.contact_id)
    if conversation is None or conversation.is_group or person is None:
        return send.recipient
    return contacts.reachable(ledger, person, conversation, send.recipient)


def readdressed(ledger: Ledger, account: Account, send: Send) -> Send:
    """Return a send to the address that its recipient has now; the row then shows that one too."""
    message = ledger.by_id.get(send.message_id)
    address = _address_now(ledger, send, message) if message is not None else ""
    if message is None or not address or alias(address) == alias(send.recipient):
        return send
    update(ledger, replace(message, to=alias(address)), account, ("to",))
    return replace(send, recipient=as_sent(address))


def keys_of_sends(account: Account, sends: Iterable[Send]) -> Keys:
    """Return what has to be loaded before messages can be claimed: whose their addresses are now is part of it."""
    keys = Keys()
    for send in sends:
        keys.own.add((account.phone_number_id, send.message_id))
        keys.addresses.add((account.phone_number_id, alias(send.recipient)))
    return keys


def keys_of_names(account: Account, message_id: str, named: Iterable[Named]) -> Keys:
    """Return what has to be loaded before `name` can be decided."""
    addresses = {(account.phone_number_id, address) for each in named for address in each.who.aliases}
    return Keys(own={(account.phone_number_id, message_id)}, addresses=addresses)


def name(ledger: Ledger, message_id: str, named: Named) -> None:
    """Record whom Meta named for a message of ours: its contact has these addresses too."""
    message = ledger.by_id.get(message_id)
    contact = contacts.survivor(ledger, message.contact_id) if message is not None else None
    if contact is not None:
        contacts.tie(ledger, contact, named.who, named.at)
