"""PURE. The fields of a webhook endpoint as they are given: their bounds, and what they mean.

Source: docs/reference/rest-api.md, "Webhook endpoints".
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from tellwire.model.deliveries import Batching, Buffer, Json, Ordering

Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2048,
        description="Where to POST: https, and http only to addresses that DELIVERY_ALLOW_CIDRS admits.",
        examples=["https://example.com/webhooks/whatsapp"],
    ),
]
Pull = Annotated[
    bool,
    Meta(
        description="Without a `url`: deliveries wait until they are asked for, as `tellwire listen` does. Its `state` "
        "is `pulled`."
    ),
]
SecretOf = Annotated[
    str,
    Meta(
        pattern=r"^[0-9A-Fa-f-]{36}$",
        description="With `pull`: the id of a webhook endpoint of the organization whose secrets sign here too, as "
        "they are now; they are not shown.",
    ),
]
Events = Annotated[
    tuple[Annotated[str, Meta(max_length=64)], ...],
    Meta(max_length=64, description="Names of events to send; none means all but operational ones."),
]
Accounts = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...],
    Meta(
        max_length=1000,
        description="phone_number_ids (also ones not known yet) or account ids to send events of; none means all.",
    ),
]
Fields = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...],
    Meta(max_length=64, description="Format `meta`: names of Meta's webhook fields to send; none means all."),
]
BatchingOption = Annotated[
    Batching,
    Meta(
        description="Format `meta`: one `item` (a message, a status, an echo, or the value of another field) a POST, "
        "or a POST of Meta's `as_received`."
    ),
]
Echoes = Annotated[bool, Meta(description="Format `meta`: what we sent, too, as `smb_message_echoes`.")]
Standby = Annotated[bool, Meta(description="Also copies of threads that another responder owns.")]
JsonOption = Annotated[
    Json,
    Meta(description="`canonical`: the bytes that JavaScript's `JSON.stringify` of the parsed body gives."),
]
BufferOption = Annotated[
    Buffer, Meta(description="Collects quick messages of one conversation into one POST. Formats `row` and `meta`.")
]
VerifyToken = Annotated[
    str,
    Meta(
        max_length=4096,
        pattern=r"^(?![\s\S]*[\u0000-\u001f\u007f])",
        description="Format `meta`: what `hub.verify_token` says when the receiver is asked; shown once, when it is "
        "made.",
    ),
]
Order = Annotated[
    Ordering,
    Meta(
        description="`keyed`: in order per contact or group, a failing one lets later events pass after a while; "
        "`strict`: in order, whatever it costs; `none`: any order."
    ),
]
Updates = Annotated[
    Literal["full", "changed"],
    Meta(
        description="Formats `row` and `cloudevents`: updates carry the full row, or its id, the changed columns and "
        "`updated_at`."
    ),
]
ConversationIds = Annotated[
    Literal["conversation", "message"],
    Meta(description="Format `chat`: whether `conversation_id` is stable per conversation or per message."),
]
External = Annotated[bool, Meta(description="Also events of messages that were not sent through Tellwire.")]
History = Annotated[bool, Meta(description="Also events of the past that Meta sends when a phone app is connected.")]
HubSignature = Annotated[bool, Meta(description="Add `X-Hub-Signature-256`, as Meta signs.")]
WappcloudSignature = Annotated[
    Literal["prefixed", "bare"], Meta(description="Format `chat`: its signature with `sha256=` before it, or without.")
]
RotatingSignature = Annotated[
    Literal["old", "new"],
    Meta(
        description="`X-Hub-Signature-256` and `X-Wappcloud-Signature` hold one value each. While a secret is being "
        "rotated it is made with the `old` one until the overlap ends, or with the `new` one at once."
    ),
]
Token = Annotated[str, Meta(max_length=4096, description="Sent as `Authorization: Bearer <token>`; never shown again.")]
Headers = Annotated[
    dict[str, str], Meta(max_length=50, description="Headers of your own; their values are never shown again.")
]
OwnSecret = Annotated[
    str,
    Meta(
        min_length=16,
        max_length=128,
        description="A signing secret of your own: 16 to 128 printable characters, or `whsec_` and base64 of 24 to 64 "
        "bytes.",
    ),
]
Timeout = Annotated[float, Meta(ge=0.1, le=60, description="Deadline of an attempt, from DNS to the answer's end.")]
HeadOfLine = Annotated[
    float,
    Meta(ge=0, le=86_400, description="`keyed`: how long a failing event holds up the later ones of its contact."),
]
InFlight = Annotated[int, Meta(ge=1, le=1000, description="Deliveries under way at once.")]
Rate = Annotated[float, Meta(gt=0, le=100_000, description="Deliveries per second.")]
Schedule = Annotated[
    tuple[Annotated[float, Meta(gt=0, le=2_592_000)], ...],
    Meta(max_length=50, description="Seconds between attempts; there is one attempt more than there are gaps."),
]
Description = Annotated[
    str, Meta(max_length=1024, pattern=r"^(?![\s\S]*\u0000)", description="A note of your own; no NUL characters.")
]
