"""The records that everything else speaks of: frozen, no behaviour, no I/O.

Times (`*_at`, and `Micros` in general) are integers: microseconds since 1970-01-01 UTC of our own clock.
Meta's times are integers of Unix seconds. Ids are UUIDv7 texts unless said otherwise.
JSON that we pass on verbatim is `bytes`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Raw, Struct, field

Micros = int
Seconds = int

Direction = Literal["incoming", "outgoing"]
Entity = Literal["messages", "conversations", "operational"]
Action = Literal["insert", "update"]
Ordering = Literal["keyed", "none", "strict"]
Lane = Literal["live", "late", "replay"]
"""`live` deliveries go in order, `late` ones were overtaken and wait their own time, `replay` ones were asked for."""

DEFAULT_ORGANIZATION = "00000000-0000-7000-8000-000000000001"
"""The organization that exists from the first start."""


class Outcome(StrEnum):
    """What became of one item of a POST, from best to worst: a POST's own outcome is its worst item's."""

    APPLIED = "applied"
    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    ERASED = "erased"
    HELD = "held"
    UNROUTED = "unrouted"
    NOT_UNDERSTOOD = "not_understood"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    RETRYING = "retrying"
    PARKED = "parked"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Organization(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    created_at: Micros


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key as stored: never the key itself, only its SHA-256 (hex) and its first characters."""

    id: str
    organization_id: str
    name: str
    prefix: str
    hash: str
    scopes: tuple[str, ...]
    created_at: Micros
    expires_at: Micros | None = None
    last_used_at: Micros | None = None
    revoked_at: Micros | None = None


class Account(Struct, frozen=True, kw_only=True):
    """A WhatsApp business phone number. Secrets are plain here and encrypted at rest.

    `agent_id`: the AI agent that answers its customers, "" for none. `send_rate`: messages a second at the most.
    `sending_paused`: why nothing is sent for now, "" when it is. `about`: what Meta told of the number and its business
    account (quality, limits, reviews), a JSON object.
    """

    id: str
    organization_id: str
    phone_number_id: str
    display_phone_number: str = ""
    name: str = ""
    waba_id: str = ""
    access_token: str = ""
    app_secret: str = ""
    unknown_statuses: Literal["create", "hold"] = "create"
    on_revoke: Literal["keep", "erase"] = "keep"
    agent_id: str = ""
    send_rate: int = 80
    sending_paused: str = ""
    about: str = "{}"
    created_at: Micros = 0
    updated_at: Micros = 0


class Contact(Struct, frozen=True, kw_only=True):
    """A person; every phone number and user id known for them is an alias that points here.

    `own_name`: the name was set here and stays, whatever name Meta gives.
    """

    id: str
    organization_id: str
    name: str = ""
    username: str = ""
    phone: str = ""
    user_id: str = ""
    merged_into: str = ""
    created_at: Micros = 0
    updated_at: Micros = 0
    own_name: bool = False


class Conversation(Struct, frozen=True, kw_only=True):
    """`party` is the contact's id or Meta's group id; at most one open row per (account_id, party)."""

    id: str
    organization_id: str
    account_id: str
    party: str
    organization_address: str
    contact_address: str
    status: Literal["open", "closed"] = "open"
    service: str = "whatsapp"
    created_at: Micros = 0
    updated_at: Micros = 0
    last_row_at: Micros = 0


class StatusError(Struct, frozen=True):
    """An error in the shape that both formats show."""

    code: int | str
    title: str
    message: str
    details: str


class StatusFact(Struct, frozen=True, kw_only=True):
    """One status item: unique by (account, wamid, name, participant); `at` in Meta's seconds."""

    name: str
    at: Seconds
    participant: str = ""
    pricing: bytes = b""
    errors: bytes = b""


class Message(Struct, frozen=True, kw_only=True):
    """A row of `messages`.

    `media` is the column of that name, a JSON array, b"" for none.
    `status` maps each status name to the micros it was first reached; `facts` (what the merge needs beside the
    map) holds for pricing and for errors the (rank, -seconds) that they came with.
    """

    id: str
    organization_id: str
    account_id: str
    conversation_id: str
    contact_id: str = ""
    direction: Direction = "incoming"
    agent_id: str = ""
    content: bytes = b"{}"
    status: dict[str, Micros] = field(default_factory=dict)
    errors: bytes = b""
    errors_rank: tuple[int, int] = (-1, 0)
    pricing: bytes = b""
    pricing_rank: tuple[int, int] = (-1, 0)
    media: bytes = b""
    wamid: str = ""
    from_: str = ""
    to: str = ""
    timestamp: Seconds = 0
    content_at: Seconds = 0
    kind: Literal["message", "external", "placeholder", "edit"] = "message"
    history: bool = False
    created_at: Micros = 0
    updated_at: Micros = 0


SendState = Literal["scheduled", "queued", "sending", "accepted", "unknown", "failed", "cancelled"]
OPEN_SENDS = frozenset({"scheduled", "queued", "sending"})


class Send(Struct, frozen=True, kw_only=True):
    """An outgoing message of ours on its way to Meta, beside its row in `messages`.

    Source: docs/reference/rest-api.md, "Sending".

    `recipient` is what Meta is told: a number with `+`, a business-scoped user id, or a group's id. Sends of one
    `order_key` go one after the other, by (`order_at`, `message_id`). `due_at`: not before then. `epoch`: of the lease
    under which it was last claimed. `cause`: what the last try came to, in plain words. `unchecked`: the customer
    service window is not looked at. `tries_until`: when trying ends, 0 before the first try.
    """

    message_id: str
    organization_id: str
    account_id: str
    conversation_id: str
    order_key: str
    partition: int
    recipient: str
    state: SendState = "queued"
    due_at: Micros = 0
    order_at: Micros = 0
    scheduled_at: Micros = 0
    attempts: int = 0
    started_at: Micros = 0
    tries_until: Micros = 0
    epoch: int = 0
    cause: str = ""
    unchecked: bool = False
    resent_as: str = ""
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def open(self) -> bool:
        """Whether it is still to be sent, or just being sent."""
        return self.state in OPEN_SENDS


class Participants(Struct, frozen=True, omit_defaults=True):
    """Who a message is between, as the `chat` format shows it: digits without `+`, else the id as Meta gave it."""

    contact: str
    business: str
    name: str = ""


class StatusItem(Struct, frozen=True, omit_defaults=True):
    """The one status that caused an event; `errors` in the shape of both formats, `at` in Meta's seconds."""

    name: str
    at: Seconds
    errors: tuple[StatusError, ...] = ()
    billable: bool = False
    category: str = ""
    type: str = ""


class Snapshot(Struct, frozen=True, omit_defaults=True):
    """Everything a format may show of an event, fixed when it happened (docs/reference/formats.md, "Snapshots").

    `row` is the whole row as JSON in the `row` format's key order; `changed` the changed columns of an update;
    `sent_at` Meta's time of the message.
    """

    row: Raw
    changed: tuple[str, ...] = ()
    participants: Participants | None = None
    sent_at: Seconds = 0
    status: StatusItem | None = None


class Event(Struct, frozen=True, kw_only=True):
    """Something that subscribers are told. `name` is the `tellwire-event` header; `trace`, only while tracing is on,
    the id of the POST that caused it."""

    id: str
    organization_id: str
    account_id: str
    entity: Entity
    action: Action
    name: str
    order_key: str
    snapshot: Snapshot
    conversation_id: str = ""
    message_id: str = ""
    direction: Literal["incoming", "outgoing", ""] = ""
    history: bool = False
    external: bool = False
    trace: str = ""
    created_at: Micros = 0


class Secret(Struct, frozen=True):
    """A live signing secret as shown to the customer; `expires_at` is set on one that was rotated out."""

    value: str
    expires_at: Micros | None = None


class Endpoint(Struct, frozen=True, kw_only=True):
    """A subscriber. Secrets, token and header values are plain here and encrypted at rest."""

    id: str
    organization_id: str
    url: str
    format: str
    events: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    ordering: Ordering = "keyed"
    updates: Literal["full", "changed"] = "full"
    conversation_ids: Literal["conversation", "message"] = "conversation"
    external: bool = True
    history: bool = False
    secrets: tuple[Secret, ...] = ()
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hub_signature: bool = False
    wappcloud_signature: Literal["prefixed", "bare"] = "prefixed"
    timeout_seconds: float | None = None
    head_of_line_seconds: float | None = None
    max_in_flight: int | None = None
    rate_limit_per_second: float | None = None
    retry_schedule: tuple[float, ...] | None = None
    description: str = ""
    state: Literal["active", "paused", "disabled"] = "active"
    disabled_reason: str = ""
    created_at: Micros = 0
    updated_at: Micros = 0


class Delivery(Struct, frozen=True, kw_only=True):
    """One event for one endpoint. `sequence` 0 means: not given (created by a later recover).

    `attempts` counts every try (the `tellwire-attempt` header); `burned` those that used up the schedule.
    """

    id: str
    organization_id: str
    event_id: str
    endpoint_id: str
    order_key: str
    sequence: int = 0
    partition: int = 0
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    burned: int = 0
    out_of_order: bool = False
    lane: Lane = "live"
    replay: int = 0
    webhook_id: str = ""
    due_at: Micros = 0
    first_attempt_at: Micros = 0
    delivered_at: Micros = 0
    created_at: Micros = 0
    updated_at: Micros = 0


class Edit(Struct, frozen=True, kw_only=True):
    """What is other about a replay: it goes to another `url` ("": the endpoint's own), or with another `body`."""

    url: str = ""
    body: bytes | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """What of the delivery is other."""
        return (*(("url",) if self.url else ()), *(("body",) if self.body is not None else ()))


class Attempt(Struct, frozen=True, kw_only=True):
    """One try of a delivery, append-only. Durations in milliseconds; headers with secrets masked. `edited`: what was
    other than usual (`Edit.parts`)."""

    delivery_id: str
    organization_id: str
    number: int
    started_at: Micros
    outcome: Literal["delivered", "failed"]
    cause: str
    url: str = ""
    request_headers: tuple[tuple[str, str], ...] = ()
    response_status: int = 0
    response_headers: tuple[tuple[str, str], ...] = ()
    response_body: bytes = b""
    durations: dict[str, float] = field(default_factory=dict)
    edited: tuple[str, ...] = ()


class ItemReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one item of a POST, as `inbound` lists it."""

    pointer: str
    field: str = ""
    kind: str = ""
    wamid: str = ""
    phone_number_id: str = ""
    outcome: Outcome = Outcome.APPLIED
    reason: str = ""
    message_id: str = ""


class Inbound(Struct, frozen=True, kw_only=True):
    """A POST from Meta as received. `speaks_for` says what its secret may change (see `Scope`)."""

    id: str
    received_at: Micros
    body: bytes
    outcome: Outcome
    items: tuple[ItemReport, ...] = ()
    organization_id: str = ""
    speaks_for: tuple[str, ...] = ("*",)


class Work(Struct, frozen=True):
    """A delivery with the event that it carries."""

    delivery: Delivery
    event: Event


class Agent(Struct, frozen=True, kw_only=True):
    """Who writes for the business: a person, or a model (`kind` ai). `api_key` and the values of tools' headers are
    plain here and encrypted at rest; `options` are its settings that hold no secret, a JSON object."""

    id: str
    organization_id: str
    name: str
    kind: Literal["human", "ai"] = "human"
    state: Literal["active", "paused"] = "active"
    options: bytes = b"{}"
    secrets: dict[str, str] = field(default_factory=dict)
    debounce: Micros = 3_000_000
    created_at: Micros = 0
    updated_at: Micros = 0


class Media(Struct, frozen=True, kw_only=True):
    """A file of a message, or one that was uploaded to be sent.

    `meta_id`: Meta's id of it; `sha256`: hex, as Meta told it, "" when it did not. `state`: `waiting` for its bytes,
    `stored` here, `failed` (see `cause`), `expired`: Meta keeps it no longer, or `erased`.
    """

    id: str
    organization_id: str
    account_id: str
    message_id: str = ""
    meta_id: str = ""
    meta_id_at: Micros = 0
    mime_type: str = ""
    sha256: str = ""
    filename: str = ""
    size: int = 0
    state: Literal["waiting", "stored", "failed", "expired", "erased"] = "waiting"
    cause: str = ""
    attempts: int = 0
    due_at: Micros = 0
    created_at: Micros = 0
    updated_at: Micros = 0


class AgentTurn(Struct, frozen=True, kw_only=True):
    """A conversation in which an agent is to answer, at `due_at`, what came up to `message_id`; one a conversation.

    `created_at`: since when it waits without an answer.
    """

    organization_id: str
    conversation_id: str
    account_id: str
    agent_id: str
    message_id: str
    due_at: Micros
    attempts: int = 0
    created_at: Micros = 0


RunOutcome = Literal["replied", "handed_over", "superseded", "retrying", "failed", "declined"]


class AgentRun(Struct, frozen=True, kw_only=True):
    """What became of a turn: a model was asked, or there was a reason not to.

    `message_id`: the reply's, "" for none. `outcome`: `superseded` by a newer message of the customer, `retrying` after
    a failure, `declined` without asking; `detail` says why.
    """

    id: str
    organization_id: str
    agent_id: str
    conversation_id: str
    message_id: str = ""
    outcome: RunOutcome
    detail: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    started_at: Micros = 0
    finished_at: Micros = 0


class Registry(Struct, frozen=True, kw_only=True):
    """Accounts, agents and endpoints as of the last commit that changed them; shared, never edited."""

    version: int
    accounts: dict[str, Account]
    """by phone_number_id"""
    endpoints: dict[str, Endpoint]
    """by id"""
    agents: dict[str, Agent] = field(default_factory=dict)
    """by id"""
    media_key: bytes = b""
    """what links to media are signed with"""
    erased_key: bytes = b""
    """what the marks of erased people are hashed with; none while there are no marks"""
    erasing: frozenset[str] = frozenset()
    """the ids of the contacts that are being erased just now"""
