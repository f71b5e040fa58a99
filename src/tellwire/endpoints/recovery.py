"""PURE. What is delivered once more when an endpoint recovers what it missed (docs/reference/delivery.md, "Recovery").

A job walks over a span in the order of ids. All that it has dealt with lies at or below its cursor, which moves in the
transaction of the work itself: it can be cut off anywhere, and gone on with by anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tellwire.model.deliveries import Delivery, DeliveryState, Endpoint, Event
from tellwire.model.registry import Registry
from tellwire.model.routing import NamesOf, Routes, partition
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros

Include = Literal["failed", "missing", "all"]
"""Failed deliveries; also events that the endpoint subscribes to and never got; everything, delivered or not."""
State = Literal["queued", "running", "done", "failed", "cancelled"]

KIND = "recover"

_AGAIN = {
    "failed": (DeliveryState.FAILED,),
    "missing": (DeliveryState.FAILED,),
    "all": (DeliveryState.FAILED, DeliveryState.DELIVERED),
}


class RecoveryBounds(Struct, frozen=True, kw_only=True):
    """How much at once. `scan`: rows looked at per stride; `batch`: what one transaction makes due; `window`: replays
    that an endpoint may have waiting before a job adds more, since a million of them would crowd out others."""

    scan: int = 1_000
    batch: int = 500
    window: int = 1_000


class Wanted(Struct, frozen=True, kw_only=True):
    """What a job was asked to do. `until` is not included."""

    since: Micros
    until: Micros
    include: Include
    new_id: bool = False


class Job(Struct, frozen=True, kw_only=True):
    """A recovery under way, or over. `looked_at`: rows gone through; `done`: deliveries that were made due."""

    id: str
    organization_id: str
    endpoint_id: str
    wanted: Wanted
    kind: str = KIND
    state: State = "queued"
    detail: str = ""
    cursor: str = ""
    turns: int = 0
    looked_at: int = 0
    done: int = 0
    last_due_at: Micros = 0
    created_at: Micros = 0
    updated_at: Micros = 0
    finished_at: Micros = 0


class RecoveryStep(Struct, frozen=True):
    """How a job stands after a batch: there is more to do ("on"), or not just now ("full"), or not at all ("over")."""

    job: Job
    came: Literal["on", "full", "over"]


class Find(Struct, frozen=True):
    """A place in the span: an event, and the delivery of it that the endpoint has, if it has one.

    `id` is what the cursor moves over: the delivery's for `failed`, else the event's.
    """

    id: str
    event: Event
    delivery: Delivery | None


def wants(endpoint: Endpoint, accounts: Mapping[str, Account], names: Mapping[str, NamesOf]) -> Routes:
    """Routes to this endpoint alone, as it subscribes now."""
    registry = Registry(version=0, accounts=dict(accounts), endpoints={endpoint.id: endpoint})
    return Routes(registry, names)


def is_for(routes: Routes, event: Event, endpoint_id: str) -> bool:
    """Whether the endpoint would get this event now; never news about itself."""
    return bool(routes.of(event)) and not (event.entity == "operational" and event.order_key == endpoint_id)


def is_due(find: Find, include: Include) -> bool:
    """Whether something is to be delivered. What is on its way, parked or cancelled is left alone."""
    if find.delivery is None:
        return include != "failed"
    return find.delivery.state in _AGAIN[include]


def created(
    event: Event, endpoint_id: str, *, identifier: str, webhook_id: str, due_at: Micros, now: Micros
) -> Delivery:
    """The delivery of an event that never had one: without a sequence, since it comes out of its turn."""
    return Delivery(
        id=identifier,
        organization_id=event.organization_id,
        event_id=event.id,
        endpoint_id=endpoint_id,
        order_key=event.order_key,
        partition=partition(endpoint_id, event.order_key),
        lane="replay",
        replay=1,
        webhook_id=webhook_id,
        due_at=due_at,
        created_at=now,
        updated_at=now,
    )


def chosen(finds: Iterable[Find], include: Include, *, most: int, end: str) -> tuple[list[Find], str]:
    """What to make due now, at most `most`, and the cursor after that; `end` when all of it found room."""
    due: list[Find] = []
    for find in finds:
        if is_due(find, include):
            if len(due) == most:
                return due, due[-1].id if due else ""
            due.append(find)
    return due, end


def moved(job: Job, *, cursor: str, looked_at: int, done: int, last_due_at: Micros, over: bool, now: Micros) -> Job:
    """A job after a stride."""
    return replace(
        job,
        state="done" if over else "running",
        detail="",
        cursor=cursor or job.cursor,
        turns=job.turns + 1,
        looked_at=job.looked_at + looked_at,
        done=job.done + done,
        last_due_at=max(job.last_due_at, last_due_at),
        updated_at=now,
        finished_at=now if over else 0,
    )


def ended(job: Job, state: State, detail: str, now: Micros) -> Job:
    """A job that does not go on."""
    return replace(job, state=state, detail=detail, turns=job.turns + 1, updated_at=now, finished_at=now)


def waiting(job: Job, detail: str, now: Micros) -> Job:
    """A job that can do nothing just now."""
    return replace(job, detail=detail, updated_at=now)
