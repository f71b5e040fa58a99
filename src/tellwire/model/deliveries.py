"""Events and their deliveries to webhook endpoints."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct, field

from tellwire.model.messaging import (
    StatusError,
)
from tellwire.model.units import Micros, Seconds

Entity = Literal["messages", "conversations", "operational", "meta"]


Action = Literal["insert", "update", "item", "post"]
"""`item` and `post` are of the entity `meta`: one thing that Meta sent in its envelope, or a whole POST of Meta's."""


Ordering = Literal["keyed", "none", "strict"]


Batching = Literal["item", "as_received"]


Json = Literal["verbatim", "canonical"]


EndpointState = Literal["active", "paused", "disabled", "pulled"]
"""Deliveries go out to an `active` endpoint only. For the others they wait parked: until it is resumed, or, for a
`pulled` one, which has no URL, until they are asked for (docs/reference/delivery.md, "Pulled deliveries")."""


Lane = Literal["live", "late", "replay"]
"""`live` deliveries go in order, `late` ones were overtaken and are due by themselves, `replay` ones were asked for."""


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    RETRYING = "retrying"
    PARKED = "parked"
    FAILED = "failed"
    CANCELLED = "cancelled"


IN_LINE = frozenset({DeliveryState.PENDING, DeliveryState.DELIVERING, DeliveryState.RETRYING, DeliveryState.PARKED})
"""The states of a delivery that is still to be made."""


class Participants(Struct, frozen=True, omit_defaults=True):
    """The two sides of a message, as the `chat` format shows them: digits without `+`, else the id as Meta gave it."""

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


class Part(Struct, frozen=True, gc=False, array_like=True):
    """One change of a POST of Meta's: where it stands, its webhook field, and whose it is (each "" for none)."""

    pointer: str
    field: str
    account_id: str
    phone_number_id: str


class Snapshot(Struct, frozen=True, omit_defaults=True):
    """Everything a format may show of an event, fixed when it happened (docs/reference/formats.md, "Snapshots").

    `row` is the whole row as JSON in the `row` format's key order; `changed` the changed columns of an update;
    `sent_at` Meta's time of the message; `phone_number_id` that of the account, "" for none.

    Of an event of the entity `meta`, `row` is what Meta sent, in its envelope; `posted` the same as bytes, where `row`
    cannot hold it; `parts` the changes of a POST.
    """

    row: Raw
    changed: tuple[str, ...] = ()
    participants: Participants | None = None
    sent_at: Seconds = 0
    status: StatusItem | None = None
    phone_number_id: str = ""
    posted: bytes = b""
    parts: tuple[Part, ...] = ()


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened and that subscribers are told. `name` is the `tellwire-event` header; `trace`, only while
    tracing is on, the id of the POST that caused it. `contact_id`: the person that an event without a conversation is
    about, so that it is found when they are erased."""

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
    contact_id: str = ""
    direction: Literal["incoming", "outgoing", ""] = ""
    history: bool = False
    external: bool = False
    trace: str = ""
    created_at: Micros = 0


class Secret(Struct, frozen=True):
    """A live signing secret as shown to the customer; one that was rotated out has `rotated_at` and `expires_at`."""

    value: str
    expires_at: Micros | None = None
    rotated_at: Micros | None = None


class Buffer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How quick messages of one conversation are collected into one POST (docs/reference/formats.md, "Buffering").

    `seconds`: how long the first of them waits at most. `most`: how many are sent together. `types`: of messages, none
    means all.
    """

    seconds: Annotated[float, Meta(ge=0.5, le=60)]
    most: Annotated[int, Meta(ge=1, le=100)]
    types: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=64)] = ()


class SentAs(Struct, frozen=True):
    """How a delivery is known to its receiver: its `webhook-id`, and its `tellwire-sequence`, 0 for none."""

    webhook_id: str
    sequence: int = 0


class Endpoint(Struct, frozen=True, kw_only=True):
    """A subscriber's webhook endpoint. Secrets, tokens and header values are plain here and encrypted at rest."""

    id: str
    organization_id: str
    url: str
    format: str
    events: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    batching: Batching = "item"
    echoes: bool = False
    standby: bool = True
    json: Json = "verbatim"
    buffer: Buffer | None = None
    ordering: Ordering = "keyed"
    updates: Literal["full", "changed"] = "full"
    conversation_ids: Literal["conversation", "message"] = "conversation"
    external: bool = True
    history: bool = False
    secrets: tuple[Secret, ...] = ()
    token: str = ""
    verify_token: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hub_signature: bool = False
    wappcloud_signature: Literal["prefixed", "bare"] = "prefixed"
    rotating_signature: Literal["old", "new"] = "old"
    timeout_seconds: float | None = None
    head_of_line_seconds: float | None = None
    max_in_flight: int | None = None
    rate_limit_per_second: float | None = None
    retry_schedule: tuple[float, ...] | None = None
    description: str = ""
    state: EndpointState = "active"
    disabled_reason: str = ""
    created_at: Micros = 0
    updated_at: Micros = 0


class Delivery(Struct, frozen=True, kw_only=True):
    """One event for one endpoint. `sequence` is 0 when it has none, because a recovery created it later.

    `attempts` counts every attempt (the `tellwire-attempt` header); `counted_attempts` those that count
    against the retry schedule. `behind`: ids of deliveries of another order key that go out before this one, separated
    by spaces: two contacts have become one. `together`: the `webhook-id` of the group that it is sent with, "" for none
    (docs/reference/formats.md, "Buffering"). `failure`: why its last attempt failed, as a status or the kind of failure
    ("503", "timeout"), "" when it did not.
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
    counted_attempts: int = 0
    out_of_order: bool = False
    lane: Lane = "live"
    replay: int = 0
    webhook_id: str = ""
    due_at: Micros = 0
    first_attempt_at: Micros = 0
    delivered_at: Micros = 0
    created_at: Micros = 0
    updated_at: Micros = 0
    behind: str = ""
    together: str = ""
    failure: str = ""

    @property
    def in_line(self) -> bool:
        """Whether it still has its turn in the order of its key."""
        return self.lane == "live" and self.state in IN_LINE


class ReplayEdit(Struct, frozen=True, kw_only=True):
    """How a replay differs from the original: by its `url` ("": the endpoint's own), or by its `body`."""

    url: str = ""
    body: bytes | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Which parts of the delivery differ: "url", "body"."""
        return (*(("url",) if self.url else ()), *(("body",) if self.body is not None else ()))


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt of a delivery, never changed once recorded. Durations are in milliseconds; secrets in headers are
    masked. `edited`: what differed from the original delivery (`ReplayEdit.parts`)."""

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


class Work(Struct, frozen=True):
    """A delivery with the event that it carries; `more`: those that are sent with it in one request, in order."""

    delivery: Delivery
    event: Event
    more: tuple[Work, ...] = ()

    @property
    def members(self) -> tuple[Work, ...]:
        """All that is sent in one request, this one first."""
        return (self, *self.more)
