"""Recoveries over a store, in batches: a crash at any point does no harm, and several processes may work at once."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.endpoints import recovery
from tellwire.endpoints.recovery import Job, RecoveryBounds, RecoveryStep
from tellwire.model.routing import NamesOf
from tellwire.model.units import Micros
from tellwire.stores.queries import endpoints, jobs
from tellwire.stores.queries import recovery as recovery_queries
from tellwire.stores.queries.audit import OURSELVES, AuditChange
from tellwire.stores.queries.recovery import RecoveryScan
from tellwire.stores.query_runner import QueryRunner

_MOST_JOBS = 50
_OPEN = ("active", "pulled")
"""The states of an endpoint in which a recovery goes on."""


class SqlRecoveryStore:
    """The open recoveries of an installation. `names`: as `Routes` takes them."""

    def __init__(self, store: QueryRunner, names: Mapping[str, NamesOf], pace: RecoveryBounds | None = None) -> None:
        self._store = store
        self._names = names
        self._bounds = pace or RecoveryBounds()

    async def open_jobs(self) -> list[Job]:
        """Return the jobs that are not over, of each organization in turn."""
        return await self._store.read(lambda c: jobs.open_jobs(c, _MOST_JOBS))

    async def advance(self, job: Job, now: Micros) -> RecoveryStep:
        """Do the next batch of a job, in one transaction: the work and the job's cursor are committed together."""
        found = await self._store.read(lambda c: self._find(c, job))
        if isinstance(found, str):
            return await self._store.write(lambda c: _wait(c, job, found, now))
        return await self._store.write(lambda c: self._move(c, job, found, now))

    async def give_up(self, job: Job, why: str, now: Micros) -> None:
        """End a job that cannot continue, as failed."""
        ended = recovery.ended(job, "failed", why, now)
        await self._store.write(lambda c: jobs.put(c, ended, turns=job.turns))

    def _find(self, connection: Connection, job: Job) -> RecoveryScan | str:
        """Return what the job finds next, or the reason why it has to wait."""
        endpoint = endpoints.get(connection, self._store.vault, job.organization_id, job.endpoint_id)
        if endpoint is None:
            return "the endpoint was deleted"
        if endpoint.state not in _OPEN:
            return f"waits until the endpoint is resumed: it is {endpoint.state}"
        accounts = recovery_queries.accounts_of(connection, job.organization_id)
        return recovery_queries.find(
            connection, job, recovery.wants(endpoint, accounts, self._names), self._bounds.scan
        )

    def _move(self, connection: Connection, job: Job, found: RecoveryScan, now: Micros) -> RecoveryStep:
        change = AuditChange(job.organization_id, OURSELVES, now, self._store.new_id)
        state = endpoints.state_of(connection, job.organization_id, job.endpoint_id)
        if state not in _OPEN:
            return RecoveryStep(job, "full")
        wanted = job.wanted.include
        places_left = recovery_queries.free_places(connection, job.endpoint_id, self._bounds.window)
        most = min(places_left, self._bounds.batch)
        finds, cursor = recovery.chosen(found.finds, wanted, most=most, end=found.end)
        due = [find for find in self._reread(connection, job, finds) if recovery.is_due(find, wanted)]
        complete = cursor == found.end
        if not complete and not cursor:
            return RecoveryStep(job, "full")
        first, over = max(now, job.last_due_at + 1), complete and found.over
        after = recovery.moved(
            job,
            cursor=cursor,
            looked_at=found.looked_at if complete else sum(find.id <= cursor for find in found.finds),
            done=len(due),
            last_due_at=first + len(due) - 1 if due else 0,
            over=over,
            now=now,
        )
        if not jobs.put(connection, after, turns=job.turns):
            return RecoveryStep(job, "full")  # another process continued the job, or it was cancelled
        recovery_queries.make_due(connection, change, job, due, first=first, active=state == "active")
        return RecoveryStep(after, "over" if over else "on")

    def _reread(self, connection: Connection, job: Job, finds: list[recovery.Find]) -> list[recovery.Find]:
        """Return the finds with their deliveries read anew: the scan read them outside of this transaction."""
        known = recovery_queries.deliveries_of(connection, job, [find.event.id for find in finds])
        return [replace(find, delivery=known.get(find.event.id)) for find in finds]


def _wait(connection: Connection, job: Job, why: str, now: Micros) -> RecoveryStep:
    after = recovery.waiting(job, why, now)
    if after.detail != job.detail:
        jobs.put(connection, after, turns=job.turns)
    return RecoveryStep(after, "full")
