"""PURE. Apply the items that waited for a message once that message is known: it arrived, or Meta accepted ours."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from tellwire import meta
from tellwire.conversations import outgoing
from tellwire.conversations.changes import Options
from tellwire.inbox.items import apply_item
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
from tellwire.model.inbound import ItemReport, ItemResult, Outcome
from tellwire.model.ledger import MOST_HELD_BYTES, HeldItem, Keys, Ledger
from tellwire.model.messaging import Message
from tellwire.model.tenancy import Account


def keys_of_acceptance(account: Account, message_id: str, wamid: str) -> Keys:
    """Return what has to be loaded before `accept` can be decided."""
    key = (account.phone_number_id, wamid)
    return Keys(own={(account.phone_number_id, message_id)}, messages={key}, statuses={key})


def accept(
    ledger: Ledger,
    account: Account,
    message_id: str,
    wamid: str,
    options: Options,
    *,
    status: str = "",
    content: bytes = b"",
) -> Message | None:
    """Record that Meta accepted a message of ours and apply what was held for it; see `outgoing.accept`."""
    if outgoing.accept(ledger, account, message_id, wamid, status=status, content=content) is None:
        return None
    release(ledger, account, wamid, options)
    return ledger.by_id[message_id]


def release(ledger: Ledger, account: Account, wamid: str, options: Options) -> None:
    """Apply the items that were held until the message `wamid` was known."""
    for held in ledger.held.pop((account.phone_number_id, wamid), ()):
        if not _is_read(ledger, held):
            ledger.put_off(account.phone_number_id, wamid, held)
            continue
        item = _item(ledger, held)
        if item is None:
            continue
        if isinstance(item, StatusUpdate):
            item = replace(item, who=None)  # its addresses were not loaded; the row has them
        result = apply_item(ledger, item, account, options, "")
        ledger.put_report(held.inbound_id, report_of(item, result))
        if result.outcome != Outcome.HELD:
            ledger.settle_held(held.inbound_id, held.pointer)


def _is_read(ledger: Ledger, held: HeldItem) -> bool:
    """Return whether the POST of a held item is read in this transaction, which others wait for meanwhile."""
    if held.inbound_id in ledger.read_posts:
        return True
    if not held.body or ledger.read_bytes + len(held.body) > MOST_HELD_BYTES:
        return False
    ledger.read_bytes += len(held.body)
    return True


def _item(ledger: Ledger, held: HeldItem) -> Item | None:
    """Return an item out of its POST, which is read once a transaction however many of its items wait."""
    items = ledger.read_posts.get(held.inbound_id)
    if items is None:
        items = ledger.read_posts[held.inbound_id] = {item.place.pointer: item for item in meta.parse(held.body)}
    return items.get(held.pointer)


def report_of(item: Item, result: ItemResult) -> ItemReport:
    """Return the report of one item: what it was and what was done with it."""
    match item:
        case MessageItem():
            kind, wamid = item.type, item.wamid
        case StatusUpdate():
            kind, wamid = f"status {item.name}", item.wamid
        case AddressChange():
            kind, wamid = "address change", ""
        case CallMade():
            kind, wamid = "call", ""
        case AccountProblem():
            kind, wamid = "account problem", ""
        case AccountNotice() | TemplateNotice():
            kind, wamid = item.event or item.place.field, ""
        case NotUnderstood():
            kind, wamid = item.kind, item.wamid
        case _:
            assert_never(item)
    return ItemReport(
        pointer=item.place.pointer,
        field=item.place.field,
        kind=kind,
        wamid="" if result.outcome == Outcome.ERASED else wamid,  # a wamid contains the phone number
        phone_number_id=item.place.phone_number_id,
        outcome=result.outcome,
        reason=result.reason,
        message_id=result.message_id,
    )
