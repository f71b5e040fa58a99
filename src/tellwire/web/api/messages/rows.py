"""Show messages as the API does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from tellwire.conversations import payments
from tellwire.model.messaging import Message, SendState, StatusFact
from tellwire.model.row_json import instant, message_row
from tellwire.model.units import MICROS
from tellwire.stores.queries.messages import MessageEntry
from tellwire.web.api.shapes import Id, MessageRow, NextCursor, When
from tellwire.web.responses import joined

Kind = Literal["message", "external", "placeholder", "edit"]
Cause = Annotated[str, Meta(description="What the last try came to, in plain words; empty when nothing went wrong.")]
NextAttempt = Annotated[
    When, Meta(description="When it is tried next, at the earliest; only after a try, while queued.")
]
SourceId = Annotated[str, Meta(description="The source that brought it first; left out for Meta and for what we sent.")]
ResentAs = Annotated[str, Meta(description="The message that was sent in its place.")]


class PaymentRead(Struct, kw_only=True):
    """What Meta told of a payment for the message, with Meta's object `payment`."""

    status: str
    at: When
    payment: Any


Payments = Annotated[
    list[PaymentRead], Meta(description="What the customer paid, or tried to, as each was told by `message.payment`.")
]


class _More(Struct, kw_only=True):
    account_id: Id
    contact_id: str | None
    kind: Kind
    source: SourceId | UnsetType = UNSET
    payments: Payments | UnsetType = UNSET
    send_state: SendState | UnsetType = UNSET
    scheduled_at: When | UnsetType = UNSET
    attempts: int | UnsetType = UNSET
    cause: Cause | UnsetType = UNSET
    next_attempt_at: NextAttempt | UnsetType = UNSET
    resent_as: ResentAs | UnsetType = UNSET


class StatusRead(Struct, kw_only=True):
    """A status that Meta named, with its pricing and errors as Meta gave them; `participant` in groups."""

    name: str
    at: When
    participant: str | None
    pricing: Any
    errors: Any


class MessageRead(MessageRow, kw_only=True):
    """A message; `external` ones were not sent through Tellwire and are known by their statuses only. `send_state` and
    what follows are those of messages that were asked for here."""

    account_id: Id
    contact_id: str | None
    kind: Kind
    source: SourceId | UnsetType = UNSET
    payments: Payments | UnsetType = UNSET
    send_state: SendState | UnsetType = UNSET
    scheduled_at: When | UnsetType = UNSET
    attempts: int | UnsetType = UNSET
    cause: Cause | UnsetType = UNSET
    next_attempt_at: NextAttempt | UnsetType = UNSET
    resent_as: ResentAs | UnsetType = UNSET


class MessageWithStatuses(MessageRead, kw_only=True):
    """A message with every status that Meta named for it."""

    statuses: list[StatusRead]


class MessageList(Struct, kw_only=True):
    """A page of messages, newest first."""

    data: list[MessageRead]
    next_cursor: NextCursor


def message_shown(entry: MessageEntry) -> bytes:
    """Return a message as lists show it, as JSON."""
    message, send = entry.message, entry.send
    more = _More(account_id=message.account_id, contact_id=message.contact_id or None, kind=message.kind)
    if message.source:
        more.source = message.source
    if message.payments:
        more.payments = payments_shown(message)
    if send is not None:
        more.send_state = send.state
        more.scheduled_at = instant(send.scheduled_at) if send.scheduled_at else UNSET
        more.attempts = send.attempts
        more.cause = send.cause
        more.next_attempt_at = instant(send.due_at) if send.state == "queued" and send.attempts else UNSET
        more.resent_as = send.resent_as or UNSET
    return joined(message_row(message, entry.contact), more)


def payments_shown(message: Message) -> list[PaymentRead]:
    """Return the payments of a message as the API shows them."""
    return [
        PaymentRead(status=each.status, at=instant(each.at * MICROS), payment=each.payment)
        for each in payments.of(message)
    ]


def statuses_shown(facts: Iterable[StatusFact]) -> list[StatusRead]:
    """Return the statuses of a message as the API shows them."""
    return [
        StatusRead(
            name=fact.name,
            at=instant(fact.at * MICROS),
            participant=fact.participant or None,
            pricing=Raw(fact.pricing) if fact.pricing else None,
            errors=Raw(fact.errors) if fact.errors else None,
        )
        for fact in facts
    ]
