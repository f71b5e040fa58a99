"""Deliveries that fail, without a dispatcher: their attempts are recorded as if it had made them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from tests.served import Served

from tellwire.model.deliveries import Attempt, DeliveryState
from tellwire.model.routing import PARTITIONS
from tellwire.ports.storage import Result
from tellwire.stores.failure_store import SqlFailureStore
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import deliveries


def attempted(app: Served, delivery_id: str, failure: str = "503", *, given_up: bool = True, **given: Any) -> None:
    """Record an attempt of a delivery; `failure` is "" for one that succeeds, and `given` are fields of the attempt."""
    columns = [deliveries.c[name] for name in ledger_rows.DELIVERY]
    query = deliveries.select().with_only_columns(*columns).where(deliveries.c.id == delivery_id)
    before = app.run(app.world.store.read(lambda c: ledger_rows.delivery(c.execute(query).one())))
    now, state = app.clock.now(), DeliveryState.DELIVERED
    if failure:
        state = DeliveryState.FAILED if given_up else DeliveryState.RETRYING
    after = replace(before, state=state, attempts=before.attempts + 1, failure=failure, updated_at=now)
    after = replace(after, delivered_at=0 if failure else now, first_attempt_at=before.first_attempt_at or now)
    attempt = Attempt(
        delivery_id=before.id,
        organization_id=before.organization_id,
        number=after.attempts,
        started_at=now,
        outcome="failed" if failure else "delivered",
        cause=given.pop("cause", f"your server answered {failure}" if failure else ""),
        response_status=given.pop("response_status", int(failure) if failure.isdigit() else 0 if failure else 200),
        **given,
    )
    lease = app.run(app.world.outbox.renew("a test"))
    assert len(lease.partitions) == PARTITIONS
    assert app.run(app.world.outbox.record([Result(after, attempt, lease.partitions[before.partition])])) == frozenset()


def stock(app: Served) -> list[Any]:
    """Take stock of what fails, and return what the API then shows."""
    app.run(SqlFailureStore(app.world.store).take_stock(app.clock.now()))
    found: list[Any] = app.get("/v1/failures")["data"]
    return found
