"""What the simulated customer of `dev` does: a short varied chat, then a slower one that goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import chain, cycle
from random import Random

from tellwire.ports import Answer
from tellwire.simulator import BUSINESS, HAPPENINGS, PEOPLE, Customer, Poster, Update

_OPENING = ("text", "status", "reply", "image", "reaction")
_THEN = ("text", "location", "status", "audio", "edit", "document", "failure", "sticker", "contacts", "interactive")
_FIRST_SECONDS, _PAUSE_SECONDS, _LATER_SECONDS = 1.0, 3.0, 15.0
_LIVELY = 30


async def converse(
    poster: Poster, *, before: Callable[[Update], None], after: Callable[[Update, Answer], None]
) -> None:
    """Let a customer chat until cancelled; `before` and `after` hear of each update that is posted.

    Statuses are of messages that other code would have sent: nobody answers here.
    """
    customer = Customer(PEOPLE[0], BUSINESS, Random())  # noqa: S311 - a game, not a secret
    pause = _FIRST_SECONDS
    for number, name in enumerate(chain(_OPENING, cycle(_THEN))):
        await asyncio.sleep(pause)
        for update in HAPPENINGS[name](customer, int(time.time())):
            before(update)
            after(update, await poster.tell(update))
            await asyncio.sleep(_FIRST_SECONDS)
        pause = _PAUSE_SECONDS if number < _LIVELY else _LATER_SECONDS
