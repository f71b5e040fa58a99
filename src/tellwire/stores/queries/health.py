"""The health of endpoints, which survives restarts and changes of their owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from tellwire.endpoints.health_history import EndpointHealth
from tellwire.stores.queries.paging import columns
from tellwire.stores.schema.tables import endpoint_health

_TOGETHER = 500


def of_endpoints(
    connection: Connection, organization_id: str, endpoint_ids: Sequence[str]
) -> Mapping[str, EndpointHealth]:
    """Return the health of endpoints by their ids; an endpoint that was never sent anything has none."""
    found: dict[str, EndpointHealth] = {}
    for start in range(0, len(endpoint_ids), _TOGETHER):
        some = endpoint_health.c.endpoint_id.in_(endpoint_ids[start : start + _TOGETHER])
        query = select(endpoint_health).where(endpoint_health.c.organization_id == organization_id, some)
        found |= {row.endpoint_id: EndpointHealth(**columns(row)) for row in connection.execute(query)}
    return found


def put(connection: Connection, changed: Iterable[EndpointHealth]) -> None:
    """Insert or update the health of endpoints."""
    place = (endpoint_health.c.organization_id == bindparam("of")) & (endpoint_health.c.endpoint_id == bindparam("at"))
    for each in changed:
        values = asdict(each)
        named = {"of": values["organization_id"], "at": values["endpoint_id"]}
        known = connection.execute(update(endpoint_health).where(place).values(values), named)
        if not known.rowcount:
            connection.execute(insert(endpoint_health).values(values))


def forget(connection: Connection, organization_id: str, endpoint_id: str) -> None:
    """Delete the health of an endpoint that is deleted."""
    connection.execute(
        delete(endpoint_health).where(
            endpoint_health.c.organization_id == organization_id, endpoint_health.c.endpoint_id == endpoint_id
        )
    )
