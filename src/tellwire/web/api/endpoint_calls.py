"""Serve `/v1/webhook-endpoints/{id}/test` and `/recover`: test events and recoveries."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.endpoints.lifecycle import PULLED
from tellwire.endpoints.recovery import Include, Job, State, Wanted, ended
from tellwire.errors import Conflict, Invalid, NotFound
from tellwire.ids import micros_of
from tellwire.model.deliveries import Endpoint
from tellwire.model.row_json import instant
from tellwire.stores.queries import audit, endpoints, jobs
from tellwire.web.api.shapes import Id, NextCursor, When, when
from tellwire.web.parameters import Cursor, Limit, instant_of, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response, page_response, raw_json_response

_READ = {"scopes": ("read", "webhooks:manage", "webhooks:operate")}
_OPERATE = {"scopes": ("webhooks:manage", "webhooks:operate")}
_NOUN = "recoveries"
_JOB = "/webhook-endpoints/{endpoint_id:str}/recover/{job_id:str}"


class TestWanted(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to test with: the name of an event, else the first that the endpoint subscribes to."""

    event: Annotated[str, Meta(max_length=64)] = ""


class TestRead(Struct, kw_only=True):
    """What came back. Answers of allow-listed addresses are not shown; a body that is no UTF-8 is in
    `response_body_base64`."""

    ok: bool
    cause: Annotated[str, Meta(description="In plain words what went wrong; empty when nothing did.")]
    event: str
    url: str
    webhook_id: str
    request_headers: list[tuple[str, str]]
    response_status: int | None
    response_headers: list[tuple[str, str]]
    response_body: str | None
    response_body_base64: str | None
    durations: Annotated[dict[str, float], Meta(description="Milliseconds by phase.")]


Span = Annotated[str, Meta(max_length=64, extra_json_schema={"format": "date-time"}, description="RFC 3339.")]


class RecoveryWanted(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to deliver once more: of the events since a time (included) until another (not included, else now)."""

    since: Span
    include: Annotated[
        Include,
        Meta(
            description="`failed`: deliveries that failed; `missing`: those, and events that the endpoint subscribes "
            "to now and never got; `all`: everything, delivered or not."
        ),
    ]
    until: Span | None = None
    new_id: Annotated[bool, Meta(description="Under fresh webhook-ids, so that consumers take them anew.")] = False


class RecoveryRead(Struct, kw_only=True):
    """A recovery. `done` counts deliveries that were made due, `looked_at` rows gone through; `reached` is the time up
    to which the span has been gone through."""

    id: Id
    endpoint_id: Id
    state: State
    detail: Annotated[str, Meta(description="In plain words why it waits or ended; empty while it goes on.")]
    include: Include
    since: When
    until: When
    new_id: bool
    failure: Annotated[str | None, Meta(description="Only deliveries that failed for this reason; null for all.")]
    done: int
    looked_at: int
    reached: When | None
    progress: Annotated[float, Meta(description="From 0 to 1, by time.")]
    created_at: When
    updated_at: When
    finished_at: When | None


class RecoveryList(Struct, kw_only=True):
    """A page of recoveries, newest first."""

    data: list[RecoveryRead]
    next_cursor: NextCursor


async def known_endpoint(context: RequestContext, endpoint_id: str) -> Endpoint:
    """Return the endpoint with this id.

    Raises:
        NotFound: the organization has no such endpoint.
    """
    name, vault = our_id(endpoint_id, "webhook endpoint"), context.services.store.vault
    endpoint = await context.read(lambda c: endpoints.get(c, vault, context.organization_id, name))
    if endpoint is None:
        raise NotFound("There is no webhook endpoint with this id.")
    return endpoint


@post("/webhook-endpoints/{endpoint_id:str}/test", summary="Send a test event", opt=_OPERATE, status_code=200)
async def send_test_event(
    endpoint_id: FromPath[str], context: ContextDependency, data: JSONBody[TestWanted | None] = None
) -> Response[TestRead]:
    """Send an event that never happened, signed as a delivery is, and answer with what came back. It carries the header
    `tellwire-test: true` and says so in its text; nothing of it is kept. Also to a paused or disabled endpoint."""
    endpoint = await known_endpoint(context, endpoint_id)
    if endpoint.state == "pulled":
        raise Conflict("Nothing is sent to this webhook endpoint, so no test either.", kind=PULLED)
    event, attempt = await context.services.send_test(endpoint, data.event if data else "")
    text, raw = _text(attempt.response_body)
    return json_response(
        TestRead(
            ok=attempt.outcome == "delivered",
            cause=attempt.cause,
            event=event,
            url=attempt.url,
            webhook_id=dict(attempt.request_headers)["webhook-id"],
            request_headers=list(attempt.request_headers),
            response_status=attempt.response_status or None,
            response_headers=list(attempt.response_headers),
            response_body=text,
            response_body_base64=raw,
            durations=attempt.durations,
        )
    )


def _text(body: bytes) -> tuple[str | None, str | None]:
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(body).decode()


def _shown(job: Job) -> bytes:
    wanted = job.wanted
    reached = min(max(micros_of(job.cursor), wanted.since), wanted.until) if job.cursor else 0
    span = max(wanted.until - wanted.since, 1)
    return encode(
        RecoveryRead(
            id=job.id,
            endpoint_id=job.endpoint_id,
            state=job.state,
            detail=job.detail,
            include=wanted.include,
            since=instant(wanted.since),
            until=instant(wanted.until),
            new_id=wanted.new_id,
            failure=wanted.failure or None,
            done=job.done,
            looked_at=job.looked_at,
            reached=instant(wanted.until) if job.state == "done" else when(reached),
            progress=1.0 if job.state == "done" else round((reached - wanted.since) / span, 4) if reached else 0.0,
            created_at=instant(job.created_at),
            updated_at=instant(job.updated_at),
            finished_at=when(job.finished_at),
        )
    )


@post("/webhook-endpoints/{endpoint_id:str}/recover", summary="Recover", opt=_OPERATE, status_code=202)
async def recover_endpoint(
    endpoint_id: FromPath[str],
    request: Request[Any, Any, Any],
    context: ContextDependency,
    data: JSONBody[RecoveryWanted],
) -> Response[RecoveryRead]:
    """Deliver once more what the endpoint missed. The answer is a job that goes on by itself, also over restarts:
    beside live deliveries, on a budget of its own, in order. One at a time per endpoint (409)."""
    name = our_id(endpoint_id, "webhook endpoint")
    since = instant_of(data.since, "since") or 0
    until = instant_of(data.until, "until") if data.until is not None else None
    now = context.services.clock.now()
    wanted = Wanted(since=since, until=now if until is None else until, include=data.include, new_id=data.new_id)
    if wanted.until <= wanted.since:
        raise Invalid("The span is empty.", ("/since" if until is None else "/until", "must end after it begins"))

    def work(connection: Connection) -> tuple[Job, bytes]:
        if not endpoints.state_of(connection, context.organization_id, name):
            raise NotFound("There is no webhook endpoint with this id.")
        if other := jobs.open_of(connection, name):
            raise Conflict(f"The recovery {other} of this endpoint is under way.", kind="recovery-under-way")
        audit_change = context.audit_change()
        job = Job(
            id=audit_change.new_id(),
            organization_id=context.organization_id,
            endpoint_id=name,
            wanted=wanted,
            created_at=audit_change.at,
            updated_at=audit_change.at,
        )
        jobs.add(connection, audit_change, job)
        return job, _shown(job)

    async with context.once(request) as once:
        if once.kept:
            return once.kept
        _, body = await once.write(work, status=202)
    return raw_json_response(body, RecoveryRead, status=202)


@get("/webhook-endpoints/{endpoint_id:str}/recover", summary="List recoveries", opt=_READ)
async def list_recoveries(
    endpoint_id: FromPath[str], context: ContextDependency, limit: Limit = 50, cursor: Cursor = ""
) -> Response[RecoveryList]:
    """The recoveries of an endpoint."""
    endpoint = await known_endpoint(context, endpoint_id)
    paging = page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: jobs.page(c, context.organization_id, endpoint.id, paging))
    return page_response(_NOUN, page, _shown, RecoveryList)


@get(_JOB, summary="Read a recovery", opt=_READ)
async def read_recovery(
    endpoint_id: FromPath[str], job_id: FromPath[str], context: ContextDependency
) -> Response[RecoveryRead]:
    """How far it has come."""
    endpoint, name = our_id(endpoint_id, "webhook endpoint"), our_id(job_id, "recovery")
    return raw_json_response(_shown(await context.read(lambda c: _known_job(c, context, endpoint, name))), RecoveryRead)


@post(f"{_JOB}/cancel", summary="Cancel a recovery", opt=_OPERATE, status_code=200)
async def cancel_recovery(
    endpoint_id: FromPath[str], job_id: FromPath[str], context: ContextDependency
) -> Response[RecoveryRead]:
    """Make nothing more due; what is due already is delivered. One that is over stays as it is."""
    endpoint, name = our_id(endpoint_id, "webhook endpoint"), our_id(job_id, "recovery")

    def work(connection: Connection) -> Job:
        job = _known_job(connection, context, endpoint, name)
        after = ended(job, "cancelled", "it was cancelled", context.services.clock.now())
        if not jobs.put(connection, after, turns=job.turns):
            return job
        audit.note(connection, context.audit_change(), "endpoint.recover_cancelled", endpoint)
        return after

    return raw_json_response(_shown(await context.write(work)), RecoveryRead)


def _known_job(connection: Connection, context: RequestContext, endpoint_id: str, job_id: str) -> Job:
    job = jobs.get(connection, context.organization_id, job_id)
    if job is None or job.endpoint_id != endpoint_id:
        raise NotFound("There is no recovery with this id.")
    return job


HANDLERS = (send_test_event, recover_endpoint, list_recoveries, read_recovery, cancel_recovery)
