"""What has to be done now and then: idle conversations close, items that waited for an account are applied, health is
reported, and recoveries go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from tellwire.conversations import close_if_idle
from tellwire.errors import Unavailable
from tellwire.evidence import Report, Witness
from tellwire.ingest import Ingest
from tellwire.ledger import Keys, Ledger
from tellwire.model import Inbound, Micros, Registry
from tellwire.ports import Book, Clock
from tellwire.recovery import Job

_BATCH = 200
_STRIDES = 20
_STUMBLES = 5


class Waiting(Book, Protocol):
    """What the chores need of the store beside `Book`."""

    def registry(self) -> Registry: ...

    async def idle_conversations(self, *, limit: int) -> list[tuple[str, str]]: ...

    async def unrouted(
        self, phone_number_id: str, *, after: str, limit: int
    ) -> list[tuple[Inbound, frozenset[str]]]: ...


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


def _closer(keys: Sequence[tuple[str, str]], window: Micros) -> Callable[[Ledger], int]:
    def decide(ledger: Ledger) -> int:
        known = [ledger.conversations[i] for _, i in keys if i in ledger.conversations]
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
            for inbound, pointers in waiting:
                await ingest.reapply(inbound, pointers)
                after = inbound.id
                done += 1
    return done


async def apply_held(
    over: Callable[[Micros, int], Awaitable[Sequence[tuple[Inbound, frozenset[str]]]]], ingest: Ingest, clock: Clock
) -> int:
    """Apply what was held for a while and has waited for long enough (`over`): what it waited for has not come.

    Returns: how many POSTs were gone through.
    """
    done = 0
    while posts := await over(clock.now(), _BATCH):
        for inbound, pointers in posts:
            await ingest.reapply(inbound, pointers)
            done += 1
    return done


class Standings(Protocol):
    """What is kept of how endpoints behave (`stores.wellbeing`)."""

    async def take_in(self, reports: Sequence[Report], now: Micros) -> list[str]:
        """Merge reports; return the endpoints that this disabled."""
        ...

    async def park(self, endpoint_id: str, now: Micros) -> None:
        """Park what waits for an endpoint that is not active."""
        ...


async def report_health(standings: Standings, witness: Witness, clock: Clock) -> None:
    """Write down what the attempts of this process say of their endpoints; those that it disables are parked."""
    reports = witness.reports(clock.now())
    if not reports:
        return
    try:
        disabled = await standings.take_in(reports, clock.now())
    except BaseException:
        witness.unreported(reports)
        raise
    for endpoint_id in disabled:
        await standings.park(endpoint_id, clock.now())


class Recoveries(Protocol):
    """The open recoveries (`stores.recoveries`)."""

    async def open_jobs(self) -> list[Job]: ...

    async def stride(self, job: Job, now: Micros) -> tuple[Job, Literal["on", "full", "over"]]:
        """Go on with a job; the second says whether there is more to do, or not just now, or not at all."""
        ...

    async def give_up(self, job: Job, why: str, now: Micros) -> None: ...


class Recovering:
    """Goes on with recoveries. A job that stumbles again and again ends as failed; the others go on.

    Args:
        recoveries, clock: what there is to do, and the time.
        supplied: called when something was made due.
    """

    def __init__(self, recoveries: Recoveries, clock: Clock, supplied: Callable[[], None]) -> None:
        self._recoveries = recoveries
        self._clock = clock
        self._supplied = supplied
        self._stumbles: dict[str, int] = {}

    async def go_on(self) -> bool:
        """Some strides with every open job; True when there is more to do at once.

        Raises:
            Exception: what one of the jobs stumbled over.
        """
        more, stumble = False, None
        for job in await self._recoveries.open_jobs():
            try:
                more |= await self._some_strides(job)
                self._stumbles.pop(job.id, None)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - raised below, when the others have had their turn
                stumble = error
                await self._stumbled(job, error)
        if stumble is not None:
            raise stumble
        return more

    async def _some_strides(self, job: Job) -> bool:
        done = job.done
        for _ in range(_STRIDES):
            job, came = await self._recoveries.stride(job, self._clock.now())
            if came != "on":
                break
        if job.done != done:
            self._supplied()
        return came == "on"

    async def _stumbled(self, job: Job, error: Exception) -> None:
        self._stumbles[job.id] = self._stumbles.get(job.id, 0) + 1
        if self._stumbles[job.id] >= _STUMBLES:
            del self._stumbles[job.id]
            why = f"stopped by an error ({type(error).__name__}); the server's log has it"
            await self._recoveries.give_up(job, why, self._clock.now())
