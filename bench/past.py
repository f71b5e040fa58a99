"""PURE. Make an invented past: the rows that a database has after many messages, as records of the product.

These are the rows that ingest and delivery write for text messages, one in each POST: contact, alias and conversation
of each person, and for each message the raw POST, the row, the event, the delivery and, once delivered, the attempt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Raw, Struct

from bench import webhooks
from bench.protocol import Batch, Fill
from tellwire import meta
from tellwire.delivery.attempt import USER_AGENT
from tellwire.ids import IdMaker
from tellwire.meta.webhooks.items import MessageItem
from tellwire.model.deliveries import Attempt, Delivery, DeliveryState, Endpoint, Event, Participants, Secret, Snapshot
from tellwire.model.inbound import Inbound, ItemReport, Outcome
from tellwire.model.messaging import NEVER, Contact, Conversation, Message
from tellwire.model.routing import order_key, partition
from tellwire.model.row_json import message_row
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, Account
from tellwire.model.units import Micros

_SECOND = 1_000_000
_ANSWER = b"ok"
_FAILED_TRIES = 6

Row = Sequence[Any]


class MessageRecords(Struct, frozen=True):
    """All records of one message."""

    inbound: Inbound
    message: Message
    event: Event
    delivery: Delivery
    attempt: Attempt | None


class _Stream(Struct, frozen=True):
    """What the messages of a batch have in common; `sample` is such a POST as the product parses it."""

    batch: Batch
    account: Account
    endpoint: Endpoint
    sample: MessageItem


class Past:
    """Makes records in the order in which they would have been written, the last of them at `now` (micros)."""

    def __init__(self, plan: Fill, *, now: Micros) -> None:
        self._plan = plan
        self._now = now
        self._ids = IdMaker()
        self._begin = now - int(plan.hours * 3600 * _SECOND)
        self.total = sum(batch.messages for batch in plan.batches)
        self._step = (now - self._begin) // max(1, self.total + 1)
        self._done = 0
        self.accounts = [self._account(index) for index in range(plan.accounts)]
        self.endpoints, self.first_of_each = self._endpoints()
        self.contacts = [self._contact(who) for who in range(plan.contacts)]
        self.conversations: dict[tuple[int, int], Conversation] = {}
        """(index of the account, index of the contact) → the open conversation"""
        self.sequences: dict[tuple[str, str], int] = {}
        for batch in plan.batches:
            account = self._account_of(batch)
            for who in range(min(plan.contacts, batch.messages)):
                if (account, who) not in self.conversations:
                    self.conversations[account, who] = self._conversation(account, who)

    def messages(self) -> Iterator[MessageRecords]:
        """Give the records of all messages, oldest first."""
        for batch in self._plan.batches:
            yield from self._batch(batch)

    def _account_of(self, batch: Batch) -> int:
        at = 0
        for entry in self._plan.endpoints:
            if batch.endpoint < at + entry.count:
                return (entry.first_account + batch.endpoint - at) % self._plan.accounts
            at += entry.count
        raise ValueError(f"there is no endpoint {batch.endpoint}")

    def _account(self, index: int) -> Account:
        return Account(
            id=self._ids.make(self._begin),
            organization_id=DEFAULT_ORGANIZATION,
            phone_number_id=webhooks.account_of(0, 1, index),
            created_at=self._begin,
            updated_at=self._begin,
        )

    def _endpoints(self) -> tuple[list[Endpoint], list[str]]:
        made: list[Endpoint] = []
        firsts = []
        for entry in self._plan.endpoints:
            firsts.append(len(made))
            made += [
                Endpoint(
                    id=self._ids.make(self._begin),
                    organization_id=DEFAULT_ORGANIZATION,
                    url=entry.url,
                    format="row",
                    events=("messages.insert",),
                    accounts=(webhooks.account_of(0, 1, entry.first_account + index),),
                    secrets=(Secret(self._plan.secret),),
                    state=entry.state,
                    created_at=self._begin,
                    updated_at=self._begin,
                )
                for index in range(entry.count)
            ]
        return made, [made[first].id for first in firsts]

    def _contact(self, who: int) -> Contact:
        return Contact(
            id=self._ids.make(self._begin),
            organization_id=DEFAULT_ORGANIZATION,
            name=webhooks.name_of(who),
            phone=webhooks.phone_of(who),
            created_at=self._begin,
            updated_at=self._begin,
        )

    def _conversation(self, account: int, who: int) -> Conversation:
        contact = self.contacts[who]
        return Conversation(
            id=self._ids.make(self._begin),
            organization_id=DEFAULT_ORGANIZATION,
            account_id=self.accounts[account].id,
            party=contact.id,
            organization_address=self.accounts[account].phone_number_id,
            contact_address=contact.phone,
            created_at=self._begin,
            updated_at=self._begin,
            last_row_at=self._begin,
        )

    def _batch(self, batch: Batch) -> Iterator[MessageRecords]:
        index = self._account_of(batch)
        account = self.accounts[index]
        [sample] = meta.parse(self._body(0, 0, account, self._begin))
        if not isinstance(sample, MessageItem):
            raise TypeError("the load's webhook is no message")
        stream = _Stream(batch, account, self.endpoints[batch.endpoint], sample)
        for at in range(batch.messages):
            who = at % self._plan.contacts
            yield self._records_of(stream, who, self.conversations[index, who])

    def _body(self, number: int, who: int, account: Account, at: Micros) -> bytes:
        return webhooks.post_of(
            number, who=who, account=account.phone_number_id, sent_at=at // _SECOND, pad=self._plan.pad
        )

    def _records_of(self, stream: _Stream, who: int, conversation: Conversation) -> MessageRecords:
        number = self._plan.first_message + self._done
        self._done += 1
        at = self._begin + self._done * self._step
        account, contact = stream.account, self.contacts[who]
        inbound_id, message_id = self._ids.make(at), self._ids.make(at)
        message = Message(
            id=message_id,
            organization_id=DEFAULT_ORGANIZATION,
            account_id=account.id,
            conversation_id=conversation.id,
            contact_id=contact.id,
            content=stream.sample.content,
            wamid=webhooks.wamid_of(number, who),
            from_=contact.phone,
            timestamp=at // _SECOND,
            created_at=at,
            updated_at=at,
        )
        inbound = Inbound(
            id=inbound_id,
            organization_id=DEFAULT_ORGANIZATION,
            received_at=at,
            body=self._body(number, who, account, at),
            outcome=Outcome.APPLIED,
            items=(_report(stream.sample, message, account),),
        )
        event = self._event(message, contact, account)
        delivery = self._delivery(stream.batch, event, stream.endpoint)
        attempt = _attempt(delivery, stream.endpoint, event) if stream.batch.state == "delivered" else None
        return MessageRecords(inbound, message, event, delivery, attempt)

    def _event(self, message: Message, contact: Contact, account: Account) -> Event:
        at = message.created_at
        return Event(
            id=self._ids.make(at),
            organization_id=DEFAULT_ORGANIZATION,
            account_id=account.id,
            entity="messages",
            action="insert",
            name="messages.insert",
            order_key=order_key(account.id, contact.id),
            snapshot=Snapshot(
                row=Raw(message_row(message, contact)),
                participants=Participants(contact.phone, account.phone_number_id, contact.name),
                sent_at=message.timestamp,
            ),
            conversation_id=message.conversation_id,
            message_id=message.id,
            direction="incoming",
            created_at=at,
        )

    def _delivery(self, batch: Batch, event: Event, endpoint: Endpoint) -> Delivery:
        place = (endpoint.id, event.order_key)
        sequence = self.sequences[place] = self.sequences.get(place, 0) + 1
        identifier, at = self._ids.make(event.created_at), event.created_at
        late, delivered = batch.state == "late", batch.state == "delivered"
        return Delivery(
            id=identifier,
            organization_id=event.organization_id,
            event_id=event.id,
            endpoint_id=endpoint.id,
            order_key=event.order_key,
            sequence=sequence,
            partition=partition(endpoint.id, event.order_key),
            state=_STATES[batch.state],
            attempts=_FAILED_TRIES if late else int(delivered),
            counted_attempts=_FAILED_TRIES if late else int(delivered),
            out_of_order=late,
            lane="late" if late else "live",
            webhook_id=f"msg_{identifier.replace('-', '')}",
            due_at=self._now if late else at,
            first_attempt_at=at if late or delivered else 0,
            delivered_at=at if delivered else 0,
            created_at=at,
            updated_at=at,
        )


_STATES = {
    "delivered": DeliveryState.DELIVERED,
    "waiting": DeliveryState.PENDING,
    "parked": DeliveryState.PARKED,
    "late": DeliveryState.RETRYING,
}


def _report(sample: MessageItem, message: Message, account: Account) -> ItemReport:
    return ItemReport(
        pointer=sample.place.pointer,
        field=sample.place.field,
        kind=sample.type,
        wamid=message.wamid,
        phone_number_id=account.phone_number_id,
        message_id=message.id,
    )


def _attempt(delivery: Delivery, endpoint: Endpoint, event: Event) -> Attempt:
    return Attempt(
        delivery_id=delivery.id,
        organization_id=delivery.organization_id,
        number=1,
        started_at=delivery.created_at,
        outcome="delivered",
        cause="",
        url=endpoint.url,
        request_headers=(
            ("content-type", "application/json"),
            ("user-agent", USER_AGENT),
            ("webhook-id", delivery.webhook_id),
            ("tellwire-event", event.name),
            ("tellwire-attempt", "1"),
            ("tellwire-message-id", event.message_id),
            ("tellwire-conversation-id", event.conversation_id),
            ("tellwire-sequence", str(delivery.sequence)),
            ("webhook-timestamp", str(delivery.created_at // _SECOND)),
            ("webhook-signature", "****"),
        ),
        response_status=200,
        response_headers=(("Content-Length", "2"),),
        response_body=_ANSWER,
        durations={"send": 0.1, "first_byte": 0.9, "body": 0.1, "total": 1.1},
    )


def alias_rows(contacts: Sequence[Contact]) -> Iterator[Row]:
    """Return (organization id, phone number, contact id, since, until) of each contact."""
    return ((contact.organization_id, contact.phone, contact.id, 0, NEVER) for contact in contacts)
