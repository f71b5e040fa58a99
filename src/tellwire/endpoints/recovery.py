"""PURE. Decides what is delivered once more when an endpoint recovers what it missed (docs/reference/delivery.md,
"Recovery").

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
    """The bounds of a recovery. `scan`: rows looked at per batch; `batch`: deliveries made due in one transaction;
    `window`: replays that an endpoint may have waiting before a job adds more, since a million of them would crowd out
    others."""

    scan: int = 1_000
    batch: int = 500
    window: int = 1_000


class Wanted(Struct, frozen=True, kw_only=True):
    """The request of a recovery. `until` is not included. `failure`: only deliveries that failed for this reason (see
    `Delivery.failure`), "" for every one."""

    since: Micros
    until: Micros
    include: Include
    new_id: bool = False
    failure: str = ""


class Job(Struct, frozen=True, kw_only=True):
    """A recovery that runs or has ended. `looked_at`: rows gone through; `done`: deliveries that were made due."""

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
    """The state of a job after a batch: there is more to do ("on"), or not at the moment ("full"), or not at all
    ("over")."""

    job: Job
    came: Literal["on", "full", "over"]


class Find(Struct, frozen=True):
    """An event in the span, and the delivery of it that the endpoint has, if there is one.

    `id` is what the cursor moves over: the delivery's for `failed`, else the event's.
    """

    id: str
    event: Event
    delivery: Delivery | None


def wants(endpoint: Endpoint, accounts: Mapping[str, Account], names: Mapping[str, NamesOf]) -> Routes:
    """Return routes to this endpoint alone, with its current subscription."""
    registry = Registry(version=0, accounts=dict(accounts), endpoints={endpoint.id: endpoint})
    return Routes(registry, names)


def is_for(routes: Routes, event: Event, endpoint_id: str) -> bool:
    """Return whether the endpoint would get this event now; it never gets an event about itself."""
    return bool(routes.of(event)) and not (event.entity == "operational" and event.order_key == endpoint_id)


def is_due(find: Find, include: Include) -> bool:
    """Return whether an event is to be delivered; deliveries that are on their way, parked or cancelled are left
    alone."""
    if find.delivery is None:
        return include != "failed"
    return find.delivery.state in _AGAIN[include]


def created(
    event: Event,
    endpoint_id: str,
    *,
    identifier: str,
    webhook_id: str,
    due_at: Micros,
    now: Micros,
    state: DeliveryState,
) -> Delivery:
    """Return a delivery of an event that never had one; it has no sequence, because it comes out of its turn."""
    return Delivery(
        id=identifier,
        organization_id=event.organization_id,
        event_id=event.id,
        endpoint_id=endpoint_id,
        order_key=event.order_key,
        partition=partition(endpoint_id, event.order_key),
        state=state,
        lane="replay",
        replay=1,
        webhook_id=webhook_id,
        due_at=due_at,
        created_at=now,
        updated_at=now,
    )


def chosen(finds: Iterable[Find], include: Include, *, most: int, end: str) -> tuple[list[Find], str]:
    """Return what to make due now, at most `most`, and the cursor after that; `end` when all of it found room."""
    due: list[Find] = []
    for find in finds:
        if is_due(find, include):
            if len(due) == most:
                return due, due[-1].id if due else ""
            due.append(find)
    return due, end


def moved(job: Job, *, cursor: str, looked_at: int, done: int, last_due_at: Micros, over: bool, now: Micros) -> Job:
    """Return a job after a batch."""
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
    """Return a job that has ended."""
    return replace(job, state=state, detail=detail, turns=job.turns + 1, updated_at=now, finished_at=now)


def waiting(job: Job, detail: str, now: Micros) -> Job:
    """Return a job that can do nothing at the moment."""
    return replace(job, detail=detail, updated_at=now)
