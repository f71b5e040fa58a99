"""PURE. Apply one item of a POST to the ledger: one function per kind of item.

Source: docs/reference/formats.md, "What emits what".
"""

from __future__ import annotations

from typing import Literal, assert_never

from msgspec import Raw
from msgspec.structs import replace

from tellwire.accounts import notices, standby
from tellwire.conversations import agent_turns, contacts, lifecycle, message_events
from tellwire.conversations.changes import Options, seconds, update
from tellwire.conversations.message_events import Subject
from tellwire.inbox import revisions, statuses, told
from tellwire.media import attachments
from tellwire.meta.errors import status_errors
from tellwire.meta.webhooks.items import (
    AccountNotice,
    AccountProblem,
    AddressChange,
    CallMade,
    ControlChange,
    Item,
    MessageItem,
    Notice,
    NotUnderstood,
    PreferenceChange,
    Recorded,
    StandbyCopy,
    StatusUpdate,
    TemplateNotice,
)
from tellwire.model.inbound import ItemResult, Outcome
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Contact, Conversation, Message
from tellwire.model.row_json import errors_json
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Micros, Seconds

_PLACEHOLDER = "media_placeholder"
_OTHER_CONTENT = "another content under a wamid that is known; both raw texts are kept"


def apply_item(
    ledger: Ledger, item: Item, account: Account, options: Options, digest: str, *, held_until: Micros = 0
) -> ItemResult:
    """Apply one item.

    Args:
        digest: SHA-256 of the POST in hex, for items that have no key of their own.
        held_until: until when (micros) an edit may wait for its message, and a status for the answer to a send that is
            under way.
    """
    match item:
        case MessageItem() if item.edits:
            return _edit(ledger, item, account, options, held_until=held_until)
        case MessageItem() if item.revokes:
            return revisions.revoke(ledger, item, account)
        case MessageItem():
            return _message(ledger, item, account, options)
        case StatusUpdate():
            return statuses.apply_status(ledger, item, account, options, held_until=held_until)
        case AddressChange():
            return _address_change(ledger, item, account)
        case CallMade():
            return _call(ledger, item, account)
        case AccountProblem() | AccountNotice() | TemplateNotice():
            return _of_the_account(ledger, item, account, digest)
        case PreferenceChange() | StandbyCopy() | ControlChange():
            return told.apply(ledger, item, account)
        case Recorded() | NotUnderstood():
            understood = isinstance(item, Recorded)
            return ItemResult(Outcome.RECORDED if understood else Outcome.NOT_UNDERSTOOD, item.reason)
        case _:
            assert_never(item)


# --- messages ---------------------------------------------------------------------------------------------------------


def _message(ledger: Ledger, item: MessageItem, account: Account, options: Options) -> ItemResult:
    known = ledger.messages.get((account.id, item.wamid))
    if known is not None:
        return _known_message(ledger, item, account, known, options)
    if item.who is None and not item.group_id:
        return ItemResult(Outcome.NOT_UNDERSTOOD, "nobody to attribute it to")
    at = seconds(item.timestamp, ledger.now)
    contact = contacts.resolve(ledger, account.organization_id, item.who, at) if item.who else None
    conversation = _join(ledger, account, contact, item, options)
    incoming = item.direction == "incoming"
    address = item.who.address if item.who else item.group_id
    message = Message(
        id=ledger.new_id(),
        organization_id=account.organization_id,
        account_id=account.id,
        conversation_id=conversation.id,
        contact_id=contact.id if contact else "",
        direction=item.direction,
        content=item.content,
        status=_first_status(item, ledger.now, at),
        wamid=item.wamid,
        from_=item.who.address if item.who and incoming else "",
        to="" if incoming else (item.group_id or address),
        timestamp=at,
        kind="placeholder" if item.type == _PLACEHOLDER else "edit" if item.edits else "message",
        history=item.origin == "history",
        source=ledger.source,
        created_at=ledger.now,
        updated_at=ledger.now,
    )
    message = revisions.apply_early(ledger, message, account)
    if item.type in attachments.TYPES or message.content is not item.content:
        message = attachments.attach(ledger, message, options.public_url)
    ledger.put_message(message)
    message_events.emit(
        ledger,
        Subject(message, account, conversation, contact),
        action="insert",
        participant=address,
        business=item.place.display_phone_number,
    )
    if item.origin == "customer" and standby.is_active(account.about):
        told.message_came(ledger, account)
    match item.origin:
        case "customer" if not item.group_id and not item.edits and "deleted" not in message.status:
            agent_turns.customer_wrote(ledger, account, message, item.type)
        case "echo" if not item.group_id:
            agent_turns.person_wrote(ledger, account, conversation, by=agent_turns.THE_PHONE_APP)
    return ItemResult(Outcome.APPLIED, message_id=message.id)


def _first_status(item: MessageItem, now: Micros, at: Seconds) -> dict[str, Micros]:
    if item.origin == "customer":
        return {"pending": now}
    return {item.status: at * MICROS} if item.status else {}


def _known_message(ledger: Ledger, item: MessageItem, account: Account, known: Message, options: Options) -> ItemResult:
    """Keep the first copy of a message; only a placeholder or an external row takes its content from a later one."""
    fills = (known.kind == "placeholder" and item.type != _PLACEHOLDER) or known.kind == "external"
    if not fills or known.direction != item.direction:
        why = "" if known.content == item.content else _OTHER_CONTENT
        return ItemResult(Outcome.DUPLICATE, why, known.id)
    status = known.status
    if item.origin != "customer":
        at = seconds(item.timestamp, ledger.now) * MICROS
        status = {**status, item.status: min(at, status.get(item.status, at))} if item.status else status
    at = item.timestamp or known.timestamp or ledger.now // MICROS
    kind: Literal["placeholder", "message"] = "placeholder" if item.type == _PLACEHOLDER else "message"
    message = replace(known, status=status, kind=kind, timestamp=at)
    if "edited" in status:
        pass  # the edit's content is the newer one, whenever it came
    elif "deleted" in status and account.on_revoke == "erase":
        message = replace(message, content=revisions.erase(item.content))
    else:
        message = replace(message, content=item.content)
        if item.type in attachments.TYPES:
            message = attachments.attach(ledger, message, options.public_url)
    changed = tuple(
        name for name in ("content", "status", "timestamp", "media") if getattr(message, name) != getattr(known, name)
    )
    update(ledger, message, account, changed)
    return ItemResult(Outcome.APPLIED, message_id=message.id)


def _edit(ledger: Ledger, item: MessageItem, account: Account, options: Options, *, held_until: Micros) -> ItemResult:
    """Apply an edit to its message. While that has not come the edit waits, at most a minute; then it becomes a row of
    its own, so that it is seen, and still waits for the message."""
    original = ledger.messages.get((account.id, item.edits))
    if original is not None:
        return revisions.edit(ledger, item, original, account, options)
    if (account.id, item.wamid) not in ledger.messages:
        if ledger.now < held_until:
            return ItemResult(Outcome.HELD, "it edits a message that has not come", retry_at=held_until)
        if revisions.erasure_waits(ledger, item.edits, account):
            return ItemResult(Outcome.HELD, "it edits a message that has not come, and that is revoked")
    result = _message(ledger, item, account, options)
    return replace(result, waits=True) if result.outcome == Outcome.APPLIED else result


# --- the rest ---------------------------------------------------------------------------------------------------------


def _address_change(ledger: Ledger, item: AddressChange, account: Account) -> ItemResult:
    before, at = len(ledger.events), seconds(item.timestamp, ledger.now)
    contact, new = contacts.moved(ledger, account.organization_id, item.who, at)
    if contact is None:
        return ItemResult(Outcome.RECORDED, "nobody is known by these addresses")
    if not new:
        return ItemResult(Outcome.DUPLICATE)
    if len(ledger.events) == before:
        return ItemResult(Outcome.RECORDED, "the contact has no open conversation on this number")
    return ItemResult(Outcome.APPLIED)


def _call(ledger: Ledger, item: CallMade, account: Account) -> ItemResult:
    at = seconds(item.timestamp, ledger.now)
    contact = contacts.find(ledger, account.organization_id, item.who.aliases, at)
    if contact is None:
        return ItemResult(Outcome.RECORDED, "nobody is known by these addresses")
    key = (account.organization_id, account.id, contact.id)
    ledger.new_calls[key] = max(at, ledger.new_calls.get(key, 0))
    return ItemResult(Outcome.RECORDED, "a call: it opens the customer service window")


def _of_the_account(ledger: Ledger, item: AccountProblem | Notice, account: Account, digest: str) -> ItemResult:
    if not isinstance(item, AccountProblem):
        return ItemResult(notices.apply(ledger, item, account, digest))
    if not notices.record_once(ledger, account, notices.WARNING, notices.key_of(item, digest)):
        return ItemResult(Outcome.DUPLICATE)
    errors = Raw(errors_json(status_errors(item.errors)))
    data = {"account_id": account.id, "phone_number_id": account.phone_number_id, "errors": errors}
    notices.emit(ledger, account, notices.WARNING, data)
    return ItemResult(Outcome.APPLIED)


# --- shared -----------------------------------------------------------------------------------------------------------


def _join(
    ledger: Ledger, account: Account, contact: Contact | None, item: MessageItem, options: Options
) -> Conversation:
    """Return the conversation that the row of an item joins; `contact` is None in a group without a sender."""
    party = address = item.group_id
    if contact is not None and not party:
        party = contact.id
    history = item.origin == "history"
    known = lifecycle.going_on(ledger, account, party, window=options.window, history=history)
    if known is not None:
        return known
    if contact is not None and item.who is not None and not item.group_id:
        address = contacts.address_to_use(ledger, contact, "" if item.who.adds else item.who.address)
    return lifecycle.opened(ledger, account, party, address, history=history)
