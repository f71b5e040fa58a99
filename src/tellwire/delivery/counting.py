"""PURE. Counts attempts: what followed and why, and how long the event had been on its way."""

from __future__ import annotations

from typing import assert_never

from tellwire.delivery.retry import Decision, Delivered, Disable, Exhausted, RetryAt
from tellwire.model.deliveries import Delivery
from tellwire.model.units import MICROS, Micros
from tellwire.observability.counters import Counters
from tellwire.ports.http_out import Answer

_ALONE = frozenset((410, 429, 503))
_BEFORE_THE_FIRST_BYTE = ("dns", "connect", "tls")


def cause_of(answer: Answer) -> str:
    """Return the cause of an outcome as one word of a small set: the kind of failure, or the status or its class."""
    if answer.failure:
        return answer.failure
    if answer.status in _ALONE:
        return str(answer.status)
    return f"{answer.status // 100}xx" if 100 <= answer.status < 600 else "other"


def _followed(decision: Decision) -> str:
    match decision:
        case Delivered():
            return "delivered"
        case RetryAt():
            return "retried"
        case Exhausted():
            return "exhausted"
        case Disable():
            return "disabled"
        case _:
            assert_never(decision)


def count(
    counters: Counters, before: Delivery, answer: Answer, decision: Decision, *, started_at: Micros, now: Micros
) -> None:
    """Count an attempt, given the delivery as it was before; `now` is when the answer came."""
    counters.attempts[_followed(decision), cause_of(answer)] += 1
    if before.replay:
        return
    if not before.attempts:
        millis = sum(answer.durations.get(phase, 0.0) for phase in _BEFORE_THE_FIRST_BYTE)
        counters.sent.add((started_at - before.created_at) / MICROS + millis / 1000)
    if isinstance(decision, Delivered):
        counters.accepted.add((now - before.created_at) / MICROS)
