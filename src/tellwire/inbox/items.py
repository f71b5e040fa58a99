"""PURE. Apply one item of a POST to the ledger: one function per kind of item.

Source: docs/reference/formats.md, "What emits what".
"""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from tellwire.accounts import notices
from tellwire.conversations import agent_turns, contacts, lifecycle, message_events
from tellwire.conversations.changes import Options, repeated, seconds, update
from tellwire.conversations.message_events import Subject
from tellwire.conversations.status_merge import merge
from tellwire.inbox import statuses
from tellwire.media import attachments
from tellwire.meta.errors import status_errors
from tellwire.meta.webhooks.items import (
    AccountNotice,
    AccountProblem,
    AddressChange,
    CallMade,
    Item,
    MessageItem,
    NotUnderstood,
    StatusUpdate,
    TemplateNotice,
)
from tellwire.model.inbound import ItemResult, Outcome
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Contact, Conversation, Message, StatusFact
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
        held_until: until when (micros) a status may wait for the answer to a send that is under way.
    """
    match item:
        case MessageItem(edits=original) if original and (account.id, original) in ledger.messages:
            return _edit(ledger, item, account, options)
        case MessageItem(revokes=original) if original:
            return _revoke(ledger, item, account)
        case MessageItem():
            return _message(ledger, item, account, options)
        case StatusUpdate():
            return statuses.apply_status(ledger, item, account, options, held_until=held_until)
        case AddressChange():
            return _address_change(ledger, item, account)
        case CallMade():
            return _call(ledger, item, account)
        case AccountProblem():
            return _account_problem(ledger, item, account, digest)
        case AccountNotice() | TemplateNotice():
            return ItemResult(notices.apply(ledger, item, account, digest))
        case NotUnderstood():
            return ItemResult(Outcome.NOT_UNDERSTOOD, item.reason)
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
        content_at=at,
        kind="placeholder" if item.type == _PLACEHOLDER else "edit" if item.edits else "message",
        history=item.origin == "history",
        created_at=ledger.now,
        updated_at=ledger.now,
    )
    if item.type in attachments.TYPES:
        message = attachments.attach(ledger, message, options.public_url)
    ledger.put_message(message)
    message_events.emit(
        ledger,
        Subject(message, account, conversation, contact),
        action="insert",
        participant=address,
        business=item.place.display_phone_number,
    )
    match item.origin:
        case "customer" if not item.group_id and not item.edits:
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
    message = replace(known, status=status, kind="message", timestamp=at)
    if "deleted" in status and account.on_revoke == "erase":
        message = replace(message, content=_type_only(item.content), content_at=at)
    elif "edited" not in status:
        message = replace(message, content=item.content, content_at=at)
        if item.type in attachments.TYPES:
            message = attachments.attach(ledger, message, options.public_url)
    changed = tuple(
        name for name in ("content", "status", "timestamp", "media") if getattr(message, name) != getattr(known, name)
    )
    update(ledger, message, account, changed)
    return ItemResult(Outcome.APPLIED, message_id=message.id)


def _edit(ledger: Ledger, item: MessageItem, account: Account, options: Options) -> ItemResult:
    original = ledger.messages[account.id, item.edits]
    fact = StatusFact(name="edited", at=seconds(item.timestamp, ledger.now), participant=item.wamid)
    if (account.id, item.wamid) in ledger.messages or repeated(ledger, account, original, fact):
        return ItemResult(Outcome.DUPLICATE, message_id=original.id)
    message = merge(original, fact)
    changed: tuple[str, ...] = ("status",)
    if fact.at >= original.content_at and not ("deleted" in original.status and account.on_revoke == "erase"):
        message = replace(message, content=item.edited_content, content_at=fact.at)
        message = attachments.attach_anew(ledger, message, options.public_url)
        changed = ("content", "status", "media") if message.media != original.media else ("content", "status")
    update(ledger, message, account, changed)
    return ItemResult(Outcome.APPLIED, message_id=original.id)


def _revoke(ledger: Ledger, item: MessageItem, account: Account) -> ItemResult:
    original = ledger.messages.get((account.id, item.revokes))
    if original is None:
        return ItemResult(Outcome.HELD, "it revokes a message that has not come")
    fact = StatusFact(name="deleted", at=seconds(item.timestamp, ledger.now), participant=item.wamid)
    if repeated(ledger, account, original, fact):
        return ItemResult(Outcome.DUPLICATE, message_id=original.id)
    message = merge(original, fact)
    changed: tuple[str, ...] = ("status",)
    if account.on_revoke == "erase":
        message = attachments.detach(ledger, replace(message, content=_type_only(original.content)))
        changed = ("content", "status", "media") if original.media else ("content", "status")
    update(ledger, message, account, changed)
    return ItemResult(Outcome.APPLIED, message_id=original.id)


def _type_only(content: bytes) -> bytes:
    return msgspec.json.encode({"type": msgspec.json.decode(content, type=dict[str, Raw])["type"]})


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


def _account_problem(ledger: Ledger, item: AccountProblem, account: Account, digest: str) -> ItemResult:
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
    party, address = item.group_id, item.group_id
    if contact and item.who and not item.group_id:
        given = "" if item.who.adds else item.who.address
        party, address = contact.id, contacts.address_to_use(ledger, contact, given)
    return lifecycle.open_with(ledger, account, party, address, window=options.window, history=item.origin == "history")
