"""PURE. Decides what follows an attempt: delivered, tried again at a time, given up, or the endpoint is disabled.

Source: docs/reference/delivery.md, "Retry" and "Order".

Times are micros; jitter is a number from 0 to 1 and only ever lengthens a gap.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, assert_never

from msgspec import Struct

from tellwire.model.deliveries import Delivery, Lane, Ordering
from tellwire.model.units import MINUTE, Micros, micros
from tellwire.ports.http_out import LONGEST_WAIT, Failure

QUICK = (2.0, 5.0, 13.0, 30.0)
"""Gaps of a lane's head before the schedule, in seconds: tried at 0, 2, 7, 20 and 50 s."""
SCHEDULE = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Gaps in seconds (Standard Webhooks' own example): 10 attempts, about 75.6 h."""
LONGEST_PROBE = MINUTE
_STRETCH = 0.2

Kind = Literal["ok", "gone", "busy", "slow", "whole", "own"]
"""Of whom an answer speaks: `busy` (429), `slow` (503) and `whole` (nobody there) of the endpoint, `own` of this
delivery."""
_BY_STATUS: dict[int, Kind] = {410: "gone", 429: "busy", 503: "slow"}


class Plan(Struct, frozen=True):
    """The gaps between attempts; `given` when a customer or a setting chose them."""

    gaps: tuple[Micros, ...]
    given: bool = False

    @property
    def age(self) -> Micros:
        """From the first attempt to the last, jitter and the attempts' own time aside."""
        return sum(self.gaps)


class Attribution(Struct, frozen=True):
    """What a failure costs its delivery: a gap of its schedule (`counted`), its place in the order (`late`)."""

    counted: bool
    late: bool = False
    out_of_order: bool = False


class Delivered(Struct, frozen=True):
    at: Micros


class RetryAt(Struct, frozen=True):
    due_at: Micros
    counted: bool


class Exhausted(Struct, frozen=True):
    counted: bool


class Disable(Struct, frozen=True):
    reason: str


Decision = Delivered | RetryAt | Exhausted | Disable


@lru_cache(maxsize=1024)
def plan(schedule: tuple[float, ...] | None, ordering: Ordering, lane: Lane = "live") -> Plan:
    """Return the gaps for a delivery; a given schedule (seconds) replaces the quick tries of a lane's head too."""
    if schedule is not None:
        return Plan(_micros(schedule), given=True)
    head = ordering != "none" and lane != "replay"
    return Plan(_micros((*QUICK, *SCHEDULE) if head else SCHEDULE))


def _micros(seconds: Iterable[float]) -> tuple[Micros, ...]:
    return tuple(micros(s) for s in seconds)


def kind_of(status: int, failure: Failure) -> Kind:
    """Classify an answer; only a 2xx is a success."""
    match failure:
        case "":
            pass
        case "protocol":
            return "own"
        case "refused" | "dns" | "tls" | "timeout" | "forbidden" | "broken":
            return "whole"
        case _:
            assert_never(failure)
    if 200 <= status < 300:
        return "ok"
    return _BY_STATUS.get(status, "own")


def pace(of: Plan, attempts: int, jitter: float) -> Micros | None:
    """Return how fast to probe an endpoint that is down with a delivery that has had `attempts` tries: a given
    schedule's next gap, up to a minute; None leaves it to the breaker's own growing gaps."""
    if not of.given or not of.gaps:
        return None
    return _stretched(min(of.gaps[min(attempts, len(of.gaps)) - 1], LONGEST_PROBE), jitter)


def _stretched(gap: Micros, jitter: float) -> Micros:
    return int(gap * (1 + _STRETCH * jitter))


def decide(
    delivery: Delivery,
    kind: Kind,
    *,
    plan: Plan,
    started_at: Micros,
    now: Micros,
    jitter: float,
    counted: bool,
    wait: Micros = 0,
) -> Decision:
    """Return what becomes of a delivery after an attempt.

    Args:
        delivery: as it stood before the attempt.
        kind: what the answer says (`kind_of`).
        plan: its gaps.
        started_at, now: when the attempt began, and when its answer was there.
        jitter: 0 to 1.
        counted: whether the attempt counts, so that it uses up a gap (not while the endpoint as a whole is at fault).
        wait: what the answer asked for (`retry_after`).
    """
    if kind == "ok":
        return Delivered(now)
    if kind == "gone":
        return Disable("it answered 410 Gone")
    attempts, counted_attempts = delivery.attempts + 1, delivery.counted_attempts + counted
    age = now - (delivery.first_attempt_at or started_at)
    if counted_attempts > len(plan.gaps) or _too_old(plan, age, attempts=attempts, counted_attempts=counted_attempts):
        return Exhausted(counted)
    if counted:
        gap = plan.gaps[counted_attempts - 1]
    else:
        gap = plan.gaps[min(attempts, len(plan.gaps)) - 1]
        if delivery.lane != "late":
            gap = min(gap, LONGEST_PROBE)
    return RetryAt(now + max(_stretched(gap, jitter), wait), counted)


def _too_old(plan: Plan, age: Micros, *, attempts: int, counted_attempts: int) -> bool:
    """Return whether a delivery whose attempts do not all count ends for its age, which is then the schedule's.

    It has had as many attempts as the schedule gives, so that slow answers alone don't cost a try, or a longest
    Retry-After has gone by since.
    """
    if age < plan.age or attempts == counted_attempts:
        return False
    return attempts > len(plan.gaps) or age >= plan.age + LONGEST_WAIT
