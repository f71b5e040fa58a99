"""PURE. What fails at an endpoint and why, as a person deals with it: open, acknowledged or resolved.

Source: docs/reference/delivery.md, "Failures". All deliveries to one endpoint whose last attempt failed for one reason
are one failure. Nobody is asked while attempts are made: now and then stock is taken of what fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from tellwire.model.units import Micros
from tellwire.ports.clock import Clock

State = Literal["open", "acknowledged", "resolved"]


class Failure(Struct, frozen=True, kw_only=True):
    """A failure. `failure`: its reason (see `Delivery.failure`); `cause`: the same in words, of its last attempt.

    `first_at`: when the oldest delivery of it was made; `last_at`: its last failed attempt. `resolved_by` is "" when
    nothing of it was left. `job_id`: its last replay.
    """

    id: str
    organization_id: str
    endpoint_id: str
    failure: str
    cause: str
    state: State = "open"
    first_at: Micros = 0
    last_at: Micros = 0
    acknowledged_at: Micros = 0
    acknowledged_by: str = ""
    note: str = ""
    resolved_at: Micros = 0
    resolved_by: str = ""
    job_id: str = ""


class Seen(Struct, frozen=True, kw_only=True):
    """What fails now. `last_at` is 0 while all of it that is new is on its way once more."""

    organization_id: str
    endpoint_id: str
    failure: str
    cause: str
    first_at: Micros
    last_at: Micros


class FailureStore(Protocol):
    """The store of failures (`stores.failure_store`)."""

    async def take_stock(self, now: Micros) -> None:
        """Write which failures are new, have come again, go on, or are over."""
        ...


async def take_stock(failures: FailureStore, clock: Clock) -> None:
    """Take stock of what fails now."""
    await failures.take_stock(clock.now())


def after(known: Failure | None, seen: Seen | None, *, identifier: str, now: Micros) -> Failure | None:
    """Return a failure as it is after stock was taken, None when nothing about it changed.

    Args:
        known: as it was, None for one that was never seen.
        seen: what of it is there now, None for nothing.
        identifier: the id of a new one.
    """
    if seen is None:
        return None if known is None or known.state == "resolved" else _over(known, now)
    if known is None:
        return Failure(
            id=identifier,
            organization_id=seen.organization_id,
            endpoint_id=seen.endpoint_id,
            failure=seen.failure,
            cause=seen.cause,
            first_at=seen.first_at,
            last_at=seen.last_at or seen.first_at,
        )
    if seen.last_at <= (known.resolved_at if known.state == "resolved" else known.last_at):
        return None
    if known.state == "resolved":
        return _again(known, seen)
    return replace(known, last_at=seen.last_at, cause=seen.cause)


def _over(known: Failure, now: Micros) -> Failure:
    return replace(known, state="resolved", resolved_at=now, resolved_by="")


def _again(known: Failure, seen: Seen) -> Failure:
    return replace(
        known,
        state="open",
        cause=seen.cause,
        first_at=seen.first_at,
        last_at=seen.last_at,
        acknowledged_at=0,
        acknowledged_by="",
        note="",
        resolved_at=0,
        resolved_by="",
        job_id="",
    )


def acknowledged(known: Failure, by: str, note: str, now: Micros) -> Failure:
    """Return a failure that somebody deals with; a resolved one stays as it is."""
    if known.state == "resolved":
        return known
    return replace(known, state="acknowledged", acknowledged_at=now, acknowledged_by=by, note=note)


def resolved(known: Failure, by: str, now: Micros) -> Failure:
    """Return a failure that somebody calls resolved, until it comes again; a resolved one stays as it is."""
    return known if known.state == "resolved" else replace(known, state="resolved", resolved_at=now, resolved_by=by)


class Count(Struct, frozen=True):
    """How many deliveries a failure has: given up, and still on their way or parked. `cut`: there may be more."""

    failed: int
    waiting: int
    cut: bool


def counted(states: Sequence[tuple[str, int]], most: int) -> Count:
    """Return the count of deliveries by state, of which at most `most` were looked at."""
    every, failed = sum(number for _, number in states), sum(number for state, number in states if state == "failed")
    return Count(failed, every - failed, cut=every >= most)
