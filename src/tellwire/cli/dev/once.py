"""Run the main job once: a text, an image and a status come in, an answer goes out and is read, and everything is
delivered under every format."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from tellwire.cli.dev.catcher import Catch, Catcher
from tellwire.cli.dev.chat import act, customer_of
from tellwire.cli.dev.journeys import places_of_new
from tellwire.cli.dev.stack import Stack
from tellwire.errors import TellwireError
from tellwire.model.registry import META
from tellwire.simulator import BUSINESS, PEOPLE, Knobs
from tellwire_sdk import ChatStatus, ConversationRow, MessageRow, RowEvent

_SECONDS = 30
_WAY = ("sent", "delivered", "read")
_SENT_ON = (META,)
"""The formats that deliver events of their own beside those of rows: one for each message that comes."""
KNOBS = Knobs(sent_after=0.01, delivered_after=0.01, read_after=0.01)
"""The simulator's settings: everybody reads at once."""


async def once(stack: Stack) -> None:
    """Run the round, and return when everything has arrived under every format, each verified.

    Raises:
        TellwireError: something was refused, did not verify or did not arrive in time.
    """
    customer = customer_of(stack.meta)
    updates = [
        *act(stack.meta, customer, "text"),
        *act(stack.meta, customer, "image", caption="This one"),
        customer.status(customer.sent_message(), "delivered", at=int(time.time())),
    ]
    for update in updates:
        answer = await stack.poster.post_updates(update)
        if answer.status != 200:
            raise TellwireError(f"the POST of a simulated {update.title} was answered {answer.status} {answer.cause}")
    wamids = {update.wamid for update in updates}
    to = {"account": BUSINESS.phone_number_id, "to": f"+{PEOPLE[0].wa_id}"}
    reply = await stack.rest.call("POST", "/v1/messages", {**to, "type": "text", "text": {"body": "Yes, it is."}})
    try:
        async with asyncio.timeout(_SECONDS):
            await stack.catcher.until(lambda: arrived(stack.catcher.recent, wamids, reply["id"], stack.catcher.tallies))
    except TimeoutError:
        raise TellwireError(f"not everything arrived within {_SECONDS} s: {summary(stack.catcher)}") from None
    for catch in stack.catcher.recent:
        if not catch.verified:
            raise TellwireError(f"a delivery of the {catch.format} format did not verify: {catch.error}")


def arrived(catches: Iterable[Catch], wamids: set[str], reply: str, formats: Iterable[str]) -> bool:
    """Return whether everything has come: the rows of these messages and of a conversation, a payload of each of the
    messages under every format that delivers it, and all statuses of the reply, as rows and as chat payloads."""
    rows: dict[str, MessageRow] = {}
    conversation = False
    told: set[tuple[str, str]] = set()
    row_statuses: set[str] = set()
    chat_statuses: set[str] = set()
    for catch in catches:
        if catch.verified:
            told.add((catch.format, catch.message_id))
        match catch.payload:
            case RowEvent(data=MessageRow(id=message_id) as row) if message_id == reply:
                row_statuses.update(row.status or {})
            case RowEvent(data=MessageRow() as row):
                rows[row.wa_id or ""] = row
            case RowEvent(data=ConversationRow()):
                conversation = True
            case ChatStatus(statuses=statuses) if catch.message_id == reply:
                chat_statuses.update(status.status for status in statuses)
    formats = tuple(formats)
    answered = row_statuses >= {"pending", *_WAY} and chat_statuses >= {*_WAY}
    if not (answered and conversation and rows.keys() >= wamids):
        return False
    news = [(name, rows[wamid]) for wamid in wamids for name in {*places_of_new(rows[wamid], formats), *_SENT_ON}]
    return all((name, row.id) in told for name, row in news if name in formats)


def summary(catcher: Catcher) -> str:
    """Return how many deliveries were caught, in words."""
    return "; ".join(
        f"{name}: {tally.received} received, {tally.verified} verified, {tally.failed} failed"
        for name, tally in catcher.tallies.items()
    )
