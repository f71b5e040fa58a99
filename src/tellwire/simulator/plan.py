"""PURE but for the `Random` that is passed in. Plan which statuses of a message Meta will post, and when."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tellwire.simulator.knobs import Knobs
from tellwire.simulator.refusals import failure


class Step(Struct, frozen=True, kw_only=True):
    """A status: it is posted `after` seconds from the send, and states that it happened `happens` seconds from the
    send."""

    name: str
    after: float
    happens: float
    errors: tuple[dict[str, Any], ...] = ()
    priced: bool = False


def steps(knobs: Knobs, random: Random, *, voice: bool = False, failure_code: int = 0) -> list[Step]:
    """Return the statuses of a message in the order in which they are posted, without those that are lost.

    Args:
        voice: whether it is a voice message, which may be played too.
        failure_code: the code of the failed status, 0 for a message that succeeds.
    """
    life = _life(knobs, random, voice=voice, failure_code=failure_code)
    if random.random() < knobs.reorder_rate:
        times = [step.after for step in life]
        life = [replace(step, after=after) for step, after in zip(reversed(life), times, strict=True)]
    posted: list[Step] = []
    for step in life:
        if random.random() < knobs.loss_rate:
            continue
        late = knobs.late_seconds if random.random() < knobs.late_rate else 0.0
        posted.append(replace(step, after=step.after + late))
        if random.random() < knobs.duplicate_rate:
            posted.append(posted[-1])
    return posted


def _life(knobs: Knobs, random: Random, *, voice: bool, failure_code: int) -> list[Step]:
    """Return the statuses in the order in which they happen."""
    if failure_code:
        at = knobs.failed_after
        return [Step(name="failed", after=at, happens=at, errors=(failure(failure_code),))]
    at = knobs.sent_after
    life = [Step(name="sent", after=at, happens=at, priced=True)]
    arrives = random.random() < knobs.delivered_rate
    opened = random.random() < knobs.open_chat_rate
    read = random.random() < knobs.read_rate
    if not arrives:
        return life
    at += knobs.delivered_after
    if not (opened and read):
        life.append(Step(name="delivered", after=at, happens=at, priced=True))
    if read:
        at += knobs.read_after
        life.append(Step(name="read", after=at, happens=at, priced=opened))
    if read and voice:
        at += knobs.played_after
        life.append(Step(name="played", after=at, happens=at))
    return life


def pricing(category: str, *, in_window: bool) -> dict[str, Any]:
    """Return the `pricing` of a status for a message of this category ("service" for all but templates), as of v24."""
    free = in_window and category in ("service", "utility")
    return {
        "billable": not free,
        "pricing_model": "PMP",
        "category": category,
        "type": "free_customer_service" if free else "regular",
    }
