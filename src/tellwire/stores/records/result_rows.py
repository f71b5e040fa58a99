"""The columns of a delivery that the result of an attempt changes, for every database."""

from __future__ import annotations

OF_ANY_REPLAY = ("attempts", "delivered_at", "updated_at")
"""The columns that a result always sets."""
CHANGED = (
    "state",
    "attempts",
    "counted_attempts",
    "out_of_order",
    "lane",
    "due_at",
    "first_attempt_at",
    "delivered_at",
    "updated_at",
    "failure",
)
OF_THIS_REPLAY = tuple(name for name in CHANGED if name not in OF_ANY_REPLAY)
"""The columns that a result sets unless the delivery was replayed while the attempt was in flight."""


def assignments(row: str) -> str:
    """Return the SET list of an update of deliveries, called `row` in the statement, from results called `v`.

    A delivery that was replayed while its attempt was in flight stays due, whatever the result.
    """
    return ", ".join(
        f"{name}=v.{name}"
        if name in OF_ANY_REPLAY
        else f"{name}=CASE WHEN {row}.replay = v.replay THEN v.{name} ELSE {row}.{name} END"
        for name in CHANGED
    )
