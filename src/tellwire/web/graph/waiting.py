"""Wait for Meta's answer to a message, as its caller does, and say what became of it.

A message of a Graph client is sent within `PATIENCE` or not at all: whoever finds later that it is still queued cancels
it, the worker or this process. Meta's answer is handed over by the worker where that runs in this process; otherwise,
when a hint is lost, and when no answer came, the row says what happened: a status may have told.

Source: docs/reference/graph-api.md, "Sending".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from msgspec import Struct

from tellwire.conversations import outgoing
from tellwire.errors import NotFound
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Send
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Micros, micros
from tellwire.sending.answers import MetaAnswer
from tellwire.sending.outcomes import PAIR_IS_FULL, TOO_LATE
from tellwire.stores.queries import due_sends, messages
from tellwire.stores.queries.messages import MessageEntry
from tellwire.web.request import RequestContext

PATIENCE: Micros = micros(2.0)
"""How soon a message has to have its turn."""
LONGEST = 20.0
"""Seconds that a caller waits for Meta's answer."""
_LOOK_HERE = 2.0
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 1.0
_WHILE_STOPPING = 2.0


class Outcome(Struct, frozen=True):
    """What became of a message: Meta's answer where this process has it, else its row and send. `ahead`: it was
    cancelled because of other messages to the same recipient."""

    answer: MetaAnswer | None = None
    entry: MessageEntry | None = None
    ahead: bool = False


async def outcome(context: RequestContext, account: Account, send: Send) -> Outcome:
    """Return what became of a message that was just queued: at the latest after `LONGEST`, as far as is known then."""
    time, draining = asyncio.get_running_loop().time, context.app_state.draining
    ends, pause = time() + LONGEST, _FIRST_LOOK
    while True:
        if draining.is_set():
            ends = min(ends, time() + _WHILE_STOPPING)
        seconds = min(ends - time(), _LOOK_HERE if _sends_here(context, account) else pause)
        expires_in = _expires_in(context, send)
        answer = await _told(context, send.message_id, min(seconds, expires_in) if expires_in > 0 else seconds)
        if answer is not None and answer.word not in ("withheld", "unknown"):
            return Outcome(answer)
        found = await _looked_at(context, account, send.message_id)
        if not send_of(found).open or time() >= ends:
            return found
        pause = min(pause * 2, _LONGEST_LOOK)


def send_of(found: Outcome) -> Send:
    """Return the send of an outcome that was looked up.

    Raises:
        NotFound: there is none: the message was not sent from here.
    """
    if found.entry is None or found.entry.send is None:
        raise NotFound("This message was not sent from here.")
    return found.entry.send


async def entry_of(context: RequestContext, message_id: str) -> MessageEntry:
    """Return a message of the caller's organization.

    Raises:
        NotFound: it is gone, with the person whom it was for.
    """
    entry = await context.read(lambda c: messages.get(c, context.organization_id, message_id))
    if entry is None:
        raise NotFound("The message is there no more.")
    return entry


async def hindered(context: RequestContext, order_key: str) -> bool:
    """Return whether a message is known to have to wait behind others to the same recipient."""
    until = context.services.clock.now() + PATIENCE
    return await context.read(lambda c: due_sends.waits_ahead(c, order_key, until))


async def _told(context: RequestContext, message_id: str, seconds: float) -> MetaAnswer | None:
    """Return Meta's answer once the worker tells it, None when it does not within the time or the server stops."""
    waiting = asyncio.ensure_future(context.services.send_answers.wait(message_id, seconds))
    stopping: asyncio.Future[bool] = asyncio.ensure_future(context.app_state.draining.wait())
    already = context.app_state.draining.is_set()
    first: list[Awaitable[object]] = [waiting] if already else [waiting, stopping]
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
        stopping.cancel()


async def _looked_at(context: RequestContext, account: Account, message_id: str) -> Outcome:
    found = Outcome(entry=await entry_of(context, message_id))
    send = send_of(found)
    if send.state == "queued" and _expires_in(context, send) <= 0:
        ahead = not await context.read(lambda c: due_sends.is_first(c, send))
        await _cancel(context, account, message_id)
        found = Outcome(entry=await entry_of(context, message_id), ahead=ahead)
    return found


async def _cancel(context: RequestContext, account: Account, message_id: str) -> None:
    """Cancel a message whose time is over, unless it has been claimed meanwhile."""

    def decide(ledger: Ledger) -> bool:
        return outgoing.cancel(ledger, account, message_id, cause=TOO_LATE)

    await context.services.store.apply(Keys(own={(account.phone_number_id, message_id)}), decide)


def _expires_in(context: RequestContext, send: Send) -> float:
    return (send.expires_at - context.services.clock.now()) / MICROS


def _sends_here(context: RequestContext, account: Account) -> bool:
    worker = context.services.sending_worker
    return worker is not None and worker.sends_for(account.id)


def is_pair(found: Outcome) -> bool:
    """Return whether a cancelled message was kept back by its recipient's limit or queue."""
    return found.ahead or send_of(found).cause == PAIR_IS_FULL
