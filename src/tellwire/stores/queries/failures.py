"""Failures: the deliveries of an endpoint that failed for one reason, and what somebody has said about them.

All is found by the index `deliveries_failing`, which holds only what fails: which kinds there are by one look-up each,
the newest and the oldest of a kind by its ends, and how many by counting up to a bound.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, Select, and_, delete, func, insert, select, text, tuple_, update

from tellwire.endpoints.failures import Count, Failure, Seen, counted
from tellwire.stores.queries.paging import Page, PageRequest, columns, matching, newest
from tellwire.stores.schema.tables import FAILING, attempts, deliveries, failures

_NEWEST = 20
"""Of so many of the newest deliveries the last failed attempt is looked for."""
_TRIED = ("failed", "retrying")
Kind = tuple[str, str]
"""An endpoint and a reason."""
_KIND = (deliveries.c.endpoint_id, deliveries.c.failure)


class _Cause(Struct):
    cause: str = ""


_cause = msgspec.json.Decoder(_Cause)


def kinds(connection: Connection, after: Kind, most: int) -> list[Kind]:
    """Return the next kinds of which deliveries fail, of all organizations."""
    found: list[Kind] = []
    query = select(*_KIND).where(text(FAILING)).order_by(*_KIND).limit(1)
    while len(found) < most:
        row = connection.execute(query.where(tuple_(*_KIND) > tuple_(*after))).one_or_none()
        if row is None:
            break
        after = (row.endpoint_id, row.failure)
        found.append(after)
    return found


def seen(connection: Connection, organization_id: str, endpoint_id: str, failure: str) -> Seen | None:
    """Return what of a kind fails now, None for nothing."""
    of_kind = _ids(endpoint_id, failure)
    oldest = connection.execute(of_kind.order_by(*_KIND, deliveries.c.id).limit(1)).scalar_one_or_none()
    if oldest is None:
        return None
    backwards = (deliveries.c.endpoint_id.desc(), deliveries.c.failure.desc(), deliveries.c.id.desc())
    newest_ids = connection.execute(of_kind.order_by(*backwards).limit(_NEWEST)).scalars().all()
    last = and_(attempts.c.delivery_id == deliveries.c.id, attempts.c.number == deliveries.c.attempts)
    mine = deliveries.c.organization_id == organization_id
    query = select(deliveries.c.state, attempts.c.started_at, attempts.c.record).join(attempts, last)
    rows = connection.execute(query.where(mine, deliveries.c.id.in_(newest_ids))).all()
    made = select(deliveries.c.created_at).where(mine, deliveries.c.id == oldest)
    latest = max(rows, key=lambda row: (row.state in _TRIED, row.started_at), default=None)
    return Seen(
        organization_id=organization_id,
        endpoint_id=endpoint_id,
        failure=failure,
        cause=_cause.decode(latest.record).cause if latest is not None else "",
        first_at=connection.execute(made).scalar_one(),
        last_at=latest.started_at if latest is not None and latest.state in _TRIED else 0,
    )


def count(connection: Connection, failure: Failure, most: int) -> Count:
    """Count the deliveries of a failure, up to a bound."""
    first = _ids(failure.endpoint_id, failure.failure).with_only_columns(deliveries.c.state).limit(most).subquery()
    rows = connection.execute(select(first.c.state, func.count()).group_by(first.c.state))
    return counted([(state, number) for state, number in rows], most)


def of_kind(connection: Connection, endpoint_id: str, failure: str) -> Failure | None:
    """Return the failure of an endpoint and a reason, None when it was never seen."""
    place = (failures.c.endpoint_id == endpoint_id) & (failures.c.failure == failure)
    row = connection.execute(select(failures).where(place)).one_or_none()
    return None if row is None else _failure(row)


def unresolved(connection: Connection, after: Kind, until: Kind | None, most: int) -> list[Failure]:
    """Return failures of all organizations that are not resolved, of kinds behind `after` and up to `until`."""
    place = tuple_(failures.c.endpoint_id, failures.c.failure)
    query = select(failures).where(failures.c.state != "resolved", place > tuple_(*after))
    if until is not None:
        query = query.where(place <= tuple_(*until))
    query = query.order_by(failures.c.endpoint_id, failures.c.failure).limit(most)
    return [_failure(row) for row in connection.execute(query)]


def page(
    connection: Connection, organization_id: str, *, state: str, endpoint_id: str, request: PageRequest
) -> Page[Failure]:
    """Return a page of the failures of an organization; "" filters nothing."""
    query = select(failures).where(failures.c.organization_id == organization_id)
    query = matching(query, (failures.c.state, state), (failures.c.endpoint_id, endpoint_id))
    return newest(connection, query, failures.c.id, request, _failure)


def get(connection: Connection, organization_id: str, failure_id: str) -> Failure | None:
    """Return a failure of an organization, None when there is none."""
    mine = (failures.c.organization_id == organization_id) & (failures.c.id == failure_id)
    row = connection.execute(select(failures).where(mine)).one_or_none()
    return None if row is None else _failure(row)


def add(connection: Connection, failure: Failure) -> None:
    """Insert a new failure."""
    connection.execute(insert(failures).values(asdict(failure)))


def put(connection: Connection, failure: Failure, *, was: str) -> bool:
    """Write a failure unless its state is no longer `was`; return whether it was written."""
    place = (failures.c.organization_id == failure.organization_id) & (failures.c.id == failure.id)
    query = update(failures).where(place, failures.c.state == was).values(asdict(failure))
    return connection.execute(query).rowcount == 1


def forget(connection: Connection, organization_id: str, endpoint_id: str) -> None:
    """Delete the failures of an endpoint that is deleted."""
    mine = (failures.c.organization_id == organization_id) & (failures.c.endpoint_id == endpoint_id)
    connection.execute(delete(failures).where(mine))


def _ids(endpoint_id: str, failure: str) -> Select[Any]:
    """Return the query of the ids of a kind. An endpoint is of one organization, so the index alone tells; with the
    organization every row would be read."""
    of_kind = (deliveries.c.endpoint_id == endpoint_id, deliveries.c.failure == failure)
    return select(deliveries.c.id).where(text(FAILING), *of_kind)


def _failure(row: Any) -> Failure:
    return Failure(**columns(row))
