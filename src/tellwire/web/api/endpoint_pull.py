"""Serve `/v1/webhook-endpoints/{id}/pull`: deliveries that wait until somebody asks for them, and what was answered."""

from __future__ import annotations

import base64
from typing import Annotated, get_args

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.delivery import counting, pulling
from tellwire.delivery.pulling import Handed, Receipt
from tellwire.delivery.retry import Decision, Delivered, Exhausted
from tellwire.endpoints.disabling import STRIDE
from tellwire.errors import Conflict, Invalid
from tellwire.model.deliveries import Delivery, DeliveryState, Endpoint, Work
from tellwire.model.id_form import looks_like_id
from tellwire.model.routing import order_key
from tellwire.model.units import Micros
from tellwire.ports.http_out import Answer, Failure
from tellwire.ports.storage import Result
from tellwire.stores.queries import events, pulled, replays
from tellwire.stores.queries.audit import note
from tellwire.web.api.endpoint_calls import known_endpoint
from tellwire.web.api.shapes import LINE, Id
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response

_PULL = {"scopes": ("webhooks:manage",)}
_MOST = 100
_FAILURES: tuple[Failure, ...] = get_args(Failure)

PullLimit = Annotated[int, QueryParameter(ge=1, le=_MOST, description="Deliveries at the most.")]
Wait = Annotated[float, QueryParameter(ge=0, le=25, description="Seconds to wait while there is none.")]


class PulledDelivery(Struct, kw_only=True):
    """A delivery to make: POST `body` with `headers`, as they are, and answer with its `receipt`."""

    delivery_id: Id
    receipt: Annotated[str, Meta(description="Names this handing out; it goes into the answer.")]
    event: Annotated[str, Meta(description="The event's name, as the header `tellwire-event` has it.")]
    contact: Annotated[str | None, Meta(description="Whom it is about, for people; null for nobody.")]
    webhook_id: str
    headers: list[tuple[str, str]]
    body: str | None
    body_base64: Annotated[str | None, Meta(description="The body, where it is no UTF-8.")]


class PulledList(Struct, kw_only=True):
    """The deliveries that wait, in the order in which they are to be made."""

    data: list[PulledDelivery]


class PullAnswer(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a delivery was answered with where it was sent on to: a `status`, or the kind of `failure`."""

    delivery_id: Annotated[str, Meta(max_length=64)]
    receipt: Annotated[str, Meta(max_length=64)]
    status: Annotated[int, Meta(ge=0, le=599, description="0 when there was no answer.")] = 0
    milliseconds: Annotated[float, Meta(ge=0, le=86_400_000)] = 0
    failure: Annotated[str, Meta(description="Why there was no answer.", extra_json_schema={"enum": [*_FAILURES]})] = ""
    cause: Annotated[str, Meta(max_length=256, pattern=LINE, description="The same in words.")] = ""
    url: Annotated[str, Meta(max_length=2048, pattern=LINE, description="Where it was sent on to.")] = ""
    response_body: Annotated[str, Meta(max_length=16_384, pattern=r"^(?![\s\S]*\u0000)")] = ""


class PullAnswers(Struct, kw_only=True, forbid_unknown_fields=True):
    """Answers, in the order in which the deliveries were made."""

    answers: Annotated[list[PullAnswer], Meta(min_length=1, max_length=_MOST)]


class PullSettled(Struct, kw_only=True):
    """How a delivery stands; `counted` is false for an answer that came before, or to an attempt that is past."""

    delivery_id: Id
    state: DeliveryState
    counted: bool


class PullSettledList(Struct, kw_only=True):
    """How the deliveries stand, in the order of the answers."""

    data: list[PullSettled]


@get("/webhook-endpoints/{endpoint_id:str}/pull", summary="Pull deliveries", opt=_PULL)
async def pull_deliveries(
    endpoint_id: FromPath[str], context: ContextDependency, limit: PullLimit = 50, wait: Wait = 0
) -> Response[PulledList]:
    """The deliveries that wait for an endpoint with the state `pulled`, oldest first, signed anew. They wait until they
    are answered, so the same come again. The newest caller ends the wait of one before (409)."""
    endpoint = await _pulled_endpoint(context, endpoint_id)

    async def look() -> list[Handed]:
        handed = await context.read(lambda c: _hand_out(c, context, endpoint, limit))
        if faulty := [each for each in handed if each.request is None]:
            await context.write(lambda c: _give_up(c, context, endpoint, faulty))
        return [each for each in handed if each.request is not None]

    found = await context.app_state.pulls.wait(
        endpoint.id, context.organization_id, look, seconds=wait, check_key=context.check_key
    )
    return json_response(PulledList(data=[_shown(each) for each in found]))


@post(
    "/webhook-endpoints/{endpoint_id:str}/pull/answers",
    summary="Answer pulled deliveries",
    opt=_PULL,
    status_code=200,
)
async def answer_deliveries(
    endpoint_id: FromPath[str], context: ContextDependency, data: JSONBody[PullAnswers]
) -> Response[PullSettledList]:
    """Say what pulled deliveries were answered with: a 2xx delivers one, anything else ends it as `failed`, and it can
    be replayed. An answer that is sent twice counts once."""
    endpoint, now = await _pulled_endpoint(context, endpoint_id), context.services.clock.now()
    receipts = _receipts(data.answers)

    def result(connection: Connection, at: int, before: Delivery) -> Result | None:
        if not pulling.is_answered_by(before, receipts[at], now):
            return None
        return _result(connection, context, endpoint, before, receipt=receipts[at], answer=data.answers[at])

    def make(connection: Connection) -> list[tuple[Delivery, Result | None]]:
        known = _known(connection, endpoint, data.answers)
        found = [known[each.delivery_id] for each in data.answers]
        return [(before, result(connection, at, before)) for at, before in enumerate(found)]

    # Requests are made once more here, before the write: that of large events takes long, and everybody's writes wait.
    made = await context.read(make)

    def work(connection: Connection) -> tuple[list[tuple[PullAnswer, Delivery]], list[PullSettled]]:
        known = _known(connection, endpoint, data.answers)
        counted, rows = [], []
        for at, (answer, (seen, ready)) in enumerate(zip(data.answers, made, strict=True)):
            before = known[answer.delivery_id]
            settled = ready if before == seen else result(connection, at, before)
            if settled is not None:
                pulled.settle(connection, context.services.store, [settled], now)
                known.update(_known(connection, endpoint, [answer]))
                counted.append((answer, before))
            state = known[before.id].state
            rows.append(PullSettled(delivery_id=before.id, state=state, counted=settled is not None))
        return counted, rows

    counted, rows = await context.write(work)
    for answer, before in counted:
        _count(context, before, answer, now)
    return json_response(PullSettledList(data=rows))


@post("/webhook-endpoints/{endpoint_id:str}/pull/skip", summary="Skip what waits", opt=_PULL, status_code=204)
async def skip_deliveries(endpoint_id: FromPath[str], context: ContextDependency) -> None:
    """Cancel what waits to be pulled, so that the next pull begins with what comes from now on."""
    endpoint = await _pulled_endpoint(context, endpoint_id)
    await context.write(lambda c: note(c, context.audit_change(), "endpoint.deliveries_skipped", endpoint.id))
    while not await context.write(lambda c: context.endpoints(c).cancel(endpoint.id, STRIDE)):
        pass


async def _pulled_endpoint(context: RequestContext, endpoint_id: str) -> Endpoint:
    endpoint = await known_endpoint(context, endpoint_id)
    if endpoint.state != "pulled":
        raise Conflict("Deliveries are sent to this webhook endpoint; none can be pulled.", kind="endpoint-not-pulled")
    return endpoint


def _hand_out(connection: Connection, context: RequestContext, endpoint: Endpoint, limit: int) -> list[Handed]:
    services, registry = context.services, context.services.store.registry()
    barred = {order_key(a.id, contact) for contact in registry.erasing for a in registry.accounts.values()}
    now = services.clock.now()
    return [
        pulling.hand_out(work, endpoint, edit, wire=services.wire, now=now)
        for work, edit in pulled.waiting(connection, context.organization_id, endpoint.id, limit)
        if work.delivery.order_key not in barred
    ]


def _give_up(connection: Connection, context: RequestContext, endpoint: Endpoint, faulty: list[Handed]) -> None:
    """End deliveries that cannot be handed out, so that they do not come first for ever."""
    now = context.services.clock.now()
    for each in faulty:
        delivery = pulled.get(connection, context.organization_id, endpoint.id, each.work.delivery.id)
        if delivery is not None and pulling.is_answered_by(delivery, each.receipt, now):
            pulled.settle(connection, context.services.store, [pulling.unmade(each, endpoint, now)], now)


def _shown(handed: Handed) -> PulledDelivery:
    delivery, event, request = handed.work.delivery, handed.work.event, handed.request
    assert request is not None  # noqa: S101 - those without one are given up
    them = event.snapshot.participants
    try:
        text, raw = request.body.decode(), None
    except UnicodeDecodeError:
        text, raw = None, base64.b64encode(request.body).decode()
    return PulledDelivery(
        delivery_id=delivery.id,
        receipt=handed.receipt.text,
        event=event.name,
        contact=(them.name or them.contact) if them is not None else None,
        webhook_id=delivery.webhook_id,
        headers=list(request.headers),
        body=text,
        body_base64=raw,
    )


def _receipts(answers: list[PullAnswer]) -> list[Receipt]:
    receipts = [Receipt.read(each.receipt) for each in answers]
    faults = [(f"/answers/{i}/receipt", "is no receipt") for i, each in enumerate(receipts) if each is None]
    faults += [
        (f"/answers/{i}/failure", f"must be one of {', '.join(filter(None, _FAILURES))}, or empty")
        for i, each in enumerate(answers)
        if each.failure not in _FAILURES
    ]
    faults += [
        (f"/answers/{i}/status", "must be given, unless failure is")
        for i, each in enumerate(answers)
        if not each.status and not each.failure
    ]
    if faults:
        raise Invalid("The answers are not valid; none was counted.", *faults)
    return [each for each in receipts if each is not None]


def _known(connection: Connection, endpoint: Endpoint, answers: list[PullAnswer]) -> dict[str, Delivery]:
    found: dict[str, Delivery] = {}
    faults = []
    for index, answer in enumerate(answers):
        name = answer.delivery_id
        delivery = pulled.get(connection, endpoint.organization_id, endpoint.id, name) if looks_like_id(name) else None
        if delivery is None:
            faults.append((f"/answers/{index}/delivery_id", "is no delivery of this webhook endpoint"))
        else:
            found[name] = delivery
    if faults:
        raise Invalid("Some deliveries are not there; none was counted.", *faults)
    return found


def _result(
    connection: Connection,
    context: RequestContext,
    endpoint: Endpoint,
    delivery: Delivery,
    *,
    receipt: Receipt,
    answer: PullAnswer,
) -> Result:
    """Return the result of an answer; the attempt's headers are made once more, as they were handed out."""
    now = context.services.clock.now()
    event = events.get(connection, delivery.organization_id, delivery.event_id)
    if event is None:
        raise Conflict("The event of this delivery is no longer kept.")
    of_receipt = replace(delivery, replay=receipt.replay)
    edit = replays.replay_edit(connection, of_receipt) if receipt.replay else None
    handed = Handed(Work(of_receipt, event), None, receipt)
    again = pulling.hand_out(handed.work, endpoint, edit, wire=context.services.wire, now=receipt.at)
    return pulling.answered(
        Handed(handed.work, again.request, receipt), endpoint, _answer(answer), url=answer.url, edit=edit, now=now
    )


def _answer(given: PullAnswer) -> Answer:
    failure: Failure = next((each for each in _FAILURES if each == given.failure), "")
    cause = ""
    if failure:
        cause = given.cause or failure
    elif not 200 <= given.status < 300:
        cause = given.cause or f"your server answered {given.status}"
    return Answer(
        status=0 if failure else given.status,
        failure=failure,
        cause=cause,
        body=given.response_body.encode(),
        durations={"total": given.milliseconds},
    )


def _count(context: RequestContext, before: Delivery, given: PullAnswer, now: Micros) -> None:
    answer = _answer(given)
    decision: Decision = Delivered(now) if answer.ok else Exhausted(counted=True)
    started_at = now - int(given.milliseconds * 1000)
    counting.count(context.services.counters, before, answer, decision, started_at=started_at, now=now)


HANDLERS = (pull_deliveries, answer_deliveries, skip_deliveries)
