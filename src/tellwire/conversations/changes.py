"""PURE. Change a message row: record the status fact, store the row and emit its event."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from tellwire.conversations import contacts, message_events
from tellwire.conversations.message_events import Subject
from tellwire.conversations.status_merge import merge
from tellwire.meta.errors import status_errors
from tellwire.meta.webhooks.items import StatusUpdate
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Contact, Message, StatusError, StatusFact
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, Account
from tellwire.model.units import DAY, MICROS, Micros, Seconds

_NOBODY = Contact(id="", organization_id="")


class Options(Struct, frozen=True, kw_only=True):
    """Options that the settings decide. `window`: micros after which an idle conversation closes by itself, 0 for
    never. `tracing`: whether events remember their POST. `public_url`: how links to media begin."""

    auto_accounts: bool = False
    window: Micros = DAY
    default_organization: str = DEFAULT_ORGANIZATION
    tracing: bool = False
    public_url: str = ""


def seconds(meta_time: Seconds | None, now: Micros) -> Seconds:
    """Return Meta's time, else the time of receipt (`now`, micros) in seconds."""
    return now // MICROS if meta_time is None else meta_time


def repeated(ledger: Ledger, account: Account, message: Message, fact: StatusFact) -> bool:
    """Record a status fact; return True when (wamid, status, participant) was known already, which emits no event.

    A repeat is still merged into the row, so that the row does not depend on which copy came first.
    """
    wamid = message.wamid
    known = ledger.facts.get((account.id, wamid), {}).get((fact.name, fact.participant))
    if known is None:
        ledger.put_fact(account.id, wamid, fact)
        return False
    merged = merge(message, fact)
    if merged is not message:
        ledger.put_message(merged)
    return True


def update(
    ledger: Ledger,
    message: Message,
    account: Account,
    changed: tuple[str, ...],
    *,
    item: StatusUpdate | None = None,
    fact: StatusFact | None = None,
    person: Contact | None = None,
    errors: tuple[StatusError, ...] = (),
) -> None:
    """Store a changed row and emit its event; `updated_at` strictly rises.

    `fact` is the status that changed it: it comes from Meta's `item`, or from the call itself, with `errors`.
    """
    message = replace(message, updated_at=max(ledger.now, message.updated_at + 1))
    ledger.put_message(message)
    conversation = ledger.conversations[message.conversation_id]
    subject = Subject(message, account, conversation, contacts.survivor(ledger, message.contact_id))
    if item is not None and fact is not None:
        emit_status(ledger, subject, item=item, fact=fact, person=person, changed=changed)
        return
    message_events.emit(
        ledger,
        subject,
        action="update",
        participant=message.from_ or conversation.contact_address,
        changed=changed,
        status=message_events.status_item(fact, errors) if fact is not None else None,
    )


def emit_status(
    ledger: Ledger,
    subject: Subject,
    *,
    item: StatusUpdate,
    fact: StatusFact,
    person: Contact | None,
    changed: tuple[str, ...] = (),
) -> None:
    """Emit the event of one status; `person` is who the status is about: in a group one of many."""
    message_events.emit(
        ledger,
        subject,
        action="update" if changed else "insert",
        participant=item.who.address if item.who else subject.conversation.contact_address,
        name=(person or subject.contact or _NOBODY).name,
        changed=changed,
        status=message_events.status_item(fact, status_errors(item.errors) if fact.name == "failed" else ()),
        business=item.place.display_phone_number,
    )
