"""What one transaction knows and what it changes: the store fills it, a pure decision edits it, the store writes it.

Every change of messages, contacts and conversations goes this way, so that "load by key, decide, write" exists once
and a decision never sees a database.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field
from msgspec.structs import replace

from tellwire.model import (
    Account,
    Contact,
    Conversation,
    Delivery,
    DeliveryState,
    Event,
    Inbound,
    ItemReport,
    Message,
    Micros,
    Outcome,
    Registry,
    StatusFact,
    Work,
)
from tellwire.routing import Routes, partition


class Keys(Struct, kw_only=True):
    """What a decision needs to have loaded; the first part of each pair is the phone_number_id."""

    messages: set[tuple[str, str]] = field(default_factory=set)
    """(phone_number_id, wamid)"""
    statuses: set[tuple[str, str]] = field(default_factory=set)
    """(phone_number_id, wamid): whose status facts are needed"""
    addresses: set[tuple[str, str]] = field(default_factory=set)
    """(phone_number_id, alias): with the number's variants"""
    parties: set[tuple[str, str]] = field(default_factory=set)
    """(phone_number_id, group id)"""
    latest: bool = False
    """also the latest conversation of each party, open or not"""
    conversations: set[tuple[str, str]] = field(default_factory=set)
    """(organization id, conversation id)"""

    def add(self, other: Keys) -> None:
        """Take in what another decision needs."""
        self.messages |= other.messages
        self.statuses |= other.statuses
        self.addresses |= other.addresses
        self.parties |= other.parties
        self.conversations |= other.conversations
        self.latest |= other.latest


class HeldItem(Struct, frozen=True):
    """An item that waits for a message (or an account), with the POST that it came in."""

    inbound_id: str
    pointer: str
    outcome: Outcome
    body: bytes
    speaks_for: tuple[str, ...]


class Ledger:
    """The working set of one transaction."""

    def __init__(self, *, now: Micros, new_id: Callable[[], str], registry: Registry, routes: Routes) -> None:
        self.now = now
        self.new_id = new_id
        self.registry = registry
        self.routes = routes
        self.trace = ""  # of the POST whose items are being applied, while tracing is on
        # known: filled by the store, kept current by the setters below
        self.messages: dict[tuple[str, str], Message] = {}
        self.facts: dict[tuple[str, str], dict[tuple[str, str], StatusFact]] = {}
        self.aliases: dict[tuple[str, str], str] = {}
        self.contacts: dict[str, Contact] = {}
        self.conversations: dict[str, Conversation] = {}
        self.open: dict[tuple[str, str], Conversation] = {}
        self.latest: dict[tuple[str, str], Conversation] = {}
        self.held: dict[tuple[str, str], list[HeldItem]] = {}
        self.erased: dict[tuple[str, str], Micros] = {}  # see `tombstones`
        # changes: read by the store
        self.new_accounts: dict[str, Account] = {}
        self.changed_messages: dict[str, Message] = {}
        self.changed_contacts: dict[str, Contact] = {}
        self.changed_aliases: dict[tuple[str, str], str] = {}
        self.changed_conversations: dict[str, Conversation] = {}
        self.merged_contacts: list[tuple[str, str]] = []
        self.new_facts: dict[tuple[str, str, str, str], StatusFact] = {}
        self.new_inbound: list[Inbound] = []
        self.new_bodies: dict[str, bytes] = {}
        self.new_marks: set[tuple[str, str]] = set()
        self.new_held: list[tuple[str, str, str, str, Outcome]] = []
        self.settled_held: list[tuple[str, str]] = []
        self.new_reports: list[tuple[str, ItemReport]] = []
        self.work: list[Work] = []
        self.events: list[Event] = []

    def account(self, phone_number_id: str) -> Account | None:
        """The account of a phone number, one made in this transaction included."""
        return self.registry.accounts.get(phone_number_id) or self.new_accounts.get(phone_number_id)

    def put_account(self, account: Account) -> None:
        self.new_accounts[account.phone_number_id] = account
        self.routes = self.routes.joined_by(account)

    def put_message(self, message: Message) -> None:
        if message.wamid:
            self.messages[message.account_id, message.wamid] = message
        self.changed_messages[message.id] = message

    def put_contact(self, contact: Contact) -> None:
        self.contacts[contact.id] = contact
        self.changed_contacts[contact.id] = contact

    def put_alias(self, organization_id: str, value: str, contact_id: str) -> None:
        self.aliases[organization_id, value] = contact_id
        self.changed_aliases[organization_id, value] = contact_id

    def put_conversation(self, conversation: Conversation) -> None:
        self.conversations[conversation.id] = conversation
        self.changed_conversations[conversation.id] = conversation
        place = (conversation.account_id, conversation.party)
        if conversation.status == "open":
            self.open[place] = conversation
        elif (known := self.open.get(place)) is not None and known.id == conversation.id:
            del self.open[place]
        if (latest := self.latest.get(place)) is None or latest.id <= conversation.id:
            self.latest[place] = conversation

    def touch(self, conversation: Conversation) -> Conversation:
        """A row joins it now. Nothing is written: the store reads the time of the last row off that row's id."""
        touched = replace(conversation, last_row_at=self.now)
        self.conversations[touched.id] = touched
        self.open[touched.account_id, touched.party] = touched
        if touched.id in self.changed_conversations:
            self.changed_conversations[touched.id] = touched
        return touched

    def put_fact(self, account_id: str, wamid: str, fact: StatusFact) -> None:
        self.facts.setdefault((account_id, wamid), {})[fact.name, fact.participant] = fact
        self.new_facts[account_id, wamid, fact.name, fact.participant] = fact

    def put_held(self, phone_number_id: str, wamid: str, held: HeldItem) -> None:
        """Keep an item that waits; with a wamid a message of this very transaction may be what it waits for."""
        self.new_held.append((held.inbound_id, held.pointer, phone_number_id, wamid, held.outcome))
        if wamid:
            self.held.setdefault((phone_number_id, wamid), []).append(held)

    def settle_held(self, inbound_id: str, pointer: str) -> None:
        """An item waits no more, if it did."""
        self.settled_held.append((inbound_id, pointer))
        if self.new_held:
            self.new_held = [held for held in self.new_held if held[:2] != (inbound_id, pointer)]

    def emit(self, event: Event) -> None:
        """Record an event and one delivery for every endpoint that it goes to."""
        if self.trace:
            event = replace(event, trace=self.trace)
        self.events.append(event)
        for endpoint in self.routes.of(event):
            identifier = self.new_id()
            self.work.append(
                Work(
                    Delivery(
                        id=identifier,
                        organization_id=event.organization_id,
                        event_id=event.id,
                        endpoint_id=endpoint.id,
                        order_key=event.order_key,
                        partition=partition(endpoint.id, event.order_key),
                        state=DeliveryState.PENDING if endpoint.state == "active" else DeliveryState.PARKED,
                        webhook_id=f"msg_{identifier.replace('-', '')}",
                        due_at=self.now,
                        created_at=self.now,
                        updated_at=self.now,
                    ),
                    event,
                )
            )
