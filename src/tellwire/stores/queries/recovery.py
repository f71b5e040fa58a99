"""The search of a recovery in its span of time, and the replays and deliveries that it makes due."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, func, insert, select, text

from tellwire.endpoints import recovery
from tellwire.endpoints.recovery import Find, Job, created
from tellwire.ids import id_floor
from tellwire.model.deliveries import Delivery, DeliveryState, Event
from tellwire.model.routing import Routes
from tellwire.model.tenancy import Account
from tellwire.model.units import DAY, Micros
from tellwire.stores.queries import replays
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.queries.operational import delivery_values
from tellwire.stores.queries.paging import unindexed
from tellwire.stores.queries.replays import QueuedReplay
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import FAILED, FAILING, REPLAYED, accounts, deliveries, events

_TOGETHER = 500
_DELIVERY = tuple(deliveries.c[name] for name in ledger_rows.DELIVERY)
_EVENT = tuple(events.c[name] for name in ledger_rows.EVENT)


class RecoveryScan(Struct, frozen=True):
    """The result of a search: `looked_at` rows up to the id `end` were read; `over`: the span has no more."""

    finds: list[Find]
    end: str
    looked_at: int
    over: bool


def accounts_of(connection: Connection, organization_id: str) -> dict[str, Account]:
    """Return an organization's accounts by phone number id, with only the fields that routes need."""
    query = select(accounts.c.id, accounts.c.phone_number_id).where(accounts.c.organization_id == organization_id)
    return {
        number: Account(id=identifier, organization_id=organization_id, phone_number_id=number)
        for identifier, number in connection.execute(query)
    }


def find(connection: Connection, job: Job, routes: Routes, scan: int) -> RecoveryScan:
    """Search at most `scan` rows behind the job's cursor."""
    if job.wanted.include == "failed":
        return _failed(connection, job, scan)
    return _events(connection, job, routes, scan)


def _bounds(job: Job) -> tuple[str, str]:
    """Return the ids that the rest of the span lies above and below.

    Ids rise with time and are never behind the clock; a clock that was set back by up to a day is allowed for."""
    wanted = job.wanted
    return max(job.cursor, id_floor(wanted.since)), min(job.id, id_floor(wanted.until + DAY))


def _failed(connection: Connection, job: Job, scan: int) -> RecoveryScan:
    above, below = _bounds(job)
    mine = deliveries.c.organization_id == job.organization_id
    if job.wanted.failure:
        of_kind = (deliveries.c.endpoint_id == job.endpoint_id, deliveries.c.failure == job.wanted.failure)
        some = select(deliveries.c.id).where(text(FAILING), *of_kind, deliveries.c.id > above)
        query = some.order_by(deliveries.c.endpoint_id, deliveries.c.failure, deliveries.c.id).limit(scan)
    else:
        # With one bound and this order the planner uses the index of failed deliveries.
        some = select(deliveries.c.id).where(text(FAILED), mine, deliveries.c.id > above)
        query = some.order_by(deliveries.c.organization_id, deliveries.c.id).limit(scan)
    ids = [identifier for identifier in connection.execute(query).scalars() if identifier < below]
    rows: list[Delivery] = []
    for start in range(0, len(ids), _TOGETHER):
        these = deliveries.c.id.in_(ids[start : start + _TOGETHER])
        found = connection.execute(select(*_DELIVERY).where(mine, these).order_by(deliveries.c.id))
        rows += [ledger_rows.delivery(row) for row in found]
    rows = [d for d in rows if d.endpoint_id == job.endpoint_id and _is_within(job, d.created_at)]
    known = _by_id(connection, job.organization_id, [d.event_id for d in rows])
    return _found([Find(d.id, known[d.event_id], d) for d in rows if d.event_id in known], ids, job, scan)


def _events(connection: Connection, job: Job, routes: Routes, scan: int) -> RecoveryScan:
    above, below = _bounds(job)
    mine = events.c.organization_id == job.organization_id
    query = select(*_EVENT).where(mine, events.c.id > above, events.c.id < below).order_by(events.c.id).limit(scan)
    rows = [ledger_rows.event(row) for row in connection.execute(query)]
    wanted = [e for e in rows if _is_within(job, e.created_at) and recovery.is_for(routes, e, job.endpoint_id)]
    known = deliveries_of(connection, job, [event.id for event in wanted])
    return _found([Find(e.id, e, known.get(e.id)) for e in wanted], [e.id for e in rows], job, scan)


def _is_within(job: Job, at: Micros) -> bool:
    return job.wanted.since <= at < job.wanted.until


def _found(finds: list[Find], ids: Sequence[str], job: Job, scan: int) -> RecoveryScan:
    return RecoveryScan(finds, end=ids[-1] if ids else job.cursor, looked_at=len(ids), over=len(ids) < scan)


def _by_id(connection: Connection, organization_id: str, ids: Sequence[str]) -> dict[str, Event]:
    found: dict[str, Event] = {}
    for start in range(0, len(ids), _TOGETHER):
        some = events.c.id.in_(ids[start : start + _TOGETHER])
        query = select(*_EVENT).where(events.c.organization_id == organization_id, some)
        found |= {event.id: event for event in map(ledger_rows.event, connection.execute(query))}
    return found


def deliveries_of(connection: Connection, job: Job, event_ids: Sequence[str]) -> dict[str, Delivery]:
    """Return, by event id, the deliveries of the job's endpoint."""
    found: dict[str, Delivery] = {}
    mine = unindexed(deliveries.c.endpoint_id) == job.endpoint_id
    for start in range(0, len(event_ids), _TOGETHER):
        some = deliveries.c.event_id.in_(event_ids[start : start + _TOGETHER])
        for row in connection.execute(select(*_DELIVERY).where(some, mine).order_by(deliveries.c.id)):
            delivery = ledger_rows.delivery(row)
            found[delivery.event_id] = delivery
    return found


def free_places(connection: Connection, endpoint_id: str, window: int) -> int:
    """Return how many more replays may wait for an endpoint."""
    some = select(deliveries.c.id).where(deliveries.c.endpoint_id == endpoint_id, text(REPLAYED)).limit(window)
    return window - int(connection.execute(select(func.count()).select_from(some.subquery())).scalar_one())


def make_due(
    connection: Connection, change: AuditChange, job: Job, finds: Sequence[Find], *, first: Micros, active: bool
) -> None:
    """Put these into the lane of replays, each due one micro after the one before, which keeps their order; parked
    when their endpoint is not active."""
    replayed, new = [], []
    for due_at, find in enumerate(finds, first):
        if find.delivery is not None:
            webhook_id = replays.fresh_webhook_id(change) if job.wanted.new_id else find.delivery.webhook_id
            replayed.append(QueuedReplay(find.delivery.id, due_at=due_at, webhook_id=webhook_id))
            continue
        identifier = change.new_id()
        delivery = created(
            find.event,
            job.endpoint_id,
            identifier=identifier,
            webhook_id=f"msg_{identifier.replace('-', '')}",
            due_at=due_at,
            now=change.at,
            state=DeliveryState.PENDING if active else DeliveryState.PARKED,
        )
        new.append(delivery_values(delivery, find.event))
    replays.queue_replays(connection, change, replayed, active=active)
    if new:
        connection.execute(insert(deliveries), new)
