"""Deliveries with attempts, as a dispatcher would have recorded them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, update
from tests.served import HOOK, Served

from tellwire.model.deliveries import Attempt, DeliveryState
from tellwire.stores.records import attempt_rows
from tellwire.stores.schema.tables import attempts, deliveries


def attempted(
    app: Served,
    delivery: dict[str, Any],
    state: DeliveryState,
    *,
    cause: str = "",
    status: int = 0,
    times: int = 1,
    after: int = 0,
) -> None:
    """Let a delivery have been tried so often, each time with this cause ("": it was taken), `after` earlier attempts,
    and be in a state now."""
    now = app.clock.now()

    def work(connection: Connection) -> None:
        for number in range(after + 1, after + times + 1):
            one = Attempt(
                delivery_id=delivery["id"],
                organization_id=delivery["organization_id"],
                number=number,
                started_at=now,
                outcome="failed" if cause else "delivered",
                cause=cause,
                url=HOOK,
                response_status=status,
                durations={"total": 38.4},
            )
            row = dict(zip(attempt_rows.ATTEMPT, attempt_rows.attempt_row(one), strict=True))
            connection.execute(insert(attempts).values(row))
        done = now if state == DeliveryState.DELIVERED else 0
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery["id"])
            .values(
                state=state.value,
                attempts=after + times,
                delivered_at=done,
                first_attempt_at=now,
                due_at=now + 252_000_000,
            )
        )

    app.write(work)


def of_endpoint(app: Served, endpoint_id: str, message_id: str = "") -> dict[str, Any]:
    """The oldest delivery of an endpoint, of a message if one is named."""
    found: dict[str, Any] = app.get(f"/v1/deliveries?endpoint_id={endpoint_id}&message_id={message_id}")["data"][-1]
    return found
