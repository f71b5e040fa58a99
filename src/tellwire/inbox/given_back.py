"""PURE. What a status of Meta's gives back to who sent its message: the sender's own `biz_opaque_callback_data`, in
whose place our id went to Meta.

Source: docs/reference/graph-api.md, "Sending".
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping

import msgspec

from tellwire.inbox.statuses import our_id
from tellwire.meta.raw_json.replace import replaced
from tellwire.meta.webhooks.items import Item, StatusUpdate
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger


def add_keys(keys: Keys, items: Iterable[Item]) -> None:
    """Add the keys of the messages that statuses name by our id."""
    for item in items:
        if isinstance(item, StatusUpdate) and (own := our_id(item)):
            keys.own.add((item.place.phone_number_id, own))


def within(text: bytes, ledger: Ledger, items: Mapping[str, Item]) -> bytes:
    """Return a text of Meta's in which statuses of messages that were sent with a value of the caller's own have that
    value; every byte outside of these values stays.

    Args:
        items: by the pointers of where they stand in the text.
    """
    changes = {
        f"{pointer}/biz_opaque_callback_data": value for pointer, item in items.items() if (value := _own(ledger, item))
    }
    return replaced(text.removeprefix(BOM_UTF8), changes) if changes else text


def _own(ledger: Ledger, item: Item) -> bytes:
    message = ledger.by_id.get(our_id(item)) if isinstance(item, StatusUpdate) else None
    account = message and ledger.account(item.place.phone_number_id)
    if message is None or account is None or message.account_id != account.id or not message.callback_data:
        return b""
    return msgspec.json.encode(message.callback_data)
