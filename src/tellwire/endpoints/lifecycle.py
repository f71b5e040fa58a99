"""USE CASE. The life of a webhook endpoint: it is admitted, changed, given new secrets, paused, resumed and deleted.

Source: docs/reference/rest-api.md, "Webhook endpoints".

Everything but `admit` runs within one transaction over an `EndpointRepository`. What has to touch many deliveries does
so in strides: it is called again until it says that it is done, and may be cut off and begun anew at any point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from tellwire.endpoints.disabling import STRIDE
from tellwire.endpoints.ports import AuditWord, EndpointChecks, EndpointRepository
from tellwire.endpoints.validation import VERIFY_TOKEN, faults, own_options, secret_fault
from tellwire.errors import Forbidden, Invalid, NotFound
from tellwire.model import operational_events
from tellwire.model.deliveries import Batching, Buffer, Endpoint, Json, Ordering, Secret
from tellwire.model.units import Micros
from tellwire.ports.formats import Format
from tellwire.security.pasted import as_meant

MOST_SECRETS = 10
"""Live secrets that one endpoint keeps; the oldest go first."""

Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2048,
        description="Where to POST: https, and http only to addresses that DELIVERY_ALLOW_CIDRS admits.",
        examples=["https://example.com/webhooks/whatsapp"],
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


class EndpointDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook endpoint to create. What is left out or null takes the installation's default."""

    url: Url
    format: Annotated[str, Meta(description="The payload format.", examples=["row", "chat"])]
    events: Events = ()
    fields: Fields = ()
    accounts: Accounts = ()
    batching: BatchingOption = "item"
    echoes: Echoes = False
    standby: Standby = True
    json: JsonOption = "verbatim"
    buffer: BufferOption | None = None
    ordering: Order = "keyed"
    updates: Updates = "full"
    conversation_ids: ConversationIds = "conversation"
    external: External = True
    history: History = False
    secret: OwnSecret | None = None
    token: Token | None = None
    verify_token: VerifyToken | None = None
    headers: Headers = {}
    hub_signature: HubSignature = False
    wappcloud_signature: WappcloudSignature = "prefixed"
    rotating_signature: RotatingSignature = "old"
    timeout_seconds: Timeout | None = None
    head_of_line_seconds: HeadOfLine | None = None
    max_in_flight: InFlight | None = None
    rate_limit_per_second: Rate | None = None
    retry_schedule: Schedule | None = None
    description: Description = ""


class EndpointChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a webhook endpoint. What is left out stays; null takes the default again."""

    url: Url | UnsetType = UNSET
    events: Events | UnsetType | None = UNSET
    fields: Fields | UnsetType | None = UNSET
    accounts: Accounts | UnsetType | None = UNSET
    batching: BatchingOption | UnsetType | None = UNSET
    echoes: Echoes | UnsetType | None = UNSET
    standby: Standby | UnsetType | None = UNSET
    json: JsonOption | UnsetType | None = UNSET
    buffer: BufferOption | UnsetType | None = UNSET
    ordering: Ordering | UnsetType | None = UNSET
    updates: Updates | UnsetType | None = UNSET
    conversation_ids: ConversationIds | UnsetType | None = UNSET
    external: External | UnsetType | None = UNSET
    history: History | UnsetType | None = UNSET
    token: Token | UnsetType | None = UNSET
    verify_token: VerifyToken | UnsetType | None = UNSET
    headers: Headers | UnsetType | None = UNSET
    hub_signature: HubSignature | UnsetType | None = UNSET
    wappcloud_signature: WappcloudSignature | UnsetType | None = UNSET
    rotating_signature: RotatingSignature | UnsetType | None = UNSET
    timeout_seconds: Timeout | UnsetType | None = UNSET
    head_of_line_seconds: HeadOfLine | UnsetType | None = UNSET
    max_in_flight: InFlight | UnsetType | None = UNSET
    rate_limit_per_second: Rate | UnsetType | None = UNSET
    retry_schedule: Schedule | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET


_DEFAULTS = msgspec.structs.asdict(Endpoint(id="", organization_id="", url="", format=""))


def drafted(draft: EndpointDraft) -> Endpoint:
    """Return the endpoint that a draft describes, not yet anybody's and with only the secret that it brings."""
    fields = _with_token(msgspec.structs.asdict(draft))
    secret = fields.pop("secret")
    if secret is not None and (fault := secret_fault(secret)):
        raise Invalid("The secret cannot be used.", ("/secret", fault))
    secrets = (Secret(secret),) if secret is not None else ()
    return Endpoint(id="", organization_id="", secrets=secrets, **_without_none(fields))


def with_verify_token(endpoint: Endpoint, formats: Mapping[str, Format], made: str) -> Endpoint:
    """Return a new endpoint with the token that its receiver is asked with, where its format does so: `made`, unless it
    brings one."""
    form = formats.get(endpoint.format)
    if form is None or VERIFY_TOKEN not in form.OPTIONS or endpoint.verify_token:
        return endpoint
    return replace(endpoint, verify_token=made)


def changed(endpoint: Endpoint, change: EndpointChange) -> Endpoint:
    """Return the endpoint as a change wants it."""
    fields: dict[str, Any] = {k: v for k, v in msgspec.structs.asdict(change).items() if v is not UNSET}
    return replace(endpoint, **_without_none(_with_token(fields)))


def _with_token(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with the token as it is meant; one of which nothing is left stays, for `faults` to name."""
    token = fields.get("token")
    return fields | {"token": as_meant(token) or token} if token else fields


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _DEFAULTS[name] if value is None else value for name, value in fields.items()}


async def admit(gate: EndpointChecks, endpoint: Endpoint, *, before: Endpoint | None = None) -> None:
    """Admit an endpoint as it is to be: check its fields, where its URL leads, and its receiver's consent.

    Args:
        before: the endpoint as it was, None for a new one; what it had is not asked about again.

    Raises:
        Invalid: fields are wrong, deliveries may not go there, or the receiver did not consent.
    """
    format_ = gate.formats.get(endpoint.format)
    if format_ is None:
        raise Invalid("This format is not known.", ("/format", f"must be one of {', '.join(gate.formats)}"))
    events = tuple(dict.fromkeys((*format_.EVENTS, *gate.event_names)))
    reserved = tuple(beginning for each in gate.formats.values() for beginning in each.RESERVED)
    if found := faults(endpoint, events, reserved, format_.UNSENT, own_options(gate.formats)):
        raise Invalid("The webhook endpoint is not valid.", *found)
    if before is not None and before.url == endpoint.url:
        return
    try:
        await gate.check_url(endpoint.url)
    except Forbidden as error:
        raise Invalid("Deliveries may not go to this URL.", ("/url", str(error))) from None
    if format_.HANDSHAKE is not None:
        try:
            await gate.ask_for_consent(endpoint, format_.HANDSHAKE)
        except Invalid as refusal:
            raise Invalid(refusal.detail, *(refusal.fields or (("/url", "did not answer the challenge"),))) from None


def create(shelf: EndpointRepository, endpoint: Endpoint, *, secret: str) -> Endpoint:
    """Keep an admitted endpoint; `secret` is ours, for one that brings none."""
    endpoint = replace(
        endpoint,
        id=shelf.new_id(),
        organization_id=shelf.organization_id,
        secrets=endpoint.secrets or (Secret(secret),),
        created_at=shelf.now,
        updated_at=shelf.now,
    )
    shelf.add(endpoint)
    return endpoint


def change(shelf: EndpointRepository, endpoint_id: str, wanted: EndpointChange) -> Endpoint:
    """Change an endpoint as it stands within the transaction; the change has been admitted."""
    return _put(shelf, changed(known(shelf, endpoint_id), wanted), "changed")


def rotate(shelf: EndpointRepository, endpoint_id: str, secret: str, *, overlap: Micros) -> Endpoint:
    """Sign with a new secret from now on; the old ones sign as well until the overlap ends. Signatures of one value
    follow the endpoint's `rotating_signature`.

    The newest secret comes first.

    Raises:
        NotFound, Invalid: no such endpoint; the secret is malformed, or one of its own.
    """
    endpoint = known(shelf, endpoint_id)
    if fault := secret_fault(secret):
        raise Invalid("The secret cannot be used.", ("/secret", fault))
    until = shelf.now + overlap
    old = tuple(
        Secret(
            each.value, until if each.expires_at is None else min(until, each.expires_at), each.rotated_at or shelf.now
        )
        for each in live_secrets(endpoint, shelf.now)
    )
    if secret in {each.value for each in old}:
        raise Invalid("The secret is in use already.", ("/secret", "must be another than the ones in use"))
    kept = old if overlap > 0 else ()
    return _put(shelf, replace(endpoint, secrets=(Secret(secret), *kept)[:MOST_SECRETS]), "secret_rotated")


def live_secrets(endpoint: Endpoint, now: Micros) -> tuple[Secret, ...]:
    """Return the secrets that deliveries are signed with now."""
    return tuple(each for each in endpoint.secrets if each.expires_at is None or each.expires_at > now)


def pause(shelf: EndpointRepository, endpoint_id: str) -> tuple[Endpoint, bool]:
    """Pause an endpoint and park what waits; return the endpoint, and whether this was the last batch."""
    endpoint = known(shelf, endpoint_id)
    if endpoint.state == "active":
        endpoint = _put(shelf, replace(endpoint, state="paused"), "paused")
    return endpoint, shelf.park(endpoint_id, STRIDE)


def resume(shelf: EndpointRepository, endpoint_id: str) -> tuple[Endpoint, bool]:
    """Resume an endpoint with what is parked; return the endpoint, and whether this was the last batch.

    The endpoint becomes active in the same transaction as the last stride, so that nothing is overtaken.
    """
    endpoint = known(shelf, endpoint_id)
    if endpoint.state == "active":
        return endpoint, True
    done = shelf.unpark(endpoint_id, STRIDE)
    if done:
        if endpoint.state == "disabled":
            since = shelf.health(endpoint_id).failing_since
            shelf.tell(operational_events.recovered(endpoint, "it was resumed", failing_since=since))
        shelf.reset_health(endpoint_id)
        endpoint = _put(shelf, replace(endpoint, state="active", disabled_reason=""), "resumed")
    return endpoint, done


def delete(shelf: EndpointRepository, endpoint_id: str) -> tuple[Endpoint, bool]:
    """Cancel what waits and delete the endpoint; return it, and whether this was the last batch."""
    endpoint = known(shelf, endpoint_id)
    done = shelf.cancel(endpoint_id, STRIDE)
    if done:
        shelf.remove(endpoint_id)
    elif endpoint.state == "active":
        endpoint = _put(shelf, replace(endpoint, state="paused"), "paused")
    return endpoint, done


def known(shelf: EndpointRepository, endpoint_id: str) -> Endpoint:
    """Return the endpoint of this id.

    Raises:
        NotFound: the organization has none.
    """
    endpoint = shelf.get(endpoint_id)
    if endpoint is None:
        raise NotFound("There is no webhook endpoint with this id.")
    return endpoint


def _put(shelf: EndpointRepository, endpoint: Endpoint, action: AuditWord) -> Endpoint:
    endpoint = replace(endpoint, updated_at=max(shelf.now, endpoint.updated_at + 1))
    shelf.put(endpoint, action)
    return endpoint
