"""Outgoing messages as the sending worker asks for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tellwire.model.messaging import Send
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros
from tellwire.ports.queues import AccountSends, DueSend, RecentSends
from tellwire.stores.queries import code_masking, due_sends
from tellwire.stores.query_runner import Transactions


class SqlDueSends:
    """`DueSends` over a store."""

    def __init__(self, store: Transactions) -> None:
        self._store = store

    async def by_account(self, account_ids: Collection[str], now: Micros) -> Sequence[AccountSends]:
        """Make two look-ups for each account, however much waits."""
        return await self._store.read(lambda c: due_sends.dues(c, account_ids, now))

    async def first_of_each(self, account_id: str, now: Micros, limit: int) -> Sequence[DueSend]:
        """Return the sends of an account that are due and the first of their order key."""
        return await self._store.read(lambda c: due_sends.heads(c, account_id, now, limit))

    async def left_behind(self, epochs: Mapping[int, int]) -> Sequence[Send]:
        """Return the sends that are in flight under older leases."""
        return await self._store.read(lambda c: due_sends.left_behind(c, epochs))

    async def sent_lately(
        self, account_id: str, *, since: Micros, ended_after: Micros, later: Micros, linger: Micros
    ) -> tuple[Sequence[RecentSends], int]:
        """Return what an account sent by recipient, and how many of these ended late, as of one moment."""
        return await self._store.read(
            lambda c: (
                due_sends.recent(c, account_id, since, later, linger),
                due_sends.ended_since(c, account_id, since, ended_after),
            )
        )

    async def is_for_codes(self, account: Account, template: str, language: str) -> bool | None:
        """Tell whether a template is for one-time codes."""
        return await self._store.read(lambda c: due_sends.is_authentication(c, account, template, language))

    async def mask_events(self, send: Send, content: bytes) -> None:
        """Rewrite the message's events."""
        await self._store.write(
            lambda c: code_masking.mask_events(c, send.organization_id, send.conversation_id, send.message_id, content)
        )
