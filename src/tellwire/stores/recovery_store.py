"""Recoveries, done batch by batch over a store; safe to be killed at any point, and to be done by several at once."""

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


class SqlRecoveryStore:
    """The open recoveries of an installation. `names`: as `Routes` takes them."""

    def __init__(self, store: QueryRunner, names: Mapping[str, NamesOf], pace: RecoveryBounds | None = None) -> None:
        self._store = store
        self._names = names
        self._pace = pace or RecoveryBounds()

    async def open_jobs(self) -> list[Job]:
        """Those that are not over, the oldest first."""
        return await self._store.read(lambda c: jobs.open_jobs(c, _MOST_JOBS))

    async def advance(self, job: Job, now: Micros) -> RecoveryStep:
        """Go on with a job by one batch, in one transaction; the work and the job's cursor are committed together."""
        found = await self._store.read(lambda c: self._find(c, job))
        if isinstance(found, str):
            return await self._store.write(lambda c: _rest(c, job, found, now))
        return await self._store.write(lambda c: self._move(c, job, found, now))

    async def give_up(self, job: Job, why: str, now: Micros) -> None:
        """End a job that cannot be gone on with."""
        ended = recovery.ended(job, "failed", why, now)
        await self._store.write(lambda c: jobs.put(c, ended, turns=job.turns))

    def _find(self, connection: Connection, job: Job) -> RecoveryScan | str:
        """What the job finds next, or in words why it has to wait."""
        endpoint = endpoints.get(connection, self._store.vault, job.organization_id, job.endpoint_id)
        if endpoint is None:
            return "the endpoint was deleted"
        if endpoint.state != "active":
            return f"waits until the endpoint is resumed: it is {endpoint.state}"
        accounts = recovery_queries.accounts_of(connection, job.organization_id)
        return recovery_queries.find(connection, job, recovery.wants(endpoint, accounts, self._names), self._pace.scan)

    def _move(self, connection: Connection, job: Job, found: RecoveryScan, now: Micros) -> RecoveryStep:
        change = AuditChange(job.organization_id, OURSELVES, now, self._store.new_id)
        if endpoints.state_of(connection, job.organization_id, job.endpoint_id) != "active":
            return RecoveryStep(job, "full")
        wanted = job.wanted.include
        room = recovery_queries.room(connection, job.endpoint_id, self._pace.window)
        most = min(room, self._pace.batch)
        finds, cursor = recovery.chosen(found.finds, wanted, most=most, end=found.end)
        due = [find for find in self._as_they_are_now(connection, job, finds) if recovery.is_due(find, wanted)]
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
            return RecoveryStep(job, "full")  # somebody else went on with it, or it was cancelled
        recovery_queries.make_due(connection, change, job, due, first=first)
        return RecoveryStep(after, "over" if over else "on")

    def _as_they_are_now(self, connection: Connection, job: Job, finds: list[recovery.Find]) -> list[recovery.Find]:
        """They were read a moment ago, outside of this transaction."""
        known = recovery_queries.deliveries_of(connection, job, [find.event.id for find in finds])
        return [replace(find, delivery=known.get(find.event.id)) for find in finds]


def _rest(connection: Connection, job: Job, why: str, now: Micros) -> RecoveryStep:
    after = recovery.waiting(job, why, now)
    if after.detail != job.detail:
        jobs.put(connection, after, turns=job.turns)
    return RecoveryStep(after, "full")
