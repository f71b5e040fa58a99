"""USE CASE. The life of a webhook endpoint: it is admitted, changed, given new secrets, paused, resumed and deleted.

Source: docs/reference/rest-api.md, "Webhook endpoints".

Everything but `admit` runs within one transaction over an `EndpointRepository`. What has to touch many deliveries does
so in strides: it is called again until it says that it is done, and may be cut off and begun anew at any point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from tellwire.endpoints.disabling import STRIDE
from tellwire.endpoints.fields import (
    Accounts,
    BatchingOption,
    BufferOption,
    ConversationIds,
    Description,
    Echoes,
    Events,
    External,
    Fields,
    Headers,
    HeadOfLine,
    History,
    HubSignature,
    InFlight,
    JsonOption,
    Order,
    OwnSecret,
    Pull,
    Rate,
    RotatingSignature,
    Schedule,
    SecretOf,
    Standby,
    Timeout,
    Token,
    Updates,
    Url,
    VerifyToken,
    WappcloudSignature,
)
from tellwire.endpoints.ports import AuditWord, EndpointChecks, EndpointRepository
from tellwire.endpoints.validation import VERIFY_TOKEN, faults, own_options, secret_fault
from tellwire.errors import Conflict, Forbidden, Invalid, NotFound
from tellwire.model import operational_events
from tellwire.model.deliveries import Endpoint, EndpointState, Ordering, Secret
from tellwire.model.id_form import looks_like_id
from tellwire.model.units import Micros
from tellwire.ports.formats import Format
from tellwire.security.pasted import as_meant

MOST_SECRETS = 10
"""Live secrets that one endpoint keeps; the oldest go first."""

PULLED = "endpoint-pulled"
"""The kind of problem of a call that makes no sense for a pulled endpoint."""


class EndpointDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook endpoint to create. What is left out or null takes the installation's default."""

    url: Url | None = None
    pull: Pull = False
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
    secret_of: SecretOf | None = None
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
    secret_of: SecretOf | UnsetType = UNSET
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
    secret, lender, pull = fields.pop("secret"), fields.pop("secret_of"), fields.pop("pull")
    if not pull and not draft.url:
        raise Invalid("The webhook endpoint is not valid.", ("/url", "is required, unless pull is true"))
    if lender and (secret or not pull):
        raise Invalid("The secret cannot be used.", ("/secret_of", "goes with pull, and not with secret"))
    if secret is not None and (fault := secret_fault(secret)):
        raise Invalid("The secret cannot be used.", ("/secret", fault))
    secrets = (Secret(secret),) if secret is not None else ()
    state: EndpointState = "pulled" if pull else "active"
    if pull:
        fields["description"] = fields["description"] or "Pulled deliveries"
    return Endpoint(id="", organization_id="", secrets=secrets, state=state, **_without_none(fields))


def with_verify_token(endpoint: Endpoint, formats: Mapping[str, Format], made: str) -> Endpoint:
    """Return a new endpoint with the token that its receiver is asked with, where its format does so: `made`, unless it
    brings one."""
    form = formats.get(endpoint.format)
    if form is None or VERIFY_TOKEN not in form.OPTIONS or endpoint.verify_token or endpoint.state == "pulled":
        return endpoint
    return replace(endpoint, verify_token=made)


def changed(endpoint: Endpoint, change: EndpointChange) -> Endpoint:
    """Return the endpoint as a change wants it."""
    fields: dict[str, Any] = {k: v for k, v in msgspec.structs.asdict(change).items() if v is not UNSET}
    if fields.pop("secret_of", None) and endpoint.state != "pulled":
        raise Invalid("The secret cannot be used.", ("/secret_of", "goes with a pulled endpoint only"))
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
    if endpoint.state == "pulled" or (before is not None and before.url == endpoint.url):
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


def create(shelf: EndpointRepository, endpoint: Endpoint, *, secret: str, secret_of: str = "") -> Endpoint:
    """Keep an admitted endpoint; `secret` is ours, for one that brings none and has none of another (`secret_of`)."""
    secrets = _lent(shelf, secret_of) if secret_of else endpoint.secrets or (Secret(secret),)
    endpoint = replace(
        endpoint,
        id=shelf.new_id(),
        organization_id=shelf.organization_id,
        secrets=secrets,
        created_at=shelf.now,
        updated_at=shelf.now,
    )
    shelf.add(endpoint)
    return endpoint


def change(shelf: EndpointRepository, endpoint_id: str, wanted: EndpointChange) -> Endpoint:
    """Change an endpoint as it stands within the transaction; the change has been admitted."""
    endpoint = changed(known(shelf, endpoint_id), wanted)
    if wanted.secret_of:
        endpoint = replace(endpoint, secrets=_lent(shelf, wanted.secret_of))
    return _put(shelf, endpoint, "changed")


def _lent(shelf: EndpointRepository, endpoint_id: str) -> tuple[Secret, ...]:
    lender = shelf.get(endpoint_id) if looks_like_id(endpoint_id) else None
    if lender is None:
        raise Invalid("The secret cannot be used.", ("/secret_of", "is no webhook endpoint"))
    return live_secrets(lender, shelf.now)


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
    endpoint = _pushed(shelf, endpoint_id)
    if endpoint.state == "active":
        endpoint = _put(shelf, replace(endpoint, state="paused"), "paused")
    return endpoint, shelf.park(endpoint_id, STRIDE)


def resume(shelf: EndpointRepository, endpoint_id: str) -> tuple[Endpoint, bool]:
    """Resume an endpoint with what is parked; return the endpoint, and whether this was the last batch.

    The endpoint becomes active in the same transaction as the last stride, so that nothing is overtaken.
    """
    endpoint = _pushed(shelf, endpoint_id)
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


def _pushed(shelf: EndpointRepository, endpoint_id: str) -> Endpoint:
    endpoint = known(shelf, endpoint_id)
    if endpoint.state == "pulled":
        raise Conflict(
            "Nothing is sent to this webhook endpoint: its deliveries wait until they are pulled.", kind=PULLED
        )
    return endpoint


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
