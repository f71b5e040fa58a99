"""Declares what the loops ask of the store beside a ledger: the rows that are due, and how to record their results.

Every call is one transaction of its own. One that writes returns once that is durable; all raise `Unavailable` when the
store cannot be reached or cannot commit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from tellwire.model.agents import AgentTurn, Situation
from tellwire.model.erasures import Erasure, Phase
from tellwire.model.inbound import WaitingPost
from tellwire.model.keys import ConversationKey
from tellwire.model.messaging import Media, Send
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.registry import Registry
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros
from tellwire.ports.storage import LedgerStore

# --- what waits in the inbox ------------------------------------------------------------------------------------------


class WaitingItems(LedgerStore, Protocol):
    """Conversations that may be idle, and items that wait for their account."""

    async def idle_conversations(self, *, limit: int) -> Sequence[ConversationKey]:
        """Return the open conversations whose last row is at least the window ago."""
        ...

    async def unrouted(self, phone_number_id: str, *, after: str, limit: int) -> Sequence[WaitingPost]:
        """Return kept POSTs with items that waited for an account, oldest first, behind the id `after`."""
        ...


class HeldItems(Protocol):
    """Items that were held until a message is known."""

    async def waited_long_enough(self, now: Micros, limit: int) -> Sequence[WaitingPost]:
        """Return kept POSTs, as they came, with held items that have waited for long enough."""
        ...


# --- messages to be sent to Meta --------------------------------------------------------------------------------------


Refusal = Literal["", "late", "stopped", "expired"]
"""Since it was asked for, the customer service window has closed, the contact has stopped marketing, or its caller no
longer waits."""


class DueSend(Struct, frozen=True):
    """A send whose turn it is. `refused`: why it may not go out any more, "" when it may."""

    send: Send
    refused: Refusal = ""


class AccountSends(Struct, frozen=True):
    """Whether a send of an account is due, and when the next one becomes due (`following`, 0 when none does by
    time)."""

    account_id: str
    due: bool
    following: Micros


class RecentSends(Struct, frozen=True):
    """Recent sends to one recipient. `last`: when the last of them was recorded, in the future for one in flight."""

    order_key: str
    recipient: str
    count: int
    last: Micros


class DueSends(Protocol):
    """Outgoing messages: those that are due, which goes first, and those that an earlier owner left in flight."""

    async def by_account(self, account_ids: Collection[str], now: Micros) -> Sequence[AccountSends]:
        """Return for each account whether anything is due now, and when the next send becomes due."""
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
        """Return, in one read, what an account has sent since then by recipient, and how many of these ended late.

        Args:
            since: when the first of them began.
            ended_after: those that ended after it, or have not ended, are counted in the second result.
            later: stands for the end of what has none yet.
            linger: what ended without an answer may have arrived so much later.
        """
        ...

    async def is_for_codes(self, account: Account, template: str, language: str) -> bool | None:
        """Return whether a template is for one-time codes; None when the template is not stored."""
        ...

    async def mask_events(self, send: Send, content: bytes) -> None:
        """Replace the message's content by `content` in each of its events that shows it."""
        ...


# --- files of messages ------------------------------------------------------------------------------------------------


class Downloads(Protocol):
    """Files of messages that are to be fetched from Meta, and erased ones whose bytes are to be removed."""

    async def due(
        self, now: Micros, without: Collection[str], limit: int, *, not_of: Collection[str] = ()
    ) -> Sequence[Media]:
        """Return the files that are due to be fetched, the longest due first; `without` names ids to leave out,
        `not_of` organizations."""
        ...

    async def hurry(self, account_ids: Collection[str], now: Micros) -> None:
        """Make the files that wait for these accounts due at once."""
        ...

    async def get(self, organization_id: str, media_id: str) -> Media | None:
        """Return the current row of a file; None when there is none."""
        ...

    async def settle(self, before: Media, after: Media, news: OperationalEvent | None = None) -> bool:
        """Write the new state of a file and the event about it, unless its row is no longer as `before`.

        Returns: whether it was written.
        """
        ...

    async def erased(self, now: Micros, limit: int) -> Sequence[Media]:
        """Return erased files whose bytes are to be removed now, for the first or the second time."""
        ...

    async def removed(self, files: Sequence[Media], now: Micros) -> None:
        """Record that the bytes of erased files were removed: each is removed once more later, then its row is
        deleted."""
        ...


class UploadedFiles(Protocol):
    """Stored files that outgoing messages name, with the ids under which Meta knows them."""

    async def these(self, organization_id: str, media_ids: Sequence[str]) -> Sequence[Media]:
        """Return the files of an organization with these ids; unknown ids are left out."""
        ...

    async def settle(self, before: Media, after: Media) -> bool:
        """Write the new state of a file, unless its row is no longer as `before`; return whether it was written."""
        ...


# --- AI agents --------------------------------------------------------------------------------------------------------


class AgentTurns(Protocol):
    """Turns of AI agents that wait to be taken up."""

    async def due(
        self, now: Micros, *, limit: int, after: AgentTurn | None = None, not_of: Collection[str] = ()
    ) -> Sequence[AgentTurn]:
        """Return turns that are due, the oldest first, from behind `after`, which was returned before, without those of
        the organizations `not_of`."""
        ...

    async def next_due(self, now: Micros) -> Micros | None:
        """Return when the first turn that is not yet due becomes due; None when there is none."""
        ...

    async def situation(self, turn: AgentTurn, agent_id: str, *, last: int, now: Micros) -> Situation:
        """Return the state of a turn's conversation with its `last` messages, and the use of its agent."""
        ...


# --- erasures ---------------------------------------------------------------------------------------------------------

ErasurePart = Literal["conversations", "group_events", "group_messages", "meta", "answers"]
"""What a batch erases: rows of the person's own conversations, of the group at the cursor, or kept answers."""


class ErasureBatch(Struct, frozen=True):
    """The erasure after a batch, and the ids of the deliveries that were cancelled."""

    erasure: Erasure
    cancelled: Sequence[str] = ()


class PayloadMatches(Struct, frozen=True):
    """POSTs that may be about the person, and the id from behind which to go on, "" at the end."""

    ids: tuple[str, ...]
    after: str


class Erasures(Protocol):
    """Erasures under way, which any process continues in short batches.

    A call that moves an erasure on does nothing when its position is not the one that the caller saw, because another
    process has continued it. The result has the current position.
    """

    async def running(self) -> Sequence[tuple[str, str]]:
        """Return (organization id, id) of the erasures that are not done, oldest first."""
        ...

    async def get(self, organization_id: str, erasure_id: str) -> Erasure | None:
        """Return the current state of an erasure; None when there is none."""
        ...

    async def erase_some(self, erasure: Erasure, part: ErasurePart, now: Micros) -> ErasureBatch:
        """Erase the next rows of a part, and move the erasure on."""
        ...

    async def next_group(self, erasure: Erasure, after: str) -> str:
        """Return the id of the organization's next conversation with a group, "" after the last."""
        ...

    async def search_payloads(self, erasure: Erasure, registry: Registry, after: str) -> PayloadMatches:
        """Search the next stored POSTs for those that may be about the person."""
        ...

    async def erase_payloads(
        self, erasure: Erasure, registry: Registry, ids: Sequence[str], phase: Phase, cursor: str
    ) -> ErasureBatch:
        """Remove the person from these POSTs, and move the erasure on to a phase and cursor."""
        ...

    async def go_to(self, erasure: Erasure, phase: Phase, cursor: str) -> ErasureBatch:
        """Move an erasure on to a phase and cursor without erasing anything."""
        ...

    async def finish(self, erasure: Erasure, now: Micros) -> None:
        """Record that an erasure is done, delete whom it was about, and have the bytes removed from the store's files
        as well."""
        ...

    async def outlived(self, now: Micros) -> bool:
        """Return whether any mark or erasure was kept for long enough to be dropped."""
        ...

    async def drop_marks(self, now: Micros) -> bool:
        """Drop some of the marks that were kept for long enough; return whether there may be more."""
        ...

    async def drop_finished(self, now: Micros) -> None:
        """Drop erasures that are done and were kept for long enough."""
        ...


# --- retention --------------------------------------------------------------------------------------------------------


class Cutoffs(Struct, frozen=True, kw_only=True):
    """Times: what is older is removed. `payloads`: POSTs, events, deliveries and attempts; `messages`: messages, their
    statuses and empty conversations, except what is still to be sent (None: never); `changed`: messages that changed
    later than this stay; `answers`: stored idempotent answers. `now`: when the bytes of removed files become due."""

    payloads: Micros
    messages: Micros | None
    changed: Micros
    answers: Micros
    now: Micros = 0


class RetentionScope(Struct, frozen=True):
    """One kind of rows of one organization; its id is "" for rows that belong to none."""

    kind: str
    organization_id: str


class ExpiredRows(Struct, frozen=True):
    """Keys of rows to remove, and the last of them. Without keys, `after` is where the search continues, "" at the
    end."""

    keys: Sequence[Any]
    last: str
    after: str


class RemovedRows(Struct, frozen=True):
    """How many rows were removed by table, and for how many `seconds` the removal occupied the writer."""

    by_table: Mapping[str, int]
    seconds: float


class RetentionRows(Protocol):
    """Rows that are old enough to be removed: readers find them, and the writer removes a few at a time."""

    async def scopes(self) -> Sequence[RetentionScope]:
        """Return the scopes of a round, in order."""
        ...

    async def find(self, scope: RetentionScope, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
        """Search a bounded range of a scope behind a key for at most `limit` rows to remove."""
        ...

    async def remove(self, scope: RetentionScope, keys: Sequence[Any], cutoffs: Cutoffs, limit: int) -> RemovedRows:
        """Remove at most `limit` rows of these keys and of their dependent rows, unless they are needed again."""
        ...
