"""What the use cases need of the outside, as small Protocols; the adapters behind them are chosen in `app`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeVar

from msgspec import Struct

from tellwire.ledger import Keys, Ledger
from tellwire.model import Attempt, Delivery, Edit, Inbound, Micros, Registry, Work

T = TypeVar("T")


class Clock(Protocol):
    """Time as an argument: tests set it, nobody sleeps through a schedule."""

    def now(self) -> Micros:
        """Microseconds since 1970-01-01 UTC."""
        ...


# --- HTTP out ---------------------------------------------------------------------------------------------------------

Failure = Literal["", "refused", "dns", "tls", "timeout", "forbidden", "broken", "protocol"]
"""Why no answer came: "" when one did. All but "" and "protocol" speak of the endpoint as a whole."""


class Request(Struct, frozen=True, kw_only=True):
    """One HTTP request out. `timeout` in seconds over everything, DNS to the end of the answer's body.

    `may_send` is asked right before the first byte is written: a process that was frozen meanwhile has lost its leave.
    `once`: what may have been written is never written again, not even when a kept connection turns out to be closed.
    """

    url: str
    method: Literal["POST", "GET", "DELETE"] = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 15.0
    may_send: Callable[[], bool] | None = None
    once: bool = False


class Answer(Struct, frozen=True, kw_only=True):
    """What came back. `cause` says in plain words what went wrong ("connection refused", "certificate expired on …",
    "redirects are not followed", "your server answered 401"), "" for a 2xx. `body` is cut to 16 KiB.
    `durations`: milliseconds by phase (dns, connect, tls, send, first_byte, body, total; the phases that ran).
    `allow_listed`: an address of the allow list was connected to, so the body may be a private network's.
    `withheld`: `may_send` said no, so nothing was sent; there is no answer, and nobody failed.
    `written`: some of the request may have left, so the other side may have acted on it.
    """

    status: int = 0
    failure: Failure = ""
    cause: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    durations: dict[str, float] = {}
    allow_listed: bool = False
    withheld: bool = False
    written: bool = False

    @property
    def ok(self) -> bool:
        """Whether the receiver took it: a 2xx and nothing else."""
        return not self.failure and 200 <= self.status < 300


class Sender(Protocol):
    """HTTP out with a total deadline, no redirects, a bounded read and an address check before each connection."""

    async def send(self, request: Request) -> Answer:
        """Never raises for what the other side does: every failure is an `Answer`."""
        ...

    async def close(self) -> None: ...


# --- Meta's Graph API ------------------------------------------------------------------------------------------------


class Graph(Protocol):
    """Meta's Graph API, as JSON calls; nothing here says what an answer means."""

    async def ask(
        self,
        token: str,
        path: str,
        *,
        method: Literal["GET", "POST", "DELETE"] = "GET",
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        may_send: Callable[[], bool] | None = None,
        timeout_seconds: float = 20.0,
    ) -> Answer:
        """Ask below META_GRAPH_URL; never raises for what the other side does.

        Args:
            token: the account's access token, sent as Bearer to that host only.
            path: without leading slash (`<phone_number_id>/messages`).
            body: JSON, for a POST.
            timeout_seconds: over everything.
        """
        ...

    async def close(self) -> None: ...


# --- media ------------------------------------------------------------------------------------------------------------


class MediaStore(Protocol):
    """Where the bytes of media are: a name each, whole or not there at all.

    Every call raises `Unavailable` when the place cannot be reached or is full.
    """

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Store what `chunks` gives, and return how many bytes that were; durable when this returns.

        Nothing is there under the name before, and nothing changes when `chunks` raises.
        """
        ...

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes] | None:
        """The bytes from `start` up to `end` (not included) in pieces; None when nothing is there."""
        ...

    async def delete(self, name: str) -> None:
        """Nothing is there any more; no matter whether anything was."""
        ...

    async def tidy(self, older_than_seconds: float) -> None:
        """Remove what writes of processes that are gone have left, unseen as it is."""
        ...

    async def close(self) -> None: ...


class Incoming(Struct, frozen=True):
    """An answer whose body is still to be read, once: `chunks` raises `Broken` when it ends too early."""

    status: int
    chunks: AsyncIterator[bytes]


class Upload(Struct, frozen=True, kw_only=True):
    """A file for Meta, of `size` bytes."""

    mime_type: str
    filename: str
    size: int
    chunks: AsyncIterator[bytes]


class MediaWire(Protocol):
    """Files from and to Meta, streamed; redirects are not followed."""

    def open(self, url: str, token: str) -> AbstractAsyncContextManager[Incoming]:
        """GET a file with the token. Whether the URL may see it has been asked before.

        Raises:
            Broken: no answer came.
        """
        ...

    async def upload(self, token: str, phone_number_id: str, file: Upload) -> Answer:
        """POST a file to a number's media, below META_GRAPH_URL; never raises for what the other side does."""
        ...

    async def close(self) -> None: ...


# --- traces ----------------------------------------------------------------------------------------------------------


class Tracer(Protocol):
    """Tells a collector of one trace from Meta's POST to the subscriber's answer; never raises, never waits."""

    def posted(self, inbound: Inbound, *, started_at: Micros, durable_at: Micros) -> None:
        """A POST was taken: begun and durable at these times."""
        ...

    def traceparent(self, work: Work) -> str:
        """The header (W3C Trace Context) of a delivery's next attempt; "" when its event has no trace."""
        ...

    def attempted(self, work: Work, attempt: Attempt) -> None:
        """An attempt was made and recorded."""
        ...


# --- deliveries -------------------------------------------------------------------------------------------------------


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
