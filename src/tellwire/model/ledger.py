"""The ledger, what one transaction knows and changes: the store fills it, a decision edits it, the store writes it.

Every change of messages, contacts and conversations goes this way, so that "load by key, decide, write" exists once
and a decision never sees a database.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from tellwire.model.agents import AgentRun, AgentTurn
from tellwire.model.deliveries import Delivery, DeliveryState, Event, Work
from tellwire.model.inbound import Inbound, ItemReport, Outcome
from tellwire.model.messaging import Alias, Contact, Conversation, Media, Message, Send, StatusFact
from tellwire.model.registry import Registry
from tellwire.model.routing import Routes, partition
from tellwire.model.sources import SourceItem
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros, Seconds

MOST_HELD_BYTES = 1024 * 1024
"""Of POSTs with items that wait so many bytes are read in one transaction; the other items are applied soon after."""


def within_the_bytes(sizes: Iterable[tuple[str, int]]) -> list[str]:
    """Return the ids of the POSTs that one transaction reads, of (id, bytes of its body)."""
    found: list[str] = []
    left = MOST_HELD_BYTES
    for name, size in sizes:
        if size <= left:
            found.append(name)
            left -= size
    return found


class HeldItem(Struct, frozen=True):
    """An item that waits for a message (or an account), with the POST that it came in.

    `retry_at`: when it is applied even if what it waits for has not come; 0 for never. `body`: b"" when it was not
    loaded, because the transaction has no room for it.
    """

    inbound_id: str
    pointer: str
    outcome: Outcome
    body: bytes
    retry_at: Micros = 0


class HeldRow(NamedTuple):
    """The row of an item that waits, in the order of the table's columns; `wamid`: of the message it waits for."""

    inbound_id: str
    pointer: str
    phone_number_id: str
    wamid: str
    outcome: Outcome
    retry_at: Micros


class FactKey(NamedTuple):
    """What a status fact is unique by."""

    account_id: str
    wamid: str
    name: str
    participant: str


class KeptAnswer(Struct, frozen=True):
    """The answer that was given to the request with this hash."""

    request_hash: str
    status: int
    body: bytes


class Handover(Struct, frozen=True):
    """The pause of a conversation's agent: the `reason`, and `by` whom: a person, a rule, or the agent itself."""

    organization_id: str
    conversation_id: str
    reason: str
    by: str


class Left(NamedTuple):
    """A contact has left, at a time of Meta's, the addresses of one kind (user ids or numbers) that were first seen
    until `seen`, but for those in `kept`; of those that the ledger knows, this is in the ledger already."""

    organization_id: str
    contact_id: str
    user_ids: bool
    at: Seconds
    seen: Seconds
    kept: frozenset[str]


class Merged(NamedTuple):
    """A younger contact has become one with an older one."""

    organization_id: str
    survivor: str
    younger: str


class TemplateChange(Struct, frozen=True, kw_only=True):
    """A change of a template that Meta has announced: `values` are columns of its row and their new values."""

    organization_id: str
    waba_id: str
    meta_id: str
    name: str
    language: str
    values: dict[str, str]


class Ledger:
    """The working set of one transaction: the rows that a decision needs, and what it changes."""

    source = ""  # the id of the source whose POST is being applied, "" for Meta
    trace = ""  # of the POST whose items are being applied, while tracing is on
    read_bytes = 0  # of the bodies of POSTs with items that waited
    told_bytes = 0
    """Bytes of the rows that `events` hold."""
    kept_bytes = 0
    """Bytes of the bodies that `new_inbound` holds."""

    def __init__(self, *, now: Micros, new_id: Callable[[], str], registry: Registry, routes: Routes) -> None:
        self.now = now
        self.new_id = new_id
        self.registry = registry
        self.routes = routes
        # known: filled by the store, kept current by the setters below
        self.messages: dict[tuple[str, str], Message] = {}
        self.by_id: dict[str, Message] = {}
        self.sends: dict[str, Send] = {}
        self.unsent: set[str] = set()  # conversations with something still to be sent
        self.in_flight: dict[str, set[str]] = {}  # account id → whom (`phone_numbers.alias`) something is being sent to
        self.answered: dict[tuple[str, str], Micros] = {}  # (organization, Idempotency-Key) → when
        self.scheduled: dict[str, int] = {}  # organization id → how many messages it has scheduled, when asked for
        self.facts: dict[tuple[str, str], dict[tuple[str, str], StatusFact]] = {}
        self.aliases: dict[tuple[str, str], tuple[Alias, ...]] = {}  # (organization, address) → by their ends
        self.asked: set[tuple[str, str]] = set()  # (phone_number_id, address): of these every alias is known
        self.contacts: dict[str, Contact] = {}
        self.conversations: dict[str, Conversation] = {}
        self.open: dict[tuple[str, str], Conversation] = {}
        self.latest: dict[tuple[str, str], Conversation] = {}
        self.turns: dict[str, AgentTurn] = {}  # by conversation, while there are agents; as `handovers`
        self.handovers: dict[str, Handover] = {}
        self.held: dict[tuple[str, str], list[HeldItem]] = {}
        self.read_posts: dict[str, dict[str, Any]] = {}  # items of POSTs with held ones, by inbound id and pointer
        self.erased: dict[tuple[str, str], Micros] = {}  # see `privacy/tombstones.py`
        # changes: read by the store
        self.new_accounts: dict[str, Account] = {}
        self.changed_accounts: dict[str, Account] = {}
        self.changed_sends: dict[str, Send] = {}
        self.changed_media: dict[str, Media] = {}
        self.new_turns: dict[str, AgentTurn] = {}  # by conversation
        self.ended_turns: dict[str, str] = {}  # conversation → organization
        self.new_handovers: dict[str, Handover] = {}  # by conversation
        self.ended_handovers: dict[str, str] = {}  # conversation → organization
        self.new_runs: list[AgentRun] = []
        self.new_calls: dict[tuple[str, str, str], Seconds] = {}  # (organization, account, party) → when
        self.template_changes: list[TemplateChange] = []
        self.new_answers: dict[tuple[str, str], KeptAnswer] = {}  # (organization, Idempotency-Key) → the answer
        self.changed_messages: dict[str, Message] = {}
        self.changed_contacts: dict[str, Contact] = {}
        self.changed_aliases: dict[tuple[str, str, str], Alias | None] = {}  # (organization, address, contact)
        self.changed_conversations: dict[str, Conversation] = {}
        self.moves: list[Left | Merged] = []  # in the order in which they were decided
        self.new_facts: dict[FactKey, StatusFact] = {}
        self.new_inbound: list[Inbound] = []
        self.new_bodies: dict[str, bytes] = {}
        self.new_marks: set[tuple[str, str]] = set()
        self.new_source_items: dict[tuple[str, str, str], SourceItem] = {}  # (organization, key, source)
        self.new_held: dict[tuple[str, str], HeldRow] = {}
        self.settled_held: list[tuple[str, str]] = []
        self.new_reports: dict[str, dict[str, ItemReport]] = {}  # by the POST's id and the item's pointer
        self.work: list[Work] = []
        self.events: list[Event] = []

    @property
    def changes_registry(self) -> bool:
        """Whether accounts were made or changed."""
        return bool(self.new_accounts or self.changed_accounts)

    @property
    def has_due_work(self) -> bool:
        """Whether the transaction leaves work that is due soon: a send, a download, an agent's turn."""
        return bool(
            self.new_turns
            or any(send.state in ("queued", "scheduled") for send in self.changed_sends.values())
            or any(media.state == "waiting" for media in self.changed_media.values())
        )

    def account(self, phone_number_id: str) -> Account | None:
        """Return the account of a phone number, as this transaction has made or changed it."""
        return (
            self.changed_accounts.get(phone_number_id)
            or self.registry.accounts.get(phone_number_id)
            or self.new_accounts.get(phone_number_id)
        )

    def put_account(self, account: Account) -> None:
        self.new_accounts[account.phone_number_id] = account
        self.routes = self.routes.with_account(account)

    def change_account(self, account: Account) -> None:
        """Change an account that exists; its secrets stay as they are stored."""
        self.changed_accounts[account.phone_number_id] = account

    def load_message(self, message: Message) -> None:
        """Add a message as it is stored."""
        self.by_id[message.id] = message
        if message.wamid:
            self.messages[message.account_id, message.wamid] = message

    def put_message(self, message: Message) -> None:
        self.load_message(message)
        self.changed_messages[message.id] = message

    def put_send(self, send: Send) -> None:
        self.sends[send.message_id] = send
        self.changed_sends[send.message_id] = send
        if send.state == "scheduled" and send.organization_id in self.scheduled:
            self.scheduled[send.organization_id] += 1
        if send.open:
            self.unsent.add(send.conversation_id)

    def put_turn(self, turn: AgentTurn) -> None:
        self.turns[turn.conversation_id] = self.new_turns[turn.conversation_id] = turn
        self.ended_turns.pop(turn.conversation_id, None)

    def end_turn(self, turn: AgentTurn) -> None:
        self.turns.pop(turn.conversation_id, None)
        self.new_turns.pop(turn.conversation_id, None)
        self.ended_turns[turn.conversation_id] = turn.organization_id

    def put_handover(self, handover: Handover) -> None:
        place = handover.conversation_id
        self.handovers[place] = self.new_handovers[place] = handover
        self.ended_handovers.pop(place, None)

    def end_handover(self, handover: Handover) -> None:
        place = handover.conversation_id
        self.handovers.pop(place, None)
        self.new_handovers.pop(place, None)
        self.ended_handovers[place] = handover.organization_id

    def put_contact(self, contact: Contact) -> None:
        self.contacts[contact.id] = contact
        self.changed_contacts[contact.id] = contact

    def know_alias(self, organization_id: str, value: str, alias: Alias) -> None:
        """Add an alias as it is stored."""
        known = self.aliases.get((organization_id, value))
        if not known:
            self.aliases[organization_id, value] = (alias,)
            return
        others = (each for each in known if each.contact_id != alias.contact_id)
        self.aliases[organization_id, value] = tuple(sorted((*others, alias), key=lambda each: each.until))

    def put_alias(self, organization_id: str, value: str, alias: Alias) -> None:
        self.know_alias(organization_id, value, alias)
        self.changed_aliases[organization_id, value, alias.contact_id] = alias

    def drop_alias(self, organization_id: str, value: str, contact_id: str) -> None:
        place = (organization_id, value, contact_id)
        self.aliases[place[:2]] = tuple(each for each in self.aliases[place[:2]] if each.contact_id != contact_id)
        self.changed_aliases[place] = None

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
        """Return the conversation with now as the time of its last row, and keep it so in the ledger.

        Nothing is written: the store reads the time of a new row off its id.
        """
        touched = replace(conversation, last_row_at=self.now)
        self.conversations[touched.id] = touched
        self.open[touched.account_id, touched.party] = touched
        if touched.id in self.changed_conversations:
            self.changed_conversations[touched.id] = touched
        return touched

    def put_fact(self, account_id: str, wamid: str, fact: StatusFact) -> None:
        self.facts.setdefault((account_id, wamid), {})[fact.name, fact.participant] = fact
        self.new_facts[FactKey(account_id, wamid, fact.name, fact.participant)] = fact

    def put_held(self, phone_number_id: str, wamid: str, held: HeldItem) -> None:
        """Keep an item that waits; with a wamid a message of this very transaction may be what it waits for."""
        row = HeldRow(held.inbound_id, held.pointer, phone_number_id, wamid, held.outcome, held.retry_at)
        self.new_held[row.inbound_id, row.pointer] = row
        if wamid:
            self.held.setdefault((phone_number_id, wamid), []).append(held)

    def put_off(self, phone_number_id: str, wamid: str, held: HeldItem) -> None:
        """Leave a held item, whose message is there, to the work that applies what has waited for long enough."""
        row = HeldRow(held.inbound_id, held.pointer, phone_number_id, wamid, held.outcome, self.now)
        self.new_held[row.inbound_id, row.pointer] = row

    def forget_held(self, inbound_id: str, pointers: Container[str]) -> None:
        """Forget held items of a POST that is being applied just now, so that nothing else releases them."""
        for place, items in self.held.items():
            if any(held.inbound_id == inbound_id for held in items):
                kept = [held for held in items if held.inbound_id != inbound_id or held.pointer not in pointers]
                self.held[place] = kept

    def settle_held(self, inbound_id: str, pointer: str) -> None:
        """Note that an item no longer waits, if it did."""
        self.settled_held.append((inbound_id, pointer))
        self.new_held.pop((inbound_id, pointer), None)

    def keep(self, inbound: Inbound) -> None:
        """Keep a new POST."""
        self.new_inbound.append(inbound)
        self.kept_bytes += len(inbound.body)

    def put_report(self, inbound_id: str, report: ItemReport) -> None:
        """Report an item of a POST that is stored already; of several reports of one item the last counts."""
        self.new_reports.setdefault(inbound_id, {})[report.pointer] = report

    def emit(self, event: Event) -> None:
        """Record an event and one delivery for every endpoint that it goes to."""
        if self.trace:
            event = replace(event, trace=self.trace)
        self.events.append(event)
        self.told_bytes += len(memoryview(event.snapshot.row))
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
