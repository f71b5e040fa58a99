"""What has to be done now and then: idle conversations close, items that waited for an account are applied, health is
reported, and recoveries go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from tellwire.conversations.lifecycle import close_if_idle
from tellwire.inbox.ingest import Ingest
from tellwire.model.inbound import WaitingPost
from tellwire.model.ledger import ConversationKey, Keys, Ledger
from tellwire.model.registry import Registry
from tellwire.model.units import Micros
from tellwire.ports.clock import Clock
from tellwire.ports.storage import LedgerStore

_BATCH = 200


class Waiting(LedgerStore, Protocol):
    """What the chores need of the store beside `LedgerStore`."""

    def registry(self) -> Registry: ...

    async def idle_conversations(self, *, limit: int) -> list[ConversationKey]: ...

    async def unrouted(self, phone_number_id: str, *, after: str, limit: int) -> list[WaitingPost]: ...


async def close_idle_conversations(store: Waiting, *, window: Micros) -> int:
    """Close every conversation that has been idle for the window (docs/reference/formats.md, "Conversations").

    Returns: how many were closed.
    """
    if window <= 0:
        return 0
    closed = 0
    while keys := await store.idle_conversations(limit=_BATCH):
        closed += await store.apply(Keys(conversations=set(keys)), _closer(keys, window))
    return closed


def _closer(keys: Sequence[ConversationKey], window: Micros) -> Callable[[Ledger], int]:
    def decide(ledger: Ledger) -> int:
        known = [ledger.conversations[key.id] for key in keys if key.id in ledger.conversations]
        return sum(close_if_idle(ledger, conversation, window=window) for conversation in known)

    return decide


async def route_unrouted(store: Waiting, ingest: Ingest, phone_number_id: str) -> int:
    """Apply, in the order they came, the items that waited for this account, then the news of its business account.

    Returns: how many POSTs were gone through.
    """
    account, done = store.registry().accounts.get(phone_number_id), 0
    for name in (phone_number_id, account.waba_id if account else ""):
        after = ""
        while waiting := await store.unrouted(name, after=after, limit=_BATCH) if name else []:
            for post in waiting:
                await ingest.reapply(post.inbound, post.pointers)
                after = post.inbound.id
                done += 1
    return done


async def apply_held(
    over: Callable[[Micros, int], Awaitable[Sequence[WaitingPost]]], ingest: Ingest, clock: Clock
) -> int:
    """Apply what was held for a while and has waited for long enough (`over`): what it waited for has not come.

    Returns: how many POSTs were gone through.
    """
    done = 0
    while posts := await over(clock.now(), _BATCH):
        for post in posts:
            await ingest.reapply(post.inbound, post.pointers)
            done += 1
    return done
