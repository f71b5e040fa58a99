"""PURE. Apply the items that waited for a message once that message is known: it arrived, or Meta accepted ours."""

from __future__ import annotations

from msgspec.structs import replace

from tellwire.conversations import outgoing
from tellwire.conversations.changes import Options, seconds
from tellwire.conversations.recipients import Named
from tellwire.inbox import waiting
from tellwire.inbox.items import apply_item
from tellwire.meta.webhooks.items import StatusUpdate
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
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
) -> list[Named]:
    """Record that Meta accepted a message of ours and apply what was held for it; see `outgoing.accept`, `release`."""
    if outgoing.accept(ledger, account, message_id, wamid, status=status, content=content) is None:
        return []
    return release(ledger, account, wamid, options)


def release(ledger: Ledger, account: Account, wamid: str, options: Options) -> list[Named]:
    """Apply the items that were held until the message `wamid` was known.

    Returns: whom statuses named by addresses that were not loaded; that is still to be applied (`recipients.name`).
    """
    place = (account.phone_number_id, wamid)
    named: list[Named] = []
    if place not in ledger.held:
        return named
    for held, item in waiting.items_for(ledger, *place):
        known = item
        if isinstance(item, StatusUpdate) and item.who is not None:
            number = item.place.phone_number_id
            if not all((number, address) in ledger.asked for address in item.who.aliases):
                if not item.group_id:
                    named.append(Named(item.who, seconds(item.timestamp, ledger.now)))
                known = replace(item, who=None)
        waiting.settle(ledger, held, item, apply_item(ledger, known, account, options, ""))
    for held in ledger.held.pop(place):
        if not waiting.is_read(ledger, held):
            ledger.put_off(*place, held)
    return named
