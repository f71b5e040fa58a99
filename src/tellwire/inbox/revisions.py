"""PURE. Edits and revocations of a message: of one that is known, and those that came before it.

Source: docs/reference/formats.md, "Edits and revocations".

In whatever order they come, the row shows the latest edit, else the original, and no content at all once it was revoked
on an account that erases. So none of them asks what came before it.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from tellwire.conversations.changes import Options, repeated, seconds, update
from tellwire.conversations.status_merge import merge
from tellwire.inbox import waiting
from tellwire.media import attachments
from tellwire.meta.webhooks.items import Item, MessageItem
from tellwire.model.inbound import ItemResult, Outcome
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Message, StatusFact
from tellwire.model.tenancy import Account

_EDITED, _DELETED = "edited", "deleted"


def edit(ledger: Ledger, item: MessageItem, original: Message, account: Account, options: Options) -> ItemResult:
    """Apply an edit to its message."""
    message = _edited(ledger, item, original, account)
    if message is None:
        return ItemResult(Outcome.DUPLICATE, message_id=original.id)
    if message.content != original.content and not _is_erased(message, account):
        message = attachments.attach_anew(ledger, message, options.public_url)
    _tell(ledger, original, message, account)
    return ItemResult(Outcome.APPLIED, message_id=original.id)


def revoke(ledger: Ledger, item: MessageItem, account: Account) -> ItemResult:
    """Apply a revocation to its message, or hold it until that comes."""
    original = ledger.messages.get((account.id, item.revokes))
    if original is None:
        return ItemResult(Outcome.HELD, "it revokes a message that has not come")
    message = _revoked(ledger, item, original, account)
    if message is None:
        return ItemResult(Outcome.DUPLICATE, message_id=original.id)
    if _is_erased(message, account):
        message = attachments.detach(ledger, message)
    _tell(ledger, original, message, account)
    return ItemResult(Outcome.APPLIED, message_id=original.id)


def erasure_waits(ledger: Ledger, wamid: str, account: Account) -> bool:
    """Return whether a message that has not come is revoked already, and erased when it comes."""
    return account.on_revoke == "erase" and any(
        isinstance(item, MessageItem) and item.revokes
        for _, item in waiting.items_for(ledger, account.phone_number_id, wamid)
    )


def apply_early(ledger: Ledger, message: Message, account: Account) -> Message:
    """Return a message that is just being recorded with what has to be in its row from the first.

    Nobody is told a text that was to be erased before it came, nor one whose edit was told already: such an edit became
    a row of its own. Other edits and revocations that wait are applied after it.
    """
    place = (account.phone_number_id, message.wamid)
    if place not in ledger.held:
        return message
    erased = erasure_waits(ledger, message.wamid, account)
    settled = set[tuple[str, str]]()
    for held, item in waiting.items_for(ledger, *place):
        revised = None
        if erased or held.outcome == Outcome.APPLIED:
            revised = _revised(ledger, item, message, account)
        if revised is not None:
            message = revised
            settled.add((held.inbound_id, held.pointer))
            waiting.settle(ledger, held, item, ItemResult(Outcome.APPLIED, message_id=message.id))
    ledger.held[place] = [held for held in ledger.held[place] if (held.inbound_id, held.pointer) not in settled]
    return message


def erase(content: bytes) -> bytes:
    """Return what is left of a revoked message's content: its type."""
    return msgspec.json.encode({"type": msgspec.json.decode(content, type=dict[str, Raw])["type"]})


def _revised(ledger: Ledger, item: Item, message: Message, account: Account) -> Message | None:
    if not isinstance(item, MessageItem):
        return None
    if item.revokes:
        return _revoked(ledger, item, message, account)
    return _edited(ledger, item, message, account) if item.edits else None


def _edited(ledger: Ledger, item: MessageItem, original: Message, account: Account) -> Message | None:
    """Return the message with an edit; None for one that is known."""
    fact = StatusFact(name=_EDITED, at=seconds(item.timestamp, ledger.now), participant=item.wamid)
    facts = ledger.facts.get((account.id, original.wamid), {})
    others = [(each.at, each.participant) for each in facts.values() if each.name == _EDITED]
    latest = all(each < (fact.at, fact.participant) for each in others)
    if repeated(ledger, account, original, fact):
        return None
    message = merge(original, fact)
    if not latest:
        return message
    content = erase(item.edited_content) if _is_erased(message, account) else item.edited_content
    return replace(message, content=content)


def _revoked(ledger: Ledger, item: MessageItem, original: Message, account: Account) -> Message | None:
    """Return the message with a revocation; None for one that is known."""
    fact = StatusFact(name=_DELETED, at=seconds(item.timestamp, ledger.now), participant=item.wamid)
    if repeated(ledger, account, original, fact):
        return None
    message = merge(original, fact)
    return replace(message, content=erase(message.content)) if _is_erased(message, account) else message


def _is_erased(message: Message, account: Account) -> bool:
    return _DELETED in message.status and account.on_revoke == "erase"


def _tell(ledger: Ledger, before: Message, after: Message, account: Account) -> None:
    changed = (name for name in ("content", "media") if getattr(after, name) != getattr(before, name))
    update(ledger, after, account, ("status", *changed))
