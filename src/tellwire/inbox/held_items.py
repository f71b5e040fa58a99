"""PURE. What waited for a message is applied once the message is known: it came, or Meta has accepted ours."""

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
from tellwire.model.ledger import Keys, Ledger
from tellwire.model.messaging import Message
from tellwire.model.tenancy import Account


def keys_of_acceptance(account: Account, message_id: str, wamid: str) -> Keys:
    """What has to be loaded before `accepted` can be decided."""
    place = (account.phone_number_id, wamid)
    return Keys(own={(account.phone_number_id, message_id)}, messages={place}, statuses={place})


def accepted(
    ledger: Ledger,
    account: Account,
    message_id: str,
    wamid: str,
    options: Options,
    *,
    status: str = "",
    content: bytes = b"",
) -> Message | None:
    """Meta has accepted a message of ours, and what was held for it is applied with that; see `outgoing.accepted`."""
    if outgoing.accepted(ledger, account, message_id, wamid, status=status, content=content) is None:
        return None
    release(ledger, account, wamid, options)
    return ledger.by_id[message_id]


def release(ledger: Ledger, account: Account, wamid: str, options: Options) -> None:
    """Apply what was held until this message was known."""
    for held in ledger.held.pop((account.phone_number_id, wamid), ()):
        for item in meta.parse(held.body):
            if item.place.pointer != held.pointer:
                continue
            if isinstance(item, StatusUpdate):
                item = replace(item, who=None)  # noqa: PLW2901 - nobody has looked up its addresses; the row has them
            result = apply_item(ledger, item, account, options, "")
            ledger.new_reports.append((held.inbound_id, report_of(item, result)))
            if result.outcome != Outcome.HELD:
                ledger.settle_held(held.inbound_id, held.pointer)


def report_of(item: Item, result: ItemResult) -> ItemReport:
    """What became of an item, as its POST lists it."""
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
        wamid="" if result.outcome == Outcome.ERASED else wamid,  # Meta spells the phone number in it
        phone_number_id=item.place.phone_number_id,
        outcome=result.outcome,
        reason=result.reason,
        message_id=result.message_id,
    )
