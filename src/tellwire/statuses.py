"""PURE. What a status does to the ledger (FORMATS.md section 4, "Statuses of messages we did not send")."""

from __future__ import annotations

from tellwire import contacts, conversations
from tellwire.ledger import Ledger
from tellwire.merge import merge
from tellwire.meta.errors import status_errors
from tellwire.meta.items import StatusUpdate
from tellwire.model import Account, Message, Outcome, StatusFact
from tellwire.rows import errors_json
from tellwire.updates import Applied, Options, repeated, seconds, tell_status, update


def status(ledger: Ledger, item: StatusUpdate, account: Account, options: Options) -> Applied:
    """Apply a status to the row that it speaks of, one of ours or one that only statuses tell of."""
    if item.name == "errors":
        return Outcome.NOT_UNDERSTOOD, 'a status cannot be named "errors"', ""
    errors = status_errors(item.errors) if item.name == "failed" else ()
    fact = StatusFact(
        name=item.name,
        at=seconds(item.timestamp, ledger.now),
        participant=item.participant,
        pricing=item.pricing,
        errors=errors_json(errors) if errors else b"",
    )
    known = ledger.messages.get((account.id, item.wamid))
    if known is None:
        return _external(ledger, item, account, options, fact)
    if known.direction == "incoming":
        return Outcome.NOT_UNDERSTOOD, "a status of a message that came in", known.id
    if repeated(ledger, account, known, fact):
        return Outcome.DUPLICATE, "", known.id
    person = contacts.resolve(ledger, account.organization_id, item.who) if item.who else None
    message = merge(known, fact)
    changed = ("status", *(name for name in ("timestamp", "pricing") if getattr(message, name) != getattr(known, name)))
    update(ledger, message, account, changed, item=item, fact=fact, person=person)
    return Outcome.APPLIED, "", known.id


def _external(ledger: Ledger, item: StatusUpdate, account: Account, options: Options, fact: StatusFact) -> Applied:
    """A status of a message that we did not send: it becomes a row of its own (or waits, as the account says)."""
    if account.unknown_statuses == "hold" or (item.who is None and not item.group_id):
        return Outcome.HELD, "a status of a message that is not known", ""
    person = contacts.resolve(ledger, account.organization_id, item.who) if item.who else None
    contact = None if item.group_id else person
    party = item.group_id or (contact.id if contact else "")
    place = (account.id, party)
    address = item.group_id or (item.who.address if item.who else "")
    conversation = ledger.open.get(place) or ledger.latest.get(place)
    if conversation is None:
        conversation = conversations.open_with(ledger, account, party, address, window=options.window)
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
    tell_status(ledger, message, account, conversation, contact, item=item, fact=fact, person=person)
    return Outcome.APPLIED, "", message.id
