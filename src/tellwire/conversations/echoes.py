"""PURE. Tell endpoints of the format `meta` what was sent through us, as Meta tells what the phone app sends.

Source: docs/reference/formats.md, "What an endpoint takes".
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from tellwire.meta.phone_numbers import alias, is_user_id
from tellwire.meta.raw_json import verbatim
from tellwire.model.deliveries import Event, Part, Snapshot
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Message
from tellwire.model.routing import order_key
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Seconds

_FIELD = "smb_message_echoes"
_encode = msgspec.json.Encoder().encode


def tell(ledger: Ledger, message: Message, account: Account) -> None:
    """Emit the echo of a message that Meta has just accepted, where an endpoint of its organization wants echoes."""
    if message.organization_id not in ledger.registry.meta.echoes:
        return
    conversation = ledger.conversations.get(message.conversation_id)
    grouped = conversation is not None and conversation.is_group
    envelope = _envelope(message, account, ledger.now // MICROS, grouped=grouped)
    ledger.emit(
        Event(
            id=ledger.new_id(),
            organization_id=message.organization_id,
            account_id=account.id,
            entity="meta",
            action="item",
            name=f"meta.{_FIELD}",
            order_key=order_key(account.id, conversation.party if conversation else message.contact_id),
            snapshot=Snapshot(
                row=Raw(envelope),
                phone_number_id=account.phone_number_id,
                parts=(Part("/entry/0/changes/0", _FIELD, account.id, account.phone_number_id),),
            ),
            conversation_id=message.conversation_id,
            message_id=message.id,
            direction="outgoing",
            created_at=ledger.now,
        )
    )


def _envelope(message: Message, account: Account, now: Seconds, *, grouped: bool) -> bytes:
    number = alias(account.display_phone_number) or account.phone_number_id
    to = "to_user_id" if is_user_id(message.to) and not grouped else "to"
    echo: dict[str, Any] = {"from": number, to: message.to, "id": message.wamid, "timestamp": str(now)}
    content = verbatim.members(message.content) or {}
    echo |= {name: Raw(bytes(piece)) for name, piece in content.items() if name not in echo}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number, "phone_number_id": account.phone_number_id},
        "message_echoes": [echo],
    }
    entry = {"id": account.waba_id, "changes": [{"value": value, "field": _FIELD}]}
    return _encode({"object": "whatsapp_business_account", "entry": [entry]})
