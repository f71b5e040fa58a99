"""The ledger's transactions and the outbox of deliveries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from tellwire.model.deliveries import Attempt, Delivery, Edit, Work
from tellwire.model.ledger import Keys, Ledger
from tellwire.model.registry import Registry
from tellwire.model.units import Micros

T = TypeVar("T")


class Result(Struct, frozen=True):
    """What an attempt came to: the delivery as it now stands, and the attempt (None when only the state moved).

    `epoch`: of the delivery's partition when the attempt was handed out, the fence of the write.
    """

    delivery: Delivery
    attempt: Attempt | None
    epoch: int = 0


class Lease(Struct, frozen=True):
    """What a process owns until `until` (its own clock): the epoch of each partition, the fence of its writes.

    `share`: how many partitions it should own just now, so that all processes have as many.
    """

    partitions: Mapping[int, int]
    until: Micros
    share: int


class Book(Protocol):
    """Messages, contacts and conversations: read by key, decided, written, in one durable transaction."""

    async def apply(self, keys: Keys, decide: Callable[[Ledger], T]) -> T:
        """Load what `keys` names, run `decide` on it and commit what it changed; many calls share one commit.

        `decide` is pure and may run more than once; what the last run returned is the result, once it is durable.

        Raises:
            Unavailable: it could not be made durable; nothing was applied.
        """
        ...


class Outbox(Protocol):
    """Deliveries as rows: the truth. Hints only save the reading of them."""

    def registry(self) -> Registry:
        """The current registry, from memory."""
        ...

    def subscribe(
        self,
        *,
        committed: Callable[[Sequence[Work]], None],
        changed: Callable[[Registry], None],
        elsewhere: Callable[[Sequence[str]], None],
        released: Callable[[], None],
    ) -> None:
        """Be told, on the event loop; every one is a hint and may be missed.

        Args:
            committed: after every commit of this process with its new deliveries, in order. What it names may be sent
                without a look at the rows, so there is no gap before it: when another process may have committed
                deliveries of its endpoints since the last one, `elsewhere` names them first.
            changed: after every commit, of any process, that touched accounts or endpoints.
            elsewhere: another process committed, or may have, deliveries of these endpoints; of every one after
                nothing was heard of others for a while.
            released: another process gave partitions back: `renew` may get some.
        """
        ...

    async def renew(self, owner: str) -> Lease:
        """Say that `owner` lives, keep what it has and take what is free or lapsed, up to its share.

        Taking a partition raises its epoch: what its last owner still writes is refused from then on.
        """
        ...

    async def release(self, owner: str, partitions: Collection[int] | None = None) -> None:
        """Give partitions back at once (none in flight any more); None: all, and the owner is gone (graceful stop)."""
        ...

    async def waiting(self, partitions: Collection[int]) -> list[str]:
        """Ids of the active endpoints that have live deliveries to make in these partitions."""
        ...

    async def backlog(self, endpoint_id: str, *, partitions: Collection[int], after: str, limit: int) -> list[Work]:
        """Live deliveries (pending, delivering or retrying) of one endpoint with id > `after`, in id order.

        Ids of one organization rise in commit order, also over several processes: nothing appears below `after` later.
        """
        ...

    async def due(
        self, now: Micros, *, partitions: Collection[int], limit: int, without: Sequence[str] = ()
    ) -> list[Work]:
        """Late and replay deliveries whose time has come, oldest due first; `without` names endpoints to leave out."""
        ...

    async def record(self, results: Iterable[Result]) -> Collection[str]:
        """Write results in one group commit, after which this returns; those of an outdated epoch are dropped.

        Returns: the ids of the deliveries whose result was dropped.
        """
        ...

    async def edit(self, delivery: Delivery) -> Edit | None:
        """What is other about this replay, None when nothing is."""
        ...

    async def disable(self, endpoint_id: str, reason: str) -> None:
        """Disable an endpoint, tell of it, and park its deliveries."""
        ...
