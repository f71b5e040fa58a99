"""Payments as Meta tells them among the statuses of a message."""

from __future__ import annotations

from typing import Any

from tests.world import status

AT = 1_778_038_800
WAMID = "wamid.order"


def payment(name: str, at: int, transaction: str | None = None, *, wamid: str = WAMID, **more: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"reference_id": "order-7", "amount": {"value": 21000, "offset": 100}, "currency": "INR"}
    if transaction:
        about["transaction"] = {"id": transaction, "status": "success" if name == "captured" else name}
    return status(wamid, name, at, type="payment", payment=about, **more)


PENDING = payment("pending", AT)
FAILED = payment("failed", AT + 1, "t1")
CAPTURED = payment("captured", AT + 9, "t2")
