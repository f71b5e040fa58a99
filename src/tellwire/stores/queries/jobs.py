"""Jobs: long work that any process can continue from its cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, func, insert, select, text, update

from tellwire.endpoints.recovery import Job, Wanted
from tellwire.stores.queries.audit import AuditChange, note
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.schema.tables import OPEN_JOB, jobs

_wanted = msgspec.json.Decoder(Wanted)


def add(connection: Connection, change: AuditChange, job: Job, *, noted: tuple[str, str] | None = None) -> None:
    """Store a new job; `noted` is the action and the subject that the audit shows, by default those of its endpoint."""
    connection.execute(insert(jobs).values(_values(job)))
    note(connection, change, *(noted or (f"endpoint.{job.kind}", job.endpoint_id)))


def get(connection: Connection, organization_id: str, job_id: str) -> Job | None:
    """Return a job of an organization, None when there is none."""
    place = (jobs.c.organization_id == organization_id) & (jobs.c.id == job_id)
    row = connection.execute(select(jobs).where(place)).one_or_none()
    return None if row is None else _job(row)


def of_ids(connection: Connection, organization_id: str, ids: Sequence[str]) -> dict[str, Job]:
    """Return some jobs of an organization by their ids."""
    query = select(jobs).where(jobs.c.organization_id == organization_id, jobs.c.id.in_(ids))
    return {row.id: _job(row) for row in connection.execute(query)}


def page(connection: Connection, organization_id: str, endpoint_id: str, request: PageRequest) -> Page[Job]:
    """Return a page of the jobs of an endpoint."""
    query = select(jobs).where(jobs.c.endpoint_id == endpoint_id, jobs.c.organization_id == organization_id)
    return newest(connection, query, jobs.c.id, request, _job)


def open_of(connection: Connection, endpoint_id: str) -> str:
    """Return the id of an endpoint's job that is not over, "" when there is none."""
    query = select(jobs.c.id).where(text(OPEN_JOB), jobs.c.endpoint_id == endpoint_id).limit(1)
    return connection.execute(query).scalar_one_or_none() or ""


def open_jobs(connection: Connection, limit: int) -> list[Job]:
    """Return the jobs that are not over, of each organization in turn, its oldest first."""
    place = func.row_number().over(partition_by=jobs.c.organization_id, order_by=jobs.c.id)
    query = select(jobs).where(text(OPEN_JOB)).order_by(place, jobs.c.id).limit(limit)
    return [_job(row) for row in connection.execute(query)]


def put(connection: Connection, job: Job, *, turns: int) -> bool:
    """Write an open job unless its count of batches is no longer `turns`; return whether it was written."""
    place = (jobs.c.organization_id == job.organization_id) & (jobs.c.id == job.id)
    query = update(jobs).where(place, jobs.c.turns == turns, text(OPEN_JOB)).values(_values(job))
    return connection.execute(query).rowcount == 1


def _values(job: Job) -> dict[str, Any]:
    return asdict(job) | {"wanted": msgspec.json.encode(job.wanted)}


def _job(row: Any) -> Job:
    values = columns(row)
    return Job(**values | {"wanted": _wanted.decode(values["wanted"])})
