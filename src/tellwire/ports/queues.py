"""What the loops ask of the store beside a ledger: the rows that are due, and what became of them.

Every call is one transaction of its own. One that writes returns once that is durable; all raise `Unavailable` when the
store cannot be reached or cannot commit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from tellwire.model.messaging import Media, Send
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros

# --- messages to be sent to Meta --------------------------------------------------------------------------------------


class DueSend(Struct, frozen=True):
    """A send that may go out now. `late`: the customer service window has closed since it was asked for."""

    send: Send
    late: bool


class AccountSends(Struct, frozen=True):
    """Whether an account has something `due`, and when the `following` becomes so (0: nothing does by time)."""

    account_id: str
    due: bool
    following: Micros


class RecentSends(Struct, frozen=True):
    """Sends to one recipient of late. `last`: when the last of them was recorded, the future for one in flight."""

    order_key: str
    recipient: str
    count: int
    last: Micros


class DueSends(Protocol):
    """Outgoing messages: what is due, who goes first, and what an earlier owner left behind."""

    async def by_account(self, account_ids: Collection[str], now: Micros) -> Sequence[AccountSends]:
        """Tell for each account whether anything is due now, and when the next send becomes due."""
        ...

    async def first_of_each(self, account_id: str, now: Micros, limit: int) -> Sequence[DueSend]:
        """Return the sends of an account that are due and the first of their order key, longest due first."""
        ...

    async def left_behind(self, epochs: Mapping[int, int]) -> Sequence[Send]:
        """Return the sends that are in flight under older leases than these (epochs by partition)."""
        ...

    async def sent_lately(
        self, account_id: str, *, since: Micros, ended_after: Micros, later: Micros, linger: Micros
    ) -> tuple[Sequence[RecentSends], int]:
        """Return, in one look, what an account sent since then by recipient, and how many of these ended late.

        Args:
            since: when the first of them began.
            ended_after: those that ended after it, or have not ended, are counted in the second result.
            later: stands for the end of what has none yet.
            linger: what ended without an answer may have arrived so much later.
        """
        ...

    async def is_for_codes(self, account: Account, template: str, language: str) -> bool | None:
        """Tell whether a template is for one-time codes; None when the template is not known here."""
        ...

    async def mask_events(self, send: Send, content: bytes) -> None:
        """Let every event of a message show `content` where it shows the message's content."""
        ...


# --- files of messages ------------------------------------------------------------------------------------------------


class Downloads(Protocol):
    """Files of messages that are to be fetched from Meta, and erased ones whose bytes are to be removed."""

    async def due(self, now: Micros, without: Collection[str], limit: int) -> Sequence[Media]:
        """Return the files whose turn to be fetched has come, longest due first; `without` names ids to leave out."""
        ...

    async def hurry(self, account_ids: Collection[str], now: Micros) -> None:
        """Make due at once what waits for these accounts."""
        ...

    async def get(self, organization_id: str, media_id: str) -> Media | None:
        """Return a file as it stands now."""
        ...

    async def settle(self, before: Media, after: Media, news: OperationalEvent | None = None) -> bool:
        """Write how a file stands now, with the event that tells of it, unless the row no longer stands as `before`.

        Returns: whether it was written.
        """
        ...

    async def erased(self, now: Micros, limit: int) -> Sequence[Media]:
        """Return erased files whose bytes are to be removed now, perhaps once more."""
        ...

    async def removed(self, files: Sequence[Media], now: Micros) -> None:
        """Note that the bytes of erased files are gone: each is looked after once more later, then its row goes."""
        ...


class UploadedFiles(Protocol):
    """Files of ours as outgoing messages name them, with the ids under which Meta knows them."""

    async def these(self, organization_id: str, media_ids: Sequence[str]) -> Sequence[Media]:
        """Return those files of an organization that are among these ids."""
        ...

    async def settle(self, before: Media, after: Media) -> bool:
        """Write how a file stands now, unless its row no longer stands as `before`; return whether it was written."""
        ...
