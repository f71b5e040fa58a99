"""One round of the main job that ends by itself: a text, an image and a status go in, both payloads come out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from random import Random

from tellwire.catcher import Catch, Catcher
from tellwire.cli.dev.stack import Stack
from tellwire.errors import TellwireError
from tellwire.simulator import BUSINESS, PEOPLE, Customer
from tellwire_sdk import ConversationRow, MessageRow, RowEvent

_SECONDS = 30


async def once(stack: Stack) -> None:
    """Return when everything has arrived under both formats, each verified.

    Raises:
        TellwireError: something was refused, did not verify or did not come in time, with what is known of it.
    """
    customer, now = Customer(PEOPLE[0], BUSINESS, Random()), int(time.time())  # noqa: S311 - a game, not a secret
    updates = [
        customer.text("Hello! Is the blue one still available?", at=now),
        customer.media("image", at=now, caption="This one"),
        customer.status(customer.sent_message(), "delivered", at=now),
    ]
    for update in updates:
        answer = await stack.poster.tell(update)
        if answer.status != 200:
            raise TellwireError(f"the POST of a simulated {update.title} was answered {answer.status} {answer.cause}")
    wamids = {update.wamid for update in updates}
    try:
        async with asyncio.timeout(_SECONDS):
            await stack.catcher.until(lambda: arrived(stack.catcher.recent, wamids))
    except TimeoutError:
        raise TellwireError(f"not everything arrived within {_SECONDS} s: {summary(stack.catcher)}") from None
    for catch in stack.catcher.recent:
        if not catch.verified:
            raise TellwireError(f"a delivery of the {catch.format} format did not verify: {catch.error}")


def arrived(catches: Iterable[Catch], wamids: set[str]) -> bool:
    """Whether rows of these messages and of a conversation have come, and a chat payload for each of the messages."""
    rows: dict[str, str] = {}
    conversation = False
    in_chat = set()
    for catch in catches:
        match catch.payload:
            case RowEvent(data=MessageRow() as row):
                rows[row.wa_id or ""] = row.id
            case RowEvent(data=ConversationRow()):
                conversation = True
            case None:
                pass
            case _:
                in_chat.add(catch.message_id)
    return conversation and rows.keys() >= wamids and {rows[wamid] for wamid in wamids} <= in_chat


def summary(catcher: Catcher) -> str:
    """What was caught, in words."""
    return "; ".join(
        f"{name}: {tally.received} received, {tally.verified} verified, {tally.failed} failed"
        for name, tally in catcher.tallies.items()
    )
