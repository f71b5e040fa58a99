"""PURE. Deliveries that are pulled: how one is handed out, and what an answer makes of it.

Source: docs/reference/delivery.md, "Pulled deliveries".

A receipt names one handing out: the attempt, the replay and the time that its signature is of. So an answer that comes
twice, or late after a replay, counts once and for what it answers.
"""

from __future__ import annotations

from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from tellwire.delivery import attempt as attempts
from tellwire.delivery.attempt import Try, Wire
from tellwire.delivery.retry import Attribution, Decision, Delivered, Exhausted
from tellwire.model.deliveries import Delivery, DeliveryState, Endpoint, ReplayEdit, Work
from tellwire.model.units import MINUTE, Micros
from tellwire.ports.http_out import Answer, Request
from tellwire.ports.storage import Result

_LONGEST_NUMBER = 18


class Receipt(Struct, frozen=True):
    """Which handing out of a delivery is meant: the number of the attempt, of the replay, and when it was made."""

    attempt: int
    replay: int
    at: Micros

    @property
    def text(self) -> str:
        """The receipt as callers see it."""
        return f"{self.attempt}.{self.replay}.{self.at}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return the receipt that a text is, None when it is none."""
        parts = text.split(".")
        if len(parts) != 3 or not all(p.isascii() and p.isdigit() and len(p) <= _LONGEST_NUMBER for p in parts):
            return None
        return cls(*map(int, parts))


class Handed(Struct, frozen=True):
    """A delivery as it is handed out: the request to make of it, None when it cannot be made; `fault` says why."""

    work: Work
    request: Request | None
    receipt: Receipt
    fault: str = ""


def hand_out(work: Work, endpoint: Endpoint, edit: ReplayEdit | None, *, wire: Wire, now: Micros) -> Handed:
    """Make the request of a delivery that is pulled."""
    receipt = Receipt(work.delivery.attempts + 1, work.delivery.replay, now)
    try:
        request = attempts.request(work, endpoint, now=now, wire=wire, edit=edit)
    except Exception as error:  # noqa: BLE001 - what can't be encoded costs its own delivery, not the others
        return Handed(work, None, receipt, f"the request could not be made ({type(error).__name__})")
    return Handed(work, request, receipt)


def is_answered_by(delivery: Delivery, receipt: Receipt, now: Micros) -> bool:
    """Return whether an answer counts: the delivery still waits, and this is the attempt that it waits for."""
    return (
        delivery.state is DeliveryState.PARKED
        and receipt.attempt == delivery.attempts + 1
        and receipt.replay <= delivery.replay
        and delivery.created_at <= receipt.at <= now + MINUTE
    )


def answered(
    handed: Handed, endpoint: Endpoint, answer: Answer, *, url: str, edit: ReplayEdit | None, now: Micros
) -> Result:
    """Return what an answer makes of a delivery: a 2xx delivers it, anything else ends it as failed.

    Nothing is tried again by itself: whoever pulls sees the failure, and replays the delivery.

    Args:
        handed: the delivery as it was handed out.
        url: where it was sent on to.
        now: when the answer came to us.
    """
    work = handed.work
    before = replace(work.delivery, replay=handed.receipt.replay)
    tried = Try(
        work=Work(before, work.event),
        endpoint=replace(endpoint, url=url),
        request=replace(handed.request or Request(url=url), url=url),
        answer=answer,
        started_at=handed.receipt.at,
        ended_at=now,
        edit=edit,
    )
    decision: Decision = Delivered(now) if answer.ok else Exhausted(counted=True)
    (result,) = attempts.settle(tried, decision=decision, attribution=Attribution(counted=True))
    return result


def unmade(handed: Handed, endpoint: Endpoint, now: Micros) -> Result:
    """Return what becomes of a delivery that cannot be handed out: failed, or cancelled when its format has no place
    for the event."""
    if not handed.fault:
        return attempts.cancelled(handed.work.delivery, now)
    answer = Answer(failure="protocol", cause=handed.fault)
    return answered(handed, endpoint, answer, url="", edit=None, now=now)
