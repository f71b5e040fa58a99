"""What has to be done now and then: idle conversations close, items that waited for an account are applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tellwire.conversations import close_if_idle
from tellwire.ingest import Ingest
from tellwire.ledger import Keys, Ledger
from tellwire.model import Inbound, Micros
from tellwire.ports import Book

_BATCH = 200


class Waiting(Book, Protocol):
    """What the chores need of the store beside `Book`."""

    async def idle_conversations(self, *, limit: int) -> list[tuple[str, str]]: ...

    async def unrouted(
        self, phone_number_id: str, *, after: str, limit: int
    ) -> list[tuple[Inbound, frozenset[str]]]: ...


async def close_idle_conversations(store: Waiting, *, window: Micros) -> int:
    """Close every conversation that has been idle for the window (FORMATS.md section 4, "Conversations").

    Returns: how many were closed.
    """
    if window <= 0:
        return 0
    closed = 0
    while keys := await store.idle_conversations(limit=_BATCH):
        closed += await store.apply(Keys(conversations=set(keys)), _closer(keys, window))
    return closed


def _closer(keys: Sequence[tuple[str, str]], window: Micros) -> Callable[[Ledger], int]:
    def decide(ledger: Ledger) -> int:
        known = [ledger.conversations[i] for _, i in keys if i in ledger.conversations]
        return sum(close_if_idle(ledger, conversation, window=window) for conversation in known)

    return decide


async def route_unrouted(store: Waiting, ingest: Ingest, phone_number_id: str) -> int:
    """Apply, in the order they came, the items that waited for this account.

    Returns: how many POSTs were gone through.
    """
    done, after = 0, ""
    while waiting := await store.unrouted(phone_number_id, after=after, limit=_BATCH):
        for inbound, pointers in waiting:
            await ingest.reapply(inbound, pointers)
            after = inbound.id
            done += 1
    return done
