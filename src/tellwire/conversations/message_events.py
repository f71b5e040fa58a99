"""PURE. Emit events about messages, with everything that a format may show, fixed when the event happens.

Source: docs/reference/formats.md, "Snapshots".
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from tellwire.meta.phone_numbers import alias
from tellwire.model.deliveries import Action, Event, Participants, Snapshot, StatusItem
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Contact, Conversation, Message, StatusError, StatusFact
from tellwire.model.routing import order_key
from tellwire.model.row_json import message_row
from tellwire.model.tenancy import Account


class _Pricing(Struct):
    billable: object = False
    category: object = ""
    type: object = ""


class Subject(Struct, frozen=True, gc=False):
    """The row that an event is about, with what it belongs to; `contact` is None in a group."""

    message: Message
    account: Account
    conversation: Conversation
    contact: Contact | None


_pricing = msgspec.json.Decoder(_Pricing)


def status_item(fact: StatusFact, errors: tuple[StatusError, ...]) -> StatusItem:
    """Return one status as an event holds it, with the pricing that Meta gave with it."""
    pricing = _Pricing()
    if fact.pricing:
        try:
            pricing = _pricing.decode(fact.pricing)
        except msgspec.ValidationError:
            pricing = _Pricing()
    return StatusItem(
        name=fact.name,
        at=fact.at,
        errors=errors,
        billable=pricing.billable is True,
        category=pricing.category if isinstance(pricing.category, str) else "",
        type=pricing.type if isinstance(pricing.type, str) else "",
    )


def emit(
    ledger: Ledger,
    subject: Subject,
    *,
    action: Action,
    participant: str,
    name: str | None = None,
    changed: tuple[str, ...] = (),
    status: StatusItem | None = None,
    business: str = "",
) -> None:
    """Emit `messages.<action>` for a row as it now stands.

    `participant` is the contact's address as the `chat` format shows it, `name` that person's when it is not the
    contact, `business` the display number if Meta just gave one.
    """
    message, account, contact = subject.message, subject.account, subject.contact
    ledger.emit(
        Event(
            id=ledger.new_id(),
            organization_id=message.organization_id,
            account_id=message.account_id,
            entity="messages",
            action=action,
            name=f"messages.{action}",
            order_key=order_key(message.account_id, subject.conversation.party),
            snapshot=Snapshot(
                row=Raw(message_row(message, contact)),
                changed=changed,
                participants=Participants(
                    contact=alias(participant),
                    business=_digits_only(business or account.display_phone_number) or account.phone_number_id,
                    name=name if name is not None else contact.name if contact else "",
                ),
                sent_at=message.timestamp,
                status=status,
                phone_number_id=account.phone_number_id,
            ),
            conversation_id=message.conversation_id,
            message_id=message.id,
            direction=message.direction,
            history=message.history,
            external=message.kind == "external",
            created_at=ledger.now,
        )
    )


def _digits_only(text: str) -> str:
    return "".join(c for c in text if "0" <= c <= "9")
