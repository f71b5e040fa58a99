"""PURE. Apply a status to the ledger (docs/reference/formats.md, "Statuses of messages sent elsewhere")."""

from __future__ import annotations

from tellwire.conversations import aliases, contacts, lifecycle, outgoing
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
from tellwire.model.units import Micros, Seconds

UNDER_WAY = "a status of a message that is not known, while one to its recipient is being sent"


def our_id(item: StatusUpdate) -> str:
    """Return our message id out of the status's callback data, "" when it cannot be one."""
    return item.callback_data if looks_like_id(item.callback_data) else ""


def apply_status(
    ledger: Ledger, item: StatusUpdate, account: Account, options: Options, *, held_until: Micros = 0
) -> ItemResult:
    """Apply a status to the row of its message: one that we sent, or one that is known from statuses only.

    `held_until`: until when (micros) it may wait for the answer to a send that is under way.
    """
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
            return ItemResult(Outcome.HELD, UNDER_WAY)
        return _external(ledger, item, account, options, fact)
    if known.direction == "incoming":
        return ItemResult(Outcome.NOT_UNDERSTOOD, "a status of a message that came in", known.id)
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


def _external(ledger: Ledger, item: StatusUpdate, account: Account, options: Options, fact: StatusFact) -> ItemResult:
    """Make a row of its own of a status whose message we did not send, or hold it if the account says so."""
    if account.unknown_statuses == "hold" or (item.who is None and not item.group_id):
        return ItemResult(Outcome.HELD, "a status of a message that is not known")
    person = contacts.resolve(ledger, account.organization_id, item.who, fact.at) if item.who else None
    contact = None if item.group_id else person
    party = item.group_id or (contact.id if contact else "")
    key = (account.id, party)
    address = item.group_id or (item.who.address if item.who else "")
    conversation = ledger.open.get(key) or ledger.latest.get(key)
    if conversation is None:
        place = contacts.address_to_use(ledger, contact, address) if contact else address
        conversation = lifecycle.open_with(ledger, account, party, place, window=options.window)
    message = merge(
        Message(
            id=ledger.new_id(),
            organization_id=account.organization_id,
            account_id=account.id,
            conversation_id=conversation.id,
            contact_id=contact.id if contact else "",
            direction="outgoing",
            content=b'{"type":"external"}',
            wamid=item.wamid,
            to=address,
            timestamp=fact.at,
            kind="external",
            created_at=ledger.now,
            updated_at=ledger.now,
        ),
        fact,
    )
    ledger.put_message(message)
    ledger.put_fact(account.id, item.wamid, fact)
    emit_status(ledger, Subject(message, account, conversation, contact), item=item, fact=fact, person=person)
    return ItemResult(Outcome.APPLIED, message_id=message.id)
