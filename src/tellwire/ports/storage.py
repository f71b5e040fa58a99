"""The ledger's transactions and the outbox of deliveries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from tellwire.model.deliveries import Attempt, Delivery, ReplayEdit, Work
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.registry import Registry
from tellwire.model.units import Micros

T = TypeVar("T")


class Result(Struct, frozen=True):
    """The result of an attempt: the delivery as it is now, and the attempt (None when only the state changed).

    `epoch`: that of the delivery's partition when the attempt began; the store drops results of an outdated epoch.
    `joins`: only `Delivery.together` is to be written, whatever else has become of the row meanwhile.
    """

    delivery: Delivery
    attempt: Attempt | None
    epoch: int = 0
    joins: bool = False


class Lease(Struct, frozen=True):
    """The partitions that a process owns until `until` (by its own clock), with the epoch under which it may write.

    `share`: how many partitions it should own now, so that all processes own equally many.
    """

    partitions: Mapping[int, int]
    until: Micros
    share: int


class LedgerRunner(Protocol):
    """The store of messages, contacts and conversations: rows are loaded by key, a decision is run on them, and its
    changes are written, in one durable transaction."""

    async def apply(self, keys: Keys, decide: Callable[[Ledger], T]) -> T:
        """Load what `keys` names, run `decide` on it and commit what it changed; many calls share one commit.

        `decide` is pure and may run more than once; what the last run returned is the result, once it is durable.

        Raises:
            Unavailable: the changes could not be made durable; nothing was applied.
        """
        ...

    def registry(self) -> Registry:
        """The current registry, from memory."""
        ...


class LedgerStore(LedgerRunner, Protocol):
    """A `LedgerRunner` that also says when accounts have changed and when a loop may have something to do."""

    def on_changed(self, changed: Callable[[Registry], None]) -> None:
        """Call `changed` on the event loop after every commit that touched accounts or endpoints."""
        ...

    def on_due_work(self, wake: Callable[[], None]) -> None:
        """Call `wake` on the event loop after every commit that left sends, downloads or turns; a hint."""
        ...


class Outbox(Protocol):
    """The deliveries as rows, which are the truth; a hint only saves reading them."""

    def registry(self) -> Registry:
        """Return the current registry, from memory."""
        ...

    def subscribe(
        self,
        *,
        committed: Callable[[Sequence[Work]], None],
        changed: Callable[[Registry], None],
        elsewhere: Callable[[Sequence[str]], None],
        released: Callable[[], None],
    ) -> None:
        """Set the callbacks that tell of commits. They run on the event loop; each call is a hint and may be missed.

        Args:
            committed: called after every commit of this process with its new deliveries, in order. They may be sent
                without reading the rows, so none may be missing before them: when another process may have committed
                deliveries of their endpoints since the last call, `elsewhere` names these endpoints first.
            changed: called after every commit, of any process, that touched accounts or endpoints.
            elsewhere: called when another process has committed, or may have, deliveries of these endpoints; with all
                endpoints after a time in which no message of other processes could come.
            released: called when another process gave partitions back: `renew` may get some.
        """
        ...

    async def renew(self, owner: str) -> Lease:
        """Say that `owner` lives, keep what it has and take what is free or lapsed, up to its share.

        Taking a partition raises its epoch: what its last owner still writes is refused from then on.
        """
        ...

    async def release(self, owner: str, partitions: Collection[int] | None = None) -> None:
        """Give back partitions that have nothing in flight; None: give back all, because the owner stops."""
        ...

    async def waiting(self, partitions: Collection[int]) -> list[str]:
        """Return the ids of the active endpoints that have live deliveries to make in these partitions."""
        ...

    async def backlog(self, endpoint_id: str, *, partitions: Collection[int], after: str, limit: int) -> list[Work]:
        """Return live deliveries (pending, delivering or retrying) of one endpoint with id > `after`, in id order.

        Ids of one organization rise in commit order, also over several processes: nothing appears below `after` later.
        """
        ...

    async def in_line(self, organization_id: str, delivery_ids: Collection[str]) -> Collection[str]:
        """Return those of these deliveries of an organization that still have their turn in order."""
        ...

    async def due(
        self, now: Micros, *, partitions: Collection[int], limit: int, without: Sequence[str] = ()
    ) -> list[Work]:
        """Return late and replay deliveries that are due, the longest due first, without those of some endpoints."""
        ...

    async def record(self, results: Iterable[Result]) -> Collection[str]:
        """Write results, and return after the commit that they share; those of an outdated epoch are dropped.

        Returns: the ids of the deliveries whose result was dropped.
        """
        ...

    async def replay_edit(self, delivery: Delivery) -> ReplayEdit | None:
        """Return how this replay differs from the original delivery; None when it does not."""
        ...

    async def disable(self, endpoint_id: str, reason: str) -> None:
        """Disable an endpoint, emit the event that says so, and park its deliveries."""
        ...
