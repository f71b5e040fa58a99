"""Closes idle conversations, and applies items that waited for an account or were held."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tellwire.conversations.lifecycle import close_if_idle
from tellwire.inbox.ingest import Ingest
from tellwire.model.keys import ConversationKey, Keys
from tellwire.model.ledger import Ledger
from tellwire.model.registry import Registry
from tellwire.model.units import Micros
from tellwire.ports.clock import Clock
from tellwire.ports.queues import HeldItems, WaitingItems

_BATCH = 200
_POSTS_AT_ONCE = 8
"""POSTs that are read at once, each with a body of up to 4 MiB."""


class Housekeeping:
    """Keeps the inbox in order, in the one process that does so for all.

    Args:
        store, held, clock: conversations and items that wait for accounts, items held for messages, and the time.
        ingest: applies items again.
        window: micros after which an idle conversation closes.
    """

    def __init__(self, store: WaitingItems, held: HeldItems, ingest: Ingest, clock: Clock, *, window: Micros) -> None:
        self._store = store
        self._held = held
        self._ingest = ingest
        self._clock = clock
        self._window = window
        self._routed: set[tuple[str, str]] = set()
        store.on_changed(self._accounts_changed)

    async def round(self) -> None:
        """Close idle conversations, and apply what was held for long enough."""
        await close_idle_conversations(self._store, window=self._window)
        await apply_held(self._held, self._ingest, self._clock)

    async def route_new_accounts(self) -> None:
        """Apply what waited for accounts that are new, or have another business account, since the last call."""
        for phone_number_id, _ in _account_ids(self._store.registry()) - self._routed:
            await self.route_unrouted(phone_number_id)

    async def route_unrouted(self, phone_number_id: str) -> int:
        """Apply what waited for this account; return the number of POSTs that were applied again."""
        if account := self._store.registry().accounts.get(phone_number_id):
            self._routed.add((phone_number_id, account.waba_id))
        return await route_unrouted(self._store, self._ingest, phone_number_id)

    def _accounts_changed(self, registry: Registry) -> None:
        """Forget accounts that are gone, so that one that is added again counts as new."""
        self._routed &= _account_ids(registry)


def _account_ids(registry: Registry) -> set[tuple[str, str]]:
    """Return the phone number id and the business account id of every account."""
    return {(account.phone_number_id, account.waba_id) for account in registry.accounts.values()}


async def close_idle_conversations(store: WaitingItems, *, window: Micros) -> int:
    """Close every conversation that has been idle for the window (docs/reference/formats.md, "Conversations").

    Returns: how many conversations were closed.
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


async def route_unrouted(store: WaitingItems, ingest: Ingest, phone_number_id: str) -> int:
    """Apply the items that waited for this account in the order they came, then the notices about its business account.

    Returns: how many POSTs were applied again.
    """
    account, done = store.registry().accounts.get(phone_number_id), 0
    for name in (phone_number_id, account.waba_id if account else ""):
        after = ""
        while waiting := await store.unrouted(name, after=after, limit=_POSTS_AT_ONCE) if name else []:
            for post in waiting:
                await ingest.reapply(post.inbound, post.pointers)
                after = post.inbound.id
                done += 1
    return done


async def apply_held(held: HeldItems, ingest: Ingest, clock: Clock) -> int:
    """Apply the items that were held for long enough: the message that they waited for has not come.

    Returns: how many POSTs were applied again.
    """
    done = 0
    while posts := await held.waited_long_enough(clock.now(), _POSTS_AT_ONCE):
        for post in posts:
            await ingest.reapply(post.inbound, post.pointers, whose=post.inbound.organization_id)
            done += 1
    return done
