"""PURE. The items that wait for a message: reading them out of their POSTs, and the report of what became of one."""

from __future__ import annotations

from typing import assert_never

from tellwire import meta
from tellwire.inbox import told
from tellwire.meta.webhooks.items import (
    AccountNotice,
    AccountProblem,
    AddressChange,
    CallMade,
    ControlChange,
    Item,
    MessageItem,
    NotUnderstood,
    PreferenceChange,
    Recorded,
    StandbyCopy,
    StatusUpdate,
    TemplateNotice,
)
from tellwire.model.inbound import ItemReport, ItemResult, Outcome
from tellwire.model.ledger import MOST_HELD_BYTES, HeldItem, Ledger


def items_for(ledger: Ledger, phone_number_id: str, wamid: str) -> list[tuple[HeldItem, Item]]:
    """Return the items that wait for a message, each as it was held and as it reads; without those of POSTs that are
    too large to be read in this transaction."""
    waiting = ledger.held.get((phone_number_id, wamid), ())
    read = [(held, _item(ledger, held)) for held in waiting if is_read(ledger, held)]
    return [(held, item) for held, item in read if item is not None]


def is_read(ledger: Ledger, held: HeldItem) -> bool:
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


def settle(ledger: Ledger, held: HeldItem, item: Item, result: ItemResult) -> None:
    """Report what became of an item that waited; unless it goes on waiting, it is no longer kept for that."""
    ledger.put_report(held.inbound_id, report_of(item, result))
    if result.outcome != Outcome.HELD:
        ledger.settle_held(held.inbound_id, held.pointer)


def report_of(item: Item, result: ItemResult) -> ItemReport:
    """Return the report of one item: what it was and what was done with it."""
    match item:
        case MessageItem():
            kind, wamid = item.type, item.wamid
        case StatusUpdate():
            kind, wamid = f"{'payment' if item.payment else 'status'} {item.name}", item.wamid
        case AddressChange():
            kind, wamid = "address change", ""
        case CallMade():
            kind, wamid = "call", ""
        case AccountProblem():
            kind, wamid = "account problem", ""
        case AccountNotice() | TemplateNotice():
            kind, wamid = item.event or item.place.field, ""
        case PreferenceChange() | StandbyCopy() | ControlChange():
            kind, wamid = told.described(item)
        case Recorded() | NotUnderstood():
            kind, wamid = item.kind, item.wamid if isinstance(item, NotUnderstood) else ""
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
