"""PURE. What a customer paid, or tried to, for what a message of ours asked: kept beside its row, and told.

Source: docs/reference/formats.md, "Payments".
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Message
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.routing import order_key
from tellwire.model.row_json import instant
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Seconds

TOLD = "message.payment"
MOST = 100
"""How many payments a row keeps: every new one writes the row anew."""


class Payment(Struct, frozen=True):
    """What Meta told of a payment: its `status`, when (in Meta's seconds), and Meta's object `payment`, verbatim."""

    status: str
    at: Seconds
    payment: Raw


class _Transaction(Struct):
    id: object = None


class _About(Struct):
    reference_id: object = None
    transaction: _Transaction | None = None


_decode = msgspec.json.Decoder(tuple[Payment, ...]).decode
_encode = msgspec.json.Encoder().encode
_about = msgspec.json.Decoder(_About)


def of(message: Message) -> tuple[Payment, ...]:
    """Return the payments of a message in the order in which they happened."""
    return _decode(message.payments) if message.payments else ()


def is_known(message: Message, payment: Payment) -> bool:
    """Return whether a message has the payment already: each status of each transaction counts once."""
    return _key(payment) in map(_key, of(message))


def added(message: Message, more: Iterable[Payment]) -> Message:
    """Return the message with more payments; those that it has stay as they are. Their order of arrival changes
    nothing."""
    found = {_key(each): each for each in (*more, *of(message))}
    ordered = sorted(found.values(), key=lambda each: (each.at, _key(each)))
    return replace(message, payments=_encode(ordered[:MOST])) if ordered else message


def tell(ledger: Ledger, message: Message, account: Account, payment: Payment) -> None:
    """Emit the operational event of a payment, in the order of its contact's events."""
    data = {
        "message_id": message.id,
        "conversation_id": message.conversation_id,
        "account_id": account.id,
        "phone_number_id": account.phone_number_id,
        "wa_id": message.wamid,
        "status": payment.status,
        "at": instant(payment.at * MICROS),
        "payment": payment.payment,
    }
    event = OperationalEvent(
        name=TOLD,
        data=_encode(data),
        account_id=account.id,
        phone_number_id=account.phone_number_id,
        conversation_id=message.conversation_id,
        message_id=message.id,
        order_key=order_key(account.id, ledger.conversations[message.conversation_id].party),
    )
    ledger.emit(event.event(ledger.new_id(), account.organization_id, ledger.now))


def _key(payment: Payment) -> tuple[str, str, str]:
    try:
        about = _about.decode(payment.payment)
    except msgspec.ValidationError:  # not as Meta documents it: then it is known by all that it holds
        return payment.status, bytes(payment.payment).decode(errors="replace"), ""
    return payment.status, str(about.reference_id), str(about.transaction.id if about.transaction else "")
