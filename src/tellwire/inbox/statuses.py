"""PURE. Apply a status to the ledger (docs/reference/formats.md, "Statuses of messages sent elsewhere", "Payments")."""

from __future__ import annotations

from msgspec import Raw
from msgspec.structs import replace

from tellwire.conversations import aliases, contacts, lifecycle, message_events, outgoing, payments
from tellwire.conversations.changes import Options, emit_status, repeated, seconds, update
from tellwire.conversations.message_events import Subject
from tellwire.conversations.status_merge import merge
from tellwire.meta.errors import status_errors
from tellwire.meta.outgoing.masking import carries_code, mask
from tellwire.meta.phone_numbers import alias, variants
from tellwire.meta.webhooks.items import StatusUpdate, WebhookContact
from tellwire.model.id_form import looks_like_id
from tellwire.model.inbound import ItemResult, Outcome
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Contact, Message, StatusFact
from tellwire.model.row_json import errors_json
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Micros, Seconds

_UNPAID = "a payment for a message that is not known"
_UNKNOWN = "a status of a message that is not known"
_INCOMING = "a status of a message that came in"
_UNDER_WAY = "a status of a message that is not known, while one to its recipient is being sent"

_LOOKED_AGAIN: Micros = MICROS
"""How often it is looked whether what a status waits for is still being sent: as a rule that takes less."""
_MOST_STATUSES = 5_000
"""How many statuses of one message are kept, each of a participant and name; all are loaded for each further one."""
_MOST_NAMES = 50
"""How many names the statuses of one message have; Meta knows a dozen. Each makes every further event larger."""


def our_id(item: StatusUpdate) -> str:
    """Return our message id out of the status's callback data, "" when it cannot be one."""
    return item.callback_data if looks_like_id(item.callback_data) else ""


def apply_status(
    ledger: Ledger, item: StatusUpdate, account: Account, options: Options, *, held_until: Micros = 0
) -> ItemResult:
    """Apply a status to the row of its message: one that we sent, or one that is known from statuses only.

    `held_until`: until when (micros) it may wait for the answer to a send that is under way.
    """
    if item.payment:
        return _payment(ledger, item, account, options, held_until)
    if item.name == "errors":
        return ItemResult(Outcome.NOT_UNDERSTOOD, 'a status cannot be named "errors"')
    errors = status_errors(item.errors) if item.name == "failed" else ()
    fact = StatusFact(
        name=item.name,
        at=seconds(item.timestamp, ledger.now),
        participant=item.participant,
        pricing=item.pricing,
        errors=errors_json(errors) if errors else b"",
    )
    _settle_own(ledger, item, account)
    known = ledger.messages.get((account.id, item.wamid))
    if known is None:
        if ledger.now < held_until and _under_way(ledger, item, account):
            return ItemResult(Outcome.HELD, _UNDER_WAY, retry_at=min(held_until, ledger.now + _LOOKED_AGAIN))
        return _external(ledger, item, account, options, fact)
    if known.direction == "incoming":
        return ItemResult(Outcome.NOT_UNDERSTOOD, _INCOMING, known.id)
    if too_many := _too_many(ledger, item, account, known, fact):
        return ItemResult(Outcome.NOT_UNDERSTOOD, too_many, known.id)
    if repeated(ledger, account, known, fact):
        return ItemResult(Outcome.DUPLICATE, message_id=known.id)
    person = _recipient(ledger, item, account, known, fact.at)
    message = merge(known, fact)
    changed = ("status", *(name for name in ("timestamp", "pricing") if getattr(message, name) != getattr(known, name)))
    update(ledger, message, account, changed, item=item, fact=fact, person=person)
    return ItemResult(Outcome.APPLIED, message_id=known.id)


def _recipient(ledger: Ledger, item: StatusUpdate, account: Account, message: Message, at: Seconds) -> Contact | None:
    """Return whom a status is about: outside groups the message's contact, who has every address that it names."""
    if item.who is None:
        return None
    contact = None if item.group_id else contacts.survivor(ledger, message.contact_id)
    if contact is None:
        return contacts.resolve(ledger, account.organization_id, item.who, at)
    return contacts.tie(ledger, contact, item.who, at)


def _settle_own(ledger: Ledger, item: StatusUpdate, account: Account) -> None:
    """Record that Meta accepted our message, and its wamid: a status that brings back our id proves it."""
    own = ledger.by_id.get(our_id(item))
    if own is not None and own.account_id == account.id and own.id in ledger.sends and not own.wamid:
        outgoing.accept(ledger, account, own.id, item.wamid, content=_without_codes(own.content))


def _without_codes(content: bytes) -> bytes:
    """Mask a one-time code. The parameters show whether there is one: the template's category was not looked up."""
    return mask(content, authentication=carries_code(content))


def _under_way(ledger: Ledger, item: StatusUpdate, account: Account) -> bool:
    """Return whether a message is being sent to the recipient, under any known address or spelling of it."""
    sending = ledger.in_flight.get(account.id)
    if not sending:
        return False
    if item.group_id:
        return alias(item.group_id) in sending
    return item.who is not None and not sending.isdisjoint(_spellings(ledger, account, item.who))


def _spellings(ledger: Ledger, account: Account, who: WebhookContact) -> set[str]:
    given = {spelling for address in who.aliases for spelling in (address, *variants(address))}
    owners = {each.contact_id for address in given for each in aliases.known(ledger, account.organization_id, address)}
    people = [ledger.contacts[each] for each in owners]
    known = {address for person in people for address in (person.phone, person.user_id) if address}
    return given | known | {spelling for address in known for spelling in variants(address)}


def _too_many(ledger: Ledger, item: StatusUpdate, account: Account, known: Message, fact: StatusFact) -> str:
    """Return why a message takes no further status, "" when it does."""
    facts = ledger.facts.get((account.id, item.wamid), {})
    if len(facts) >= _MOST_STATUSES and (fact.name, fact.participant) not in facts:
        return f"{_MOST_STATUSES:,} statuses of this message are known"
    if len(known.status) >= _MOST_NAMES and fact.name not in known.status:
        return f"{_MOST_NAMES} names of statuses of this message are known"
    return ""


def _external(ledger: Ledger, item: StatusUpdate, account: Account, options: Options, fact: StatusFact) -> ItemResult:
    """Make a row of its own of a status whose message we did not send, or hold it if the account says so."""
    subject = _external_row(ledger, item, account, options, fact.at)
    if subject is None:
        return ItemResult(Outcome.HELD, _UNKNOWN)
    person = contacts.resolve(ledger, account.organization_id, item.who, fact.at) if item.who else None
    subject = replace(subject, message=merge(subject.message, fact))
    ledger.put_message(subject.message)
    ledger.put_fact(account.id, item.wamid, fact)
    emit_status(ledger, subject, item=item, fact=fact, person=person)
    return ItemResult(Outcome.APPLIED, message_id=subject.message.id)


def _external_row(
    ledger: Ledger, item: StatusUpdate, account: Account, options: Options, at: Seconds
) -> Subject | None:
    """Return the row, yet to be kept, of a message that we did not send; None when the account wants none, or nobody is
    named whose it could be."""
    if account.unknown_statuses == "hold" or (item.who is None and not item.group_id):
        return None
    person = contacts.resolve(ledger, account.organization_id, item.who, at) if item.who else None
    contact = None if item.group_id else person
    party = item.group_id or (contact.id if contact else "")
    key = (account.id, party)
    address = item.group_id or (item.who.address if item.who else "")
    conversation = ledger.open.get(key) or ledger.latest.get(key)
    if conversation is None:
        place = contacts.address_to_use(ledger, contact, address) if contact else address
        conversation = lifecycle.open_with(ledger, account, party, place, window=options.window)
    message = Message(
        id=ledger.new_id(),
        organization_id=account.organization_id,
        account_id=account.id,
        conversation_id=conversation.id,
        contact_id=contact.id if contact else "",
        direction="outgoing",
        content=b'{"type":"external"}',
        wamid=item.wamid,
        to=address,
        timestamp=at,
        kind="external",
        source=ledger.source,
        created_at=ledger.now,
        updated_at=ledger.now,
    )
    return Subject(message, account, conversation, contact)


def _payment(ledger: Ledger, item: StatusUpdate, account: Account, options: Options, held_until: Micros) -> ItemResult:
    """Keep a payment beside the row of the message that asked for it, and tell it; it is no status of the message.

    While there is no row it waits, at most a minute, then it makes one as a status would.
    """
    payment = payments.Payment(item.name, seconds(item.timestamp, ledger.now), Raw(item.payment))
    _settle_own(ledger, item, account)
    message = ledger.messages.get((account.id, item.wamid))
    if message is None:
        if ledger.now < held_until:
            return ItemResult(Outcome.HELD, _UNPAID, retry_at=held_until)
        subject = _external_row(ledger, item, account, options, payment.at)
        if subject is None:
            return ItemResult(Outcome.HELD, _UNPAID)
        message = subject.message
        message_events.emit(ledger, subject, action="insert", participant=message.to)
    if message.direction == "incoming":
        return ItemResult(Outcome.NOT_UNDERSTOOD, _INCOMING, message.id)
    if payments.is_known(message, payment):
        return ItemResult(Outcome.DUPLICATE, message_id=message.id)
    if len(payments.of(message)) >= payments.MOST:
        return ItemResult(Outcome.NOT_UNDERSTOOD, f"{payments.MOST} payments for this message are kept", message.id)
    _recipient(ledger, item, account, message, payment.at)
    message = payments.added(message, (payment,))
    ledger.put_message(message)
    payments.tell(ledger, message, account, payment)
    return ItemResult(Outcome.APPLIED, message_id=message.id)
