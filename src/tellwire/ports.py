"""What the use cases need of the outside, as small Protocols; the adapters behind them are chosen in `app`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

from msgspec import Struct

from tellwire.ledger import Keys, Ledger
from tellwire.model import Attempt, Delivery, Endpoint, Micros, Registry, Work

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
    """One HTTP request out. `timeout` in seconds over everything, DNS to the end of the answer's body."""

    url: str
    method: Literal["POST", "GET"] = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 15.0


class Answer(Struct, frozen=True, kw_only=True):
    """What came back. `cause` says in plain words what went wrong ("connection refused", "certificate expired on …",
    "redirects are not followed", "your server answered 401"), "" for a 2xx. `body` is cut to 16 KiB.
    `durations`: milliseconds by phase (dns, connect, tls, send, first_byte, body, total; the phases that ran).
    `allow_listed`: an address of the allow list was connected to, so the body may be a private network's.
    """

    status: int = 0
    failure: Failure = ""
    cause: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    durations: dict[str, float] = {}
    allow_listed: bool = False

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


# --- deliveries -------------------------------------------------------------------------------------------------------


class Result(Struct, frozen=True):
    """What an attempt came to: the delivery as it now stands, and the attempt (None when only the state moved)."""

    delivery: Delivery
    attempt: Attempt | None


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
    ) -> None:
        """Call `committed` on the event loop after every commit with its new deliveries, in order (a hint: may be
        missed); call `changed` after every commit that touched accounts or endpoints."""
        ...

    async def take(self, owner: str) -> int:
        """Lease every partition to `owner` and return the new epoch; older owners' writes are refused from now on."""
        ...

    async def release(self, owner: str) -> None:
        """Give the leases back (graceful stop)."""
        ...

    async def waiting(self) -> list[str]:
        """Ids of the endpoints that have live deliveries to make."""
        ...

    async def backlog(self, endpoint_id: str, *, after: str, limit: int) -> list[Work]:
        """Live deliveries (pending, delivering or retrying) of one endpoint with id > `after`, in id order."""
        ...

    async def due(self, now: Micros, *, limit: int, without: Sequence[str] = ()) -> list[Work]:
        """Late and replay deliveries whose time has come, oldest due first; `without` names endpoints to leave out."""
        ...

    async def record(self, epoch: int, results: Iterable[Result]) -> int:
        """Write results in one group commit, after which this returns; those of an outdated epoch are dropped.

        Returns: how many were written.
        """
        ...

    async def disable(self, endpoint_id: str, reason: str) -> None:
        """Disable an endpoint and park its deliveries."""
        ...


# --- endpoints --------------------------------------------------------------------------------------------------------


class EventNames(Protocol):
    """What endpoints need to know of a payload format."""

    @property
    def EVENTS(self) -> Sequence[str]:  # noqa: N802
        """The names that an endpoint of this format may subscribe to."""
        ...


class Gate(Protocol):
    """What is asked of the outside before an endpoint is let in."""

    @property
    def formats(self) -> Mapping[str, EventNames]:
        """The payload formats by name."""
        ...

    @property
    def event_names(self) -> Sequence[str]:
        """The names that every endpoint may subscribe to: those of the `tellwire-event` header."""
        ...

    def check_url(self, url: str) -> Awaitable[None]:
        """Raise `Forbidden` when deliveries may not reach this URL."""
        ...

    def challenge(self, url: str) -> Awaitable[None]:
        """Have the receiver echo a challenge; raise `Invalid` with what came back when it does not."""
        ...


class EndpointShelf(Protocol):
    """The endpoints of one organization within one transaction; every change is noted in the audit."""

    @property
    def organization_id(self) -> str: ...

    @property
    def now(self) -> Micros: ...

    def new_id(self) -> str: ...

    def get(self, endpoint_id: str) -> Endpoint | None: ...

    def add(self, endpoint: Endpoint) -> None: ...

    def put(self, endpoint: Endpoint, action: str) -> None:
        """Write a changed endpoint; `action` is the word for the audit ("paused")."""
        ...

    def remove(self, endpoint_id: str) -> None: ...

    def park(self, endpoint_id: str, limit: int) -> bool:
        """Park deliveries that wait, at most `limit`; True once none is left."""
        ...

    def unpark(self, endpoint_id: str, limit: int) -> bool:
        """Make parked deliveries pending and due, at most `limit`; True once none is left."""
        ...

    def cancel(self, endpoint_id: str, limit: int) -> bool:
        """Cancel deliveries that wait or are parked, at most `limit`; True once none is left."""
        ...
