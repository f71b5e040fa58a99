"""How the attempts of endpoints went, in buckets of time, and what waits for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import BigInteger, Connection, ScalarSelect, bindparam, cast, delete, func, literal, select, text

from tellwire.endpoints.traffic import KEPT, Traffic
from tellwire.ids import micros_of
from tellwire.model.units import Micros
from tellwire.stores.schema.tables import LATE, LIVE, PARKED, REPLAYED, deliveries, endpoint_traffic, endpoints

_COLUMNS = tuple(column.name for column in endpoint_traffic.columns)
_ADD = text(
    f"INSERT INTO endpoint_traffic ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"
    " ON CONFLICT (organization_id, endpoint_id, width, since) DO UPDATE SET"
    " delivered = endpoint_traffic.delivered + excluded.delivered,"
    " failed = endpoint_traffic.failed + excluded.failed,"
    " took = endpoint_traffic.took + excluded.took,"
    " slowest = CASE WHEN excluded.slowest > endpoint_traffic.slowest THEN excluded.slowest"
    " ELSE endpoint_traffic.slowest END"
)


class Waiting(Struct, frozen=True, kw_only=True):
    """What waits for an endpoint, and what is parked; `..._since`: when the oldest of it was recorded, 0 for none."""

    waiting: int = 0
    waiting_since: Micros = 0
    parked: int = 0
    parked_since: Micros = 0


def add(connection: Connection, counted: Iterable[Traffic], now: Micros) -> None:
    """Add counts to those of their buckets, in the order in which they are given, and delete old buckets of the same
    endpoints. Whoever adds several gives them sorted, so that two processes never wait for each other."""
    rows = [asdict(each) for each in counted]
    connection.execute(_ADD, rows)
    table = endpoint_traffic.c
    old = delete(endpoint_traffic).where(
        table.organization_id == bindparam("of"),
        table.endpoint_id == bindparam("at"),
        table.width == bindparam("wide"),
        table.since < bindparam("before"),
    )
    widths = {(row["organization_id"], row["endpoint_id"], row["width"]): None for row in rows}
    past = [{"of": of, "at": at, "wide": wide, "before": now - KEPT[wide]} for of, at, wide in widths]
    connection.execute(old, past)


def of_endpoints(
    connection: Connection, organization_id: str, endpoint_ids: Sequence[str], *, since: Micros, width: Micros
) -> list[Traffic]:
    """Return the counts of some endpoints since a time, in buckets of a width that those that are kept divide."""
    table = endpoint_traffic.c
    kept = max(each for each in KEPT if each <= width)
    bucket = (table.since - table.since % width).label("bucket")
    sums = [cast(func.sum(column), BigInteger) for column in (table.delivered, table.failed, table.took)]
    query = (
        select(table.endpoint_id, bucket, *sums, func.max(table.slowest))
        .where(
            table.organization_id == organization_id,
            table.endpoint_id.in_(endpoint_ids),
            table.width == kept,
            table.since >= since,
        )
        .group_by(table.endpoint_id, bucket)
    )
    return [
        Traffic(
            organization_id=organization_id,
            endpoint_id=endpoint_id,
            width=width,
            since=begins,
            delivered=delivered,
            failed=failed,
            took=took,
            slowest=slowest,
        )
        for endpoint_id, begins, delivered, failed, took, slowest in connection.execute(query)
    ]


def waiting_for(
    connection: Connection, organization_id: str, endpoint_ids: Sequence[str], *, most: int
) -> Mapping[str, Waiting]:
    """Return what waits for endpoints, by their ids. Counting stops at `most`: a million of them cost no more."""
    live, late, replayed, parked = map(text, (LIVE, LATE, REPLAYED, PARKED))
    figures = [figure for at in (live, late, replayed, parked) for figure in (_count(at, most), _oldest(at))]
    query = select(endpoints.c.id, *figures).where(
        endpoints.c.organization_id == organization_id, endpoints.c.id.in_(endpoint_ids)
    )
    return {row[0]: _waiting(*row[1:], most=most) for row in connection.execute(query)}


def forget(connection: Connection, organization_id: str, endpoint_id: str) -> None:
    """Delete the counts of an endpoint that is deleted."""
    table = endpoint_traffic.c
    connection.execute(
        delete(endpoint_traffic).where(table.organization_id == organization_id, table.endpoint_id == endpoint_id)
    )


def _count(condition: object, most: int) -> ScalarSelect[int]:
    of = deliveries.c.endpoint_id == endpoints.c.id
    some = select(literal(1)).where(of, condition).limit(most).correlate(endpoints).subquery()  # type: ignore[arg-type]
    return select(func.count()).select_from(some).scalar_subquery()


def _oldest(condition: object) -> ScalarSelect[str]:
    of = deliveries.c.endpoint_id == endpoints.c.id
    return select(func.min(deliveries.c.id)).where(of, condition).correlate(endpoints).scalar_subquery()  # type: ignore[arg-type]


def _waiting(*figures: int | str | None, most: int) -> Waiting:
    counts = [int(count or 0) for count in figures[::2]]
    oldest = [str(first) if first else "" for first in figures[1::2]]
    first = min((each for each in oldest[:3] if each), default="")
    return Waiting(
        waiting=min(sum(counts[:3]), most),
        waiting_since=micros_of(first) if first else 0,
        parked=counts[3],
        parked_since=micros_of(oldest[3]) if oldest[3] else 0,
    )
