"""Contacts, conversations and messages, with the statuses, sends and media of messages."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from tellwire.model.units import Micros, Seconds

Direction = Literal["incoming", "outgoing"]

NEVER: Seconds = 1 << 62
"""The end of what has not ended."""


class Contact(Struct, frozen=True, kw_only=True):
    """A person; every phone number and user id known for them is an alias that points here.

    `phone` and `user_id` are those in use now, "" for none; `phone_at` and `user_id_at` say since when, by Meta's time,
    where Meta told of a change. `own_name`: the name was set here and stays, whatever name Meta gives. `marketing`: as
    `conversations/marketing.py` says.
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
    marketing: str = ""
    phone_at: Seconds = 0
    user_id_at: Seconds = 0


class Alias(Struct, frozen=True):
    """An address of a contact, by Meta's times in seconds: first seen at `since`, the contact's `until` then."""

    contact_id: str
    since: Seconds = 0
    until: Seconds = NEVER

    @property
    def ended(self) -> bool:
        """Whether the contact has left the address."""
        return self.until != NEVER


class Conversation(Struct, frozen=True, kw_only=True):
    """A conversation of an account with a contact or a group. `party` is the contact's id or Meta's group id; at most
    one conversation is open per (account_id, party)."""

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

    @property
    def is_group(self) -> bool:
        """Whether it is the conversation of a group: then the group's id is both its party and its address."""
        return self.party == self.contact_address


class StatusError(Struct, frozen=True):
    """An error in the shape that both formats show."""

    code: int
    title: str
    message: str
    details: str


class StatusFact(Struct, frozen=True, kw_only=True):
    """One status of a message, unique by (account, wamid, name, participant); `at` in Meta's seconds."""

    name: str
    at: Seconds
    participant: str = ""
    pricing: bytes = b""
    errors: bytes = b""


class Message(Struct, frozen=True, kw_only=True):
    """A row of `messages`.

    `media` is the column of that name, a JSON array, b"" for none; `payments` what `conversations.payments` keeps;
    `source` the id of the source that brought the first copy, "" for Meta and for us; `callback_data` the sender's own
    `biz_opaque_callback_data`, "" for none.
    `status` maps each status name to the time in micros at which it was first reached. `pricing_rank` and `errors_rank`
    are the (rank, -seconds) of the status that `pricing` and `errors` came with, which merging compares.
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
    kind: Literal["message", "external", "placeholder", "edit"] = "message"
    history: bool = False
    payments: bytes = b""
    source: str = ""
    callback_data: str = ""
    created_at: Micros = 0
    updated_at: Micros = 0


SendState = Literal["scheduled", "queued", "sending", "accepted", "unknown", "failed", "cancelled"]


OPEN_SENDS = frozenset({"scheduled", "queued", "sending"})


class Send(Struct, frozen=True, kw_only=True):
    """An outgoing message of ours on its way to Meta, beside its row in `messages`.

    Source: docs/reference/rest-api.md, "Sending".

    `recipient` is the address that Meta is given: a number with `+`, a business-scoped user id, or a group's id. Sends
    of one `order_key` go one after the other, by (`order_at`, `message_id`). `due_at`: the earliest time to send it.
    `epoch`: that of the lease under which it was last claimed. `cause`: why the last attempt did not succeed, in plain
    words. `unchecked`: the customer service window is not checked; `despite_stop`: nor whether they want marketing.
    `tries_until`: after then it is not tried again; 0 before the first attempt. `expires_at`: of a message whose caller
    waits for Meta's answer: it is sent by then or cancelled, and tried once; 0 for all others. `author`: who asked
    for it, as the audit names them, in the request `request_id`; "" for us.
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
    despite_stop: bool = False
    resent_as: str = ""
    author: str = ""
    request_id: str = ""
    expires_at: Micros = 0
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def open(self) -> bool:
        """Whether the message is still to be sent, or is being sent."""
        return self.state in OPEN_SENDS


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
