"""The queries for outgoing messages that the sending worker needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tellwire.model.messaging import Send
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros
from tellwire.ports.queues import AccountSends, DueSend, RecentSends
from tellwire.stores.queries import code_masking, due_sends
from tellwire.stores.query_runner import Transactions


class SqlDueSends:
    """`DueSends` over any store."""

    def __init__(self, store: Transactions) -> None:
        self._store = store

    async def by_account(self, account_ids: Collection[str], now: Micros) -> Sequence[AccountSends]:
        """Return what is due for each account, with two look-ups for each however much waits."""
        return await self._store.read(lambda c: due_sends.by_account(c, account_ids, now))

    async def first_of_each(self, account_id: str, now: Micros, limit: int) -> Sequence[DueSend]:
        """Return the sends of an account that are due and the first of their order key."""
        return await self._store.read(lambda c: due_sends.first_of_each(c, account_id, now, limit))

    async def left_behind(self, epochs: Mapping[int, int]) -> Sequence[Send]:
        """Return the sends that are in flight under older leases."""
        return await self._store.read(lambda c: due_sends.left_behind(c, epochs))

    async def sent_lately(
        self, account_id: str, *, since: Micros, ended_after: Micros, later: Micros, linger: Micros
    ) -> tuple[Sequence[RecentSends], int]:
        """Return an account's recent sends by recipient, and how many ended after `ended_after`, in one read."""
        return await self._store.read(
            lambda c: (
                due_sends.recent_sends(c, account_id, since, later, linger),
                due_sends.ended_since(c, account_id, since, ended_after),
            )
        )

    async def is_for_codes(self, account: Account, template: str, language: str) -> bool | None:
        """Return whether a template is for one-time codes; None when it is unknown."""
        return await self._store.read(lambda c: due_sends.is_authentication(c, account, template, language))

    async def mask_events(self, send: Send, content: bytes) -> None:
        """Replace the content in the message's events by `content`, which is masked."""
        await self._store.write(
            lambda c: code_masking.mask_events(c, send.organization_id, send.conversation_id, send.message_id, content)
        )
