"""Serve `/v1/webhook-endpoints`: the addresses that events are delivered to."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.endpoints import lifecycle
from tellwire.endpoints.fields import OwnSecret
from tellwire.endpoints.health_history import EndpointHealth
from tellwire.endpoints.lifecycle import EndpointChange, EndpointDraft
from tellwire.model.deliveries import Batching, Buffer, Endpoint, EndpointState, Json
from tellwire.model.row_json import instant
from tellwire.model.units import Micros, micros
from tellwire.stores.queries import endpoints as endpoint_queries
from tellwire.stores.queries import health as health_queries
from tellwire.stores.queries.endpoints import SqlEndpointRepository
from tellwire.web.api import endpoint_calls, endpoint_figures, endpoint_pull
from tellwire.web.api.endpoint_calls import known_endpoint
from tellwire.web.api.shapes import Id, NextCursor, When, when
from tellwire.web.parameters import Cursor, Limit, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import joined, page_response, raw_json_response

_READ = {"scopes": ("read", "webhooks:manage", "webhooks:operate")}
_MANAGE = {"scopes": ("webhooks:manage",)}
_OPERATE = {"scopes": ("webhooks:manage", "webhooks:operate")}
_NOUN = "webhook-endpoints"
MASK = "********"


class SecretRead(Struct, kw_only=True):
    """A signing secret, unseen: `rotated_at` and `expires_at` are set on one that was rotated out."""

    rotated_at: When | None
    expires_at: When | None


class HealthRead(Struct, kw_only=True):
    """How its last attempts went, as of the last minutes: `unknown` before the first, `failing` after failures only."""

    state: Literal["unknown", "healthy", "failing"]
    failing_since: When | None
    consecutive_failures: int
    cause: Annotated[str, Meta(description="Why the last attempt failed; empty when it did not.")]
    last_success_at: When | None
    last_failure_at: When | None


class EndpointRead(Struct, kw_only=True):
    """A webhook endpoint. Secrets, token and header values are masked; null means the installation's default."""

    id: Id
    organization_id: Id
    url: Annotated[str, Meta(description="Empty for one whose deliveries are pulled.")]
    format: str
    events: tuple[str, ...]
    fields: tuple[str, ...]
    accounts: tuple[str, ...]
    batching: Batching
    echoes: bool
    standby: bool
    json: Json
    buffer: Buffer | None
    ordering: Literal["keyed", "none", "strict"]
    updates: Literal["full", "changed"]
    conversation_ids: Literal["conversation", "message"]
    external: bool
    history: bool
    secrets: Annotated[list[SecretRead], Meta(description="The secrets that sign now, newest first.")]
    has_token: bool
    headers: dict[str, str]
    hub_signature: bool
    wappcloud_signature: Literal["prefixed", "bare"]
    rotating_signature: Literal["old", "new"]
    timeout_seconds: float | None
    head_of_line_seconds: float | None
    max_in_flight: int | None
    rate_limit_per_second: float | None
    retry_schedule: tuple[float, ...] | None
    description: str
    state: EndpointState
    disabled_reason: str
    health: HealthRead
    created_at: When
    updated_at: When


class EndpointWithSecret(EndpointRead, kw_only=True):
    """A webhook endpoint with its new secret, which is shown this once."""

    secret: Annotated[
        str | UnsetType, Meta(description="What deliveries are signed with; not there with `secret_of`.")
    ] = UNSET
    whsec_secret: Annotated[
        str | UnsetType, Meta(description="The same as stock Standard Webhooks libraries take it.")
    ] = UNSET
    verify_token: Annotated[
        str | UnsetType,
        Meta(description="Format `meta`, when it is created: what its receiver is asked with; shown this once."),
    ] = UNSET


class EndpointList(Struct, kw_only=True):
    """A page of webhook endpoints, newest first."""

    data: list[EndpointRead]
    next_cursor: NextCursor


class Rotation(Struct, kw_only=True, forbid_unknown_fields=True):
    """How to rotate: a secret of your own or else one of ours, and how long the old ones go on signing as well."""

    secret: OwnSecret | None = None
    overlap_seconds: Annotated[float, Meta(ge=0, le=2_592_000)] = 86_400


_KEPT = ("has_token", "headers", "secrets", "health", "created_at", "updated_at")
_SAME = tuple(name for name in EndpointRead.__struct_fields__ if name not in _KEPT)


def _health(standing: EndpointHealth | None) -> HealthRead:
    failing = standing is not None and standing.failing_since > 0
    known = standing is not None and standing.last_success_at > 0
    return HealthRead(
        state="failing" if failing else "healthy" if known else "unknown",
        failing_since=when(standing.failing_since) if standing else None,
        consecutive_failures=standing.failures if standing else 0,
        cause=standing.cause if standing else "",
        last_success_at=when(standing.last_success_at) if standing else None,
        last_failure_at=when(standing.last_failure_at) if standing else None,
    )


def _shown(endpoint: Endpoint, now: Micros, standing: EndpointHealth | None = None) -> bytes:
    return encode(
        EndpointRead(
            **{name: getattr(endpoint, name) for name in _SAME},
            secrets=[
                SecretRead(rotated_at=when(each.rotated_at), expires_at=when(each.expires_at))
                for each in lifecycle.live_secrets(endpoint, now)
            ],
            has_token=bool(endpoint.token),
            headers=dict.fromkeys(endpoint.headers, MASK),
            health=_health(standing),
            created_at=instant(endpoint.created_at),
            updated_at=instant(endpoint.updated_at),
        )
    )


def _with_secret(context: RequestContext, endpoint: Endpoint, *, new: bool = False) -> tuple[Endpoint, bytes]:
    secret = endpoint.secrets[0].value
    more = {"secret": secret, "whsec_secret": context.services.whsec_form(secret)}
    if new and endpoint.verify_token:
        more["verify_token"] = endpoint.verify_token
    return endpoint, joined(_shown(endpoint, context.services.clock.now()), more)


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@get("/webhook-endpoints", summary="List webhook endpoints", opt=_READ)
async def list_endpoints(context: ContextDependency, limit: Limit = 50, cursor: Cursor = "") -> Response[EndpointList]:
    """The webhook endpoints of the organization."""
    vault, now = context.services.store.vault, context.services.clock.now()
    paging = page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: endpoint_queries.page(c, vault, context.organization_id, paging))
    standings = await _standings(context, *page.items)
    return page_response(_NOUN, page, lambda endpoint: _shown(endpoint, now, standings.get(endpoint.id)), EndpointList)


async def _standings(context: RequestContext, *some: Endpoint) -> Mapping[str, EndpointHealth]:
    ids = [endpoint.id for endpoint in some]
    return await context.read(lambda c: health_queries.of_endpoints(c, context.organization_id, ids))


@post("/webhook-endpoints", summary="Create a webhook endpoint", opt=_MANAGE)
async def create_endpoint(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[EndpointDraft]
) -> Response[EndpointWithSecret]:
    """The answer is the only one that shows the secret, and a `meta` endpoint's verify token. A `chat` endpoint must
    first echo a challenge: `GET <url>?challenge=<random>`, answered 200 with `{"challenge": "<same>"}`; a `meta`
    endpoint answers Meta's own: `GET <url>?hub.mode=subscribe&hub.verify_token=<token>&hub.challenge=<random>`, 200
    with the challenge; a `cloudevents` endpoint answers `OPTIONS` with the header `WebHook-Allowed-Origin`."""
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        formats, secret = context.services.formats, _new_secret()
        endpoint = lifecycle.with_verify_token(lifecycle.drafted(data), formats, secrets.token_urlsafe(24))
        await lifecycle.admit(context.services, endpoint)

        def work(connection: Connection) -> tuple[Endpoint, bytes]:
            context.check_quota(connection, "webhook_endpoints")
            shelf, lender = context.endpoints(connection), data.secret_of or ""
            made = lifecycle.create(shelf, endpoint, secret=secret, secret_of=lender)
            if lender:
                return made, _shown(made, context.services.clock.now())
            return _with_secret(context, made, new=True)

        _, body = await once.write(work)
    return raw_json_response(body, EndpointWithSecret, status=201)


@get("/webhook-endpoints/{endpoint_id:str}", summary="Read a webhook endpoint", opt=_READ)
async def read_endpoint(endpoint_id: FromPath[str], context: ContextDependency) -> Response[EndpointRead]:
    """One webhook endpoint, its secrets masked."""
    return await _answer(context, await known_endpoint(context, endpoint_id))


@patch("/webhook-endpoints/{endpoint_id:str}", summary="Change a webhook endpoint", opt=_MANAGE)
async def change_endpoint(
    endpoint_id: FromPath[str], context: ContextDependency, data: JSONBody[EndpointChange]
) -> Response[EndpointRead]:
    """Change what is given, leave the rest. The format stays: make another endpoint for another format."""
    before = await known_endpoint(context, endpoint_id)
    await lifecycle.admit(context.services, lifecycle.changed(before, data), before=before)
    return await _answer(
        context, await context.write(lambda c: lifecycle.change(context.endpoints(c), endpoint_id, data))
    )


@delete("/webhook-endpoints/{endpoint_id:str}", summary="Delete a webhook endpoint", opt=_MANAGE, status_code=204)
async def delete_endpoint(endpoint_id: FromPath[str], context: ContextDependency) -> None:
    """Forget an endpoint; what still waits for it becomes `cancelled`."""
    await _in_batches(context, endpoint_id, lifecycle.delete)


@post("/webhook-endpoints/{endpoint_id:str}/pause", summary="Pause", opt=_OPERATE, status_code=200)
async def pause_endpoint(endpoint_id: FromPath[str], context: ContextDependency) -> Response[EndpointRead]:
    """Stop delivering; what waits and what comes is kept `parked`."""
    return await _answer(context, await _in_batches(context, endpoint_id, lifecycle.pause))


@post("/webhook-endpoints/{endpoint_id:str}/resume", summary="Resume", opt=_OPERATE, status_code=200)
async def resume_endpoint(endpoint_id: FromPath[str], context: ContextDependency) -> Response[EndpointRead]:
    """Deliver again, what is parked first. Also brings back a disabled endpoint."""
    return await _answer(context, await _in_batches(context, endpoint_id, lifecycle.resume))


@post("/webhook-endpoints/{endpoint_id:str}/rotate-secret", summary="Rotate the secret", opt=_MANAGE, status_code=200)
async def rotate_secret(
    endpoint_id: FromPath[str],
    request: Request[Any, Any, Any],
    context: ContextDependency,
    data: JSONBody[Rotation | None] = None,
) -> Response[EndpointWithSecret]:
    """Sign with a new secret, shown this once; the old ones go on signing as well until the overlap is over."""
    name, wanted = our_id(endpoint_id, "webhook endpoint"), data or Rotation()
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        secret, overlap = wanted.secret or _new_secret(), micros(wanted.overlap_seconds)
        _, body = await once.write(
            lambda c: _with_secret(context, lifecycle.rotate(context.endpoints(c), name, secret, overlap=overlap)),
            status=200,
        )
    return raw_json_response(body, EndpointWithSecret)


async def _in_batches(
    context: RequestContext,
    endpoint_id: str,
    change_batch: Callable[[SqlEndpointRepository, str], tuple[Endpoint, bool]],
) -> Endpoint:
    """Run `change_batch` until it returns that it is done, each time in a commit of its own."""
    name = our_id(endpoint_id, "webhook endpoint")

    def work(connection: Connection) -> tuple[Endpoint, bool]:
        return change_batch(context.endpoints(connection), name)

    endpoint, done = await context.write(work)
    while not done:
        endpoint, done = await context.write(work)
    return endpoint


async def _answer(context: RequestContext, endpoint: Endpoint) -> Response[EndpointRead]:
    standings = await _standings(context, endpoint)
    return raw_json_response(_shown(endpoint, context.services.clock.now(), standings.get(endpoint.id)), EndpointRead)


HANDLERS = (
    list_endpoints,
    create_endpoint,
    read_endpoint,
    change_endpoint,
    delete_endpoint,
    pause_endpoint,
    resume_endpoint,
    rotate_secret,
    *endpoint_calls.HANDLERS,
    *endpoint_pull.HANDLERS,
    *endpoint_figures.HANDLERS,
)
