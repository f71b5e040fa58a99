"""What the database says about what works, for the verdict; each figure is bounded."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import asdict
from sqlalchemy import Connection, func, insert, select, update

from tellwire.ids import id_floor, micros_of
from tellwire.model.inbound import Outcome
from tellwire.model.tenancy import Account
from tellwire.model.units import DAY, Micros
from tellwire.stores.queries import status_figures
from tellwire.stores.queries.paging import columns
from tellwire.stores.schema.tables import account_traffic, endpoint_health, held_items
from tellwire.verdict.figures import Outage, Stored, Unrouted
from tellwire.verdict.traffic import Heard, Traffic, merged

_MOST_NAMES = 100


def read(connection: Connection, now: Micros) -> Stored:
    """Return the figures of the verdict."""
    return Stored(
        unrouted=_unrouted(connection, now),
        traffic={row.account_id: Traffic(**columns(row)) for row in connection.execute(select(account_traffic))},
        outages=_outages(connection),
        oldest=status_figures.oldest(connection, "live"),
    )


def add(connection: Connection, heard: Sequence[tuple[Account, Heard]]) -> None:
    """Add messages to the traffic of accounts."""
    for account, each in heard:
        place = (account_traffic.c.organization_id == account.organization_id) & (
            account_traffic.c.account_id == account.id
        )
        row = connection.execute(select(account_traffic).where(place)).one_or_none()
        known = (
            Traffic(organization_id=account.organization_id, account_id=account.id)
            if row is None
            else Traffic(**columns(row))
        )
        values = asdict(merged(known, each))
        statement = insert(account_traffic) if row is None else update(account_traffic).where(place)
        connection.execute(statement.values(values))


def _unrouted(connection: Connection, now: Micros) -> list[Unrouted]:
    lately = (
        select(held_items.c.phone_number_id, held_items.c.inbound_id)
        .where(held_items.c.inbound_id >= id_floor(now - DAY), held_items.c.outcome == Outcome.UNROUTED)
        .limit(status_figures.MOST)
        .subquery()
    )
    name, last = lately.c.phone_number_id, func.max(lately.c.inbound_id)
    query = select(name, func.count(), last).group_by(name).order_by(last.desc()).limit(_MOST_NAMES)
    return [Unrouted(each, count, micros_of(newest)) for each, count, newest in connection.execute(query)]


def _outages(connection: Connection) -> dict[str, Outage]:
    health = endpoint_health.c
    query = select(health.endpoint_id, health.failing_since, health.cause).where(health.failing_since > 0)
    return {endpoint_id: Outage(since, cause) for endpoint_id, since, cause in connection.execute(query)}
