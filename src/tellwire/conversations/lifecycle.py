"""PURE. Open, close and change conversations over a ledger (docs/reference/formats.md, "Conversations")."""

from __future__ import annotations

from msgspec import Raw
from msgspec.structs import replace

from tellwire.model.deliveries import Event, Snapshot
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Conversation
from tellwire.model.routing import order_key
from tellwire.model.row_json import conversation_row
from tellwire.model.tenancy import Account
from tellwire.model.units import MINUTE, Micros


def open_with(
    ledger: Ledger, account: Account, party: str, address: str, *, window: Micros, history: bool = False
) -> Conversation:
    """Return the conversation that a new row joins, opening one when there is none.

    `window`: micros after which an idle conversation closes, 0 for never. A history row joins the open or latest
    conversation; if there is none, it creates one that is closed from the start.
    """
    known = going_on(ledger, account, party, window=window, history=history)
    return known or opened(ledger, account, party, address, history=history)


def going_on(
    ledger: Ledger, account: Account, party: str, *, window: Micros, history: bool = False
) -> Conversation | None:
    """Return the conversation that a new row joins, as `open_with`; None when one is to be opened."""
    key = (account.id, party)
    known = ledger.open.get(key)
    if history:
        return known or ledger.latest.get(key)
    if known is None:
        return None
    if known.id in ledger.unsent or not _run_out(known, ledger.now, window):
        return ledger.touch(known)
    close(ledger, known)
    return None


def opened(ledger: Ledger, account: Account, party: str, address: str, *, history: bool = False) -> Conversation:
    """Open a conversation; one of `history` is closed from the start."""
    conversation = Conversation(
        id=ledger.new_id(),
        organization_id=account.organization_id,
        account_id=account.id,
        party=party,
        organization_address=account.phone_number_id,
        contact_address=address,
        status="closed" if history else "open",
        created_at=ledger.now,
        updated_at=ledger.now,
        last_row_at=ledger.now,
    )
    ledger.put_conversation(conversation)
    _emit(ledger, conversation, insert=True, history=history)
    return conversation


def _run_out(conversation: Conversation, now: Micros, window: Micros) -> bool:
    return window > 0 and now - conversation.last_row_at >= window


def close_if_idle(ledger: Ledger, conversation: Conversation, *, window: Micros) -> bool:
    """Close an open conversation whose last row is older than `window` micros and that has nothing left to be sent.
    Return whether it was closed."""
    if (
        conversation.id in ledger.unsent
        or conversation.status != "open"
        or not _run_out(conversation, ledger.now, window)
    ):
        return False
    close(ledger, conversation)
    return True


def goes_on(ledger: Ledger, conversation: Conversation) -> None:
    """Count now as the time of a conversation's last row: a message goes out that was recorded long ago, because it was
    scheduled or had to wait. Soon after its recording that changes nothing worth a write."""
    if conversation.status == "open" and ledger.now - conversation.last_row_at > MINUTE:
        ledger.put_conversation(replace(conversation, last_row_at=ledger.now))


def close(ledger: Ledger, conversation: Conversation) -> Conversation:
    """Close a conversation and emit the event."""
    return _change(ledger, replace(conversation, status="closed"), "status")


def reopen(ledger: Ledger, conversation: Conversation) -> Conversation:
    """Open a conversation again and emit the event; the caller has checked that no other one is open."""
    return _change(ledger, replace(conversation, status="open", last_row_at=ledger.now), "status")


def readdress(ledger: Ledger, conversation: Conversation, address: str) -> Conversation:
    """Change the contact's address in a conversation to `address` and emit the event."""
    return _change(ledger, replace(conversation, contact_address=address), "contact_address")


def _change(ledger: Ledger, conversation: Conversation, *changed: str) -> Conversation:
    conversation = replace(conversation, updated_at=max(ledger.now, conversation.updated_at + 1))
    ledger.put_conversation(conversation)
    _emit(ledger, conversation, *changed)
    return conversation


def _emit(
    ledger: Ledger, conversation: Conversation, *changed: str, insert: bool = False, history: bool = False
) -> None:
    action = "insert" if insert else "update"
    ledger.emit(
        Event(
            id=ledger.new_id(),
            organization_id=conversation.organization_id,
            account_id=conversation.account_id,
            entity="conversations",
            action="insert" if insert else "update",
            name=f"conversations.{action}",
            order_key=order_key(conversation.account_id, conversation.party),
            snapshot=Snapshot(
                row=Raw(conversation_row(conversation)),
                changed=changed,
                phone_number_id=conversation.organization_address,
            ),
            conversation_id=conversation.id,
            history=history,
            created_at=ledger.now,
        )
    )
