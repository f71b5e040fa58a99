"""Serve `/v1/failures`: what fails, by endpoint and reason, and what is done about it."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct
from msgspec.json import encode
from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.delivery.side_lanes import SideLaneLimits, replays_at_once
from tellwire.endpoints import failures as rules
from tellwire.endpoints.failures import Count, Failure, State
from tellwire.endpoints.recovery import Job, Wanted
from tellwire.endpoints.recovery import State as JobState
from tellwire.errors import Conflict, NotFound
from tellwire.model.deliveries import Endpoint, EndpointState
from tellwire.model.row_json import instant
from tellwire.stores.queries import failures, health, jobs
from tellwire.stores.queries.audit import note
from tellwire.stores.queries.paging import Page
from tellwire.web.api.shapes import LINE, Id, NextCursor, When, when
from tellwire.web.parameters import Cursor, Limit, Name, choice, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import page_response, raw_json_response

_READ = {"scopes": ("read", "deliveries:replay")}
_REPLAY = {"scopes": ("deliveries:replay",)}
_NOUN = "failures"
_MOST_LISTED, _MOST = 1_000, 10_000
"""How many deliveries are counted of each failure of a list, and of one alone."""
_ANSWER_SECONDS = 0.1

FailureState = Annotated[str, QueryParameter(name="state", schema_extra={"enum": get_args(State)})]


class FailureReplay(Struct, kw_only=True):
    """The last replay of a failure's deliveries: a recovery of its endpoint."""

    id: Id
    state: JobState
    detail: Annotated[str, Meta(description="In plain words why it waits or ended; empty while it goes on.")]
    done: Annotated[int, Meta(description="Deliveries that were made due.")]
    created_at: When
    finished_at: When | None


class FailureRead(Struct, kw_only=True):
    """What fails at an endpoint for one reason. Nothing of it is left: it is resolved by itself. It comes again: it is
    open again."""

    id: Id
    organization_id: Id
    endpoint_id: Id
    endpoint_name: Annotated[str, Meta(description="The endpoint's description, else its URL.")]
    endpoint_state: EndpointState
    failure: Annotated[str, Meta(description="The status of the answers, or the kind of failure: `timeout`, `dns` …")]
    cause: Annotated[str, Meta(description="In plain words, as of its last attempt.")]
    state: State
    first_at: Annotated[When, Meta(description="When the oldest of its deliveries was made.")]
    last_at: Annotated[When, Meta(description="Its last failed attempt.")]
    failed: Annotated[int, Meta(description="Deliveries that were given up.")]
    waiting: Annotated[int, Meta(description="Deliveries that are tried again, replayed or parked.")]
    at_least: Annotated[bool, Meta(description="Whether there may be more than were counted.")]
    accepted_at: Annotated[When | None, Meta(description="When the endpoint last took a delivery, as far as reported.")]
    acknowledged_at: When | None
    acknowledged_by: str | None
    note: str | None
    resolved_at: When | None
    resolved_by: Annotated[str | None, Meta(description="Null when nothing of it was left.")]
    replay: FailureReplay | None
    replays_per_second: Annotated[
        float,
        Meta(description="About how fast its deliveries are replayed, if the server answers in a tenth of a second."),
    ]


class FailureList(Struct, kw_only=True):
    """A page of failures, the newest kinds first."""

    data: list[FailureRead]
    next_cursor: NextCursor


class Acknowledgement(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to remember of it, for others who look."""

    note: Annotated[str, Meta(max_length=500, pattern=LINE)] = ""


class FailureReplayWanted(Struct, kw_only=True, forbid_unknown_fields=True):
    """How to replay: with `new_id` under fresh `webhook-id`s."""

    new_id: bool = False


def _rendered(connection: Connection, context: RequestContext, some: list[Failure], most: int) -> dict[str, bytes]:
    """Return failures as JSON by their ids."""
    owner, known = context.organization_id, context.services.store.registry().endpoints
    theirs = sorted({each.endpoint_id for each in some})
    well = health.of_endpoints(connection, owner, theirs)
    replays = jobs.of_ids(connection, owner, [each.job_id for each in some if each.job_id])
    found = {}
    for each in some:
        endpoint = known.get(each.endpoint_id)
        if endpoint is None:
            continue  # it is being deleted
        number = failures.count(connection, each, most)
        accepted = well[each.endpoint_id].last_success_at if each.endpoint_id in well else 0
        found[each.id] = _shown(each, endpoint, number, accepted=accepted, job=replays.get(each.job_id))
    return found


def _shown(failure: Failure, endpoint: Endpoint, number: Count, *, accepted: int, job: Job | None) -> bytes:
    at_once = replays_at_once(endpoint.max_in_flight or SideLaneLimits().per_endpoint)
    pace = at_once / _ANSWER_SECONDS
    return encode(
        FailureRead(
            id=failure.id,
            organization_id=failure.organization_id,
            endpoint_id=failure.endpoint_id,
            endpoint_name=endpoint.description or endpoint.url,
            endpoint_state=endpoint.state,
            failure=failure.failure,
            cause=failure.cause,
            state=failure.state,
            first_at=instant(failure.first_at),
            last_at=instant(failure.last_at),
            failed=number.failed,
            waiting=number.waiting,
            at_least=number.cut,
            accepted_at=when(accepted),
            acknowledged_at=when(failure.acknowledged_at),
            acknowledged_by=failure.acknowledged_by or None,
            note=failure.note or None,
            resolved_at=when(failure.resolved_at),
            resolved_by=failure.resolved_by or None,
            replay=None
            if job is None
            else FailureReplay(
                id=job.id,
                state=job.state,
                detail=job.detail,
                done=job.done,
                created_at=instant(job.created_at),
                finished_at=when(job.finished_at),
            ),
            replays_per_second=min(pace, endpoint.rate_limit_per_second or pace),
        )
    )


@get("/failures", summary="List failures", opt=_READ)
async def list_failures(
    context: ContextDependency,
    *,
    limit: Limit = 50,
    cursor: Cursor = "",
    in_state: FailureState = "",
    endpoint_id: Name = "",
) -> Response[FailureList]:
    """What fails and failed, by endpoint and reason. Stock is taken of it every two seconds."""
    state = choice(in_state, "state", *get_args(State))
    paging = page_request(_NOUN, limit, cursor)

    def work(connection: Connection) -> Page[bytes]:
        page = failures.page(connection, context.organization_id, state=state, endpoint_id=endpoint_id, request=paging)
        return Page(list(_rendered(connection, context, page.items, _MOST_LISTED).values()), page.after)

    return page_response(_NOUN, await context.read(work), lambda row: row, FailureList)


@get("/failures/{failure_id:str}", summary="Read a failure", opt=_READ)
async def read_failure(failure_id: FromPath[str], context: ContextDependency) -> Response[FailureRead]:
    """One failure; up to 10 000 of its deliveries are counted, in a list 1 000 of each."""
    name = our_id(failure_id, "failure")
    return raw_json_response(await context.read(lambda c: _read(c, context, name)), FailureRead)


@post("/failures/{failure_id:str}/acknowledge", summary="Acknowledge a failure", opt=_REPLAY, status_code=200)
async def acknowledge_failure(
    failure_id: FromPath[str], context: ContextDependency, data: JSONBody[Acknowledgement | None] = None
) -> Response[FailureRead]:
    """Say that somebody deals with it, until it is resolved. A resolved one stays as it is."""
    name, text = our_id(failure_id, "failure"), (data or Acknowledgement()).note
    by, now = context.caller.actor, context.services.clock.now()
    return await _changed(context, name, lambda known: rules.acknowledged(known, by, text, now), "acknowledged")


@post("/failures/{failure_id:str}/resolve", summary="Resolve a failure", opt=_REPLAY, status_code=200)
async def resolve_failure(failure_id: FromPath[str], context: ContextDependency) -> Response[FailureRead]:
    """Say that it is over, whatever is left of it; the next failed attempt of its kind opens it again."""
    name, by, now = our_id(failure_id, "failure"), context.caller.actor, context.services.clock.now()
    return await _changed(context, name, lambda known: rules.resolved(known, by, now), "resolved")


@post("/failures/{failure_id:str}/replay", summary="Replay a failure", opt=_REPLAY, status_code=202)
async def replay_failure(
    failure_id: FromPath[str],
    request: Request[Any, Any, Any],
    context: ContextDependency,
    data: JSONBody[FailureReplayWanted | None] = None,
) -> Response[FailureRead]:
    """Send all that was given up because of it once more, oldest first. This is a recovery of its endpoint, of which
    one goes on at a time (409); `replay` of the failure tells how far it has come."""
    name, wanted = our_id(failure_id, "failure"), data or FailureReplayWanted()

    def work(connection: Connection) -> tuple[None, bytes]:
        known, change = _known(connection, context, name), context.audit_change()
        if other := jobs.open_of(connection, known.endpoint_id):
            raise Conflict(f"The recovery {other} of this endpoint is under way.", kind="recovery-under-way")
        seen = failures.seen(connection, known.organization_id, known.endpoint_id, known.failure)
        since = seen.first_at if seen is not None else change.at
        job = Job(
            id=change.new_id(),
            organization_id=known.organization_id,
            endpoint_id=known.endpoint_id,
            wanted=Wanted(
                since=since, until=change.at + 1, include="failed", new_id=wanted.new_id, failure=known.failure
            ),
            created_at=change.at,
            updated_at=change.at,
        )
        jobs.add(connection, change, job, noted=("failure.replayed", known.id))
        failures.put(connection, replace(known, job_id=job.id), was=known.state)
        return None, _read(connection, context, name)

    async with context.once(request) as once:
        if once.kept:
            return once.kept
        _, body = await once.write(work, status=202)
    return raw_json_response(body, FailureRead, status=202)


async def _changed(context: RequestContext, name: str, change: Any, action: str) -> Response[FailureRead]:
    def work(connection: Connection) -> bytes:
        known = _known(connection, context, name)
        after = change(known)
        if after != known and failures.put(connection, after, was=known.state):
            note(connection, context.audit_change(), f"failure.{action}", name)
        return _read(connection, context, name)

    return raw_json_response(await context.write(work), FailureRead)


def _read(connection: Connection, context: RequestContext, name: str) -> bytes:
    found = _rendered(connection, context, [_known(connection, context, name)], _MOST)
    if name not in found:
        raise NotFound("There is no failure with this id.")
    return found[name]


def _known(connection: Connection, context: RequestContext, name: str) -> Failure:
    failure = failures.get(connection, context.organization_id, name)
    if failure is None:
        raise NotFound("There is no failure with this id.")
    return failure


HANDLERS = (list_failures, read_failure, acknowledge_failure, resolve_failure, replay_failure)
