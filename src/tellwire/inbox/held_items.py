"""PURE. Apply the items that waited for a message once that message is known: it arrived, or Meta accepted ours."""

from __future__ import annotations

from msgspec.structs import replace

from tellwire.conversations import outgoing
from tellwire.conversations.changes import Options
from tellwire.inbox import waiting
from tellwire.inbox.items import apply_item
from tellwire.meta.webhooks.items import StatusUpdate
from tellwire.model.ledger import Keys, Ledger
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
    place = (account.phone_number_id, wamid)
    if place not in ledger.held:
        return
    for held, item in waiting.items_for(ledger, *place):
        # The addresses of a status were not loaded; the row has them.
        known = replace(item, who=None) if isinstance(item, StatusUpdate) else item
        waiting.settle(ledger, held, item, apply_item(ledger, known, account, options, ""))
    for held in ledger.held.pop(place):
        if not waiting.is_read(ledger, held):
            ledger.put_off(*place, held)
