"""What the database says about what works, for the verdict; each figure is bounded."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import asdict
from sqlalchemy import ColumnElement, Connection, TextClause, func, insert, literal, select, text, update

from tellwire.ids import id_floor, micros_of
from tellwire.model.inbound import Outcome
from tellwire.model.tenancy import Account
from tellwire.model.units import DAY, Micros
from tellwire.stores.queries import alerts, status_figures
from tellwire.stores.queries.paging import columns
from tellwire.stores.schema.sending import DUE_SEND, sends
from tellwire.stores.schema.tables import LIVE, PARKED, account_traffic, deliveries, endpoint_health, held_items
from tellwire.verdict.figures import MOST_WAITING, Outage, Stored, Unrouted
from tellwire.verdict.rules import LATE
from tellwire.verdict.traffic import Heard, Traffic, merged

_MOST_NAMES = 100
_MOST_COUNTED = 20
"""For so many endpoints and accounts in trouble it is counted what waits."""


def read(connection: Connection, now: Micros, *, disabled: Sequence[str] = (), paused: Sequence[str] = ()) -> Stored:
    """Return the figures of the verdict; `disabled` and `paused`: the ids of endpoints and accounts that are."""
    outages, oldest = _outages(connection), status_figures.oldest(connection, "live")
    late = [endpoint_id for endpoint_id, at in oldest.items() if now - at > LATE]
    troubled = list(dict.fromkeys((*outages, *late, *disabled)))[:_MOST_COUNTED]
    return Stored(
        unrouted=_unrouted(connection, now),
        traffic={row.account_id: Traffic(**columns(row)) for row in connection.execute(select(account_traffic))},
        outages=outages,
        oldest=oldest,
        waiting={each: _waiting(connection, each) for each in troubled},
        failing_channels=alerts.failing(connection),
        unsent={
            each: _counted(connection, sends.c.account_id == each, text(DUE_SEND)) for each in paused[:_MOST_COUNTED]
        },
    )


def _waiting(connection: Connection, endpoint_id: str) -> int:
    of_it = deliveries.c.endpoint_id == endpoint_id
    return min(MOST_WAITING, sum(_counted(connection, of_it, text(each)) for each in (LIVE, PARKED)))


def _counted(connection: Connection, of_it: ColumnElement[bool], state: TextClause) -> int:
    some = select(literal(1)).where(of_it, state).limit(MOST_WAITING).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one()


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
    name, last, first = lately.c.phone_number_id, func.max(lately.c.inbound_id), func.min(lately.c.inbound_id)
    query = select(name, func.count(), last, first).group_by(name).order_by(last.desc()).limit(_MOST_NAMES)
    return [
        Unrouted(each, count, micros_of(newest), micros_of(oldest))
        for each, count, newest, oldest in connection.execute(query)
    ]


def _outages(connection: Connection) -> dict[str, Outage]:
    health = endpoint_health.c
    query = select(health.endpoint_id, health.failing_since, health.cause).where(health.failing_since > 0)
    return {endpoint_id: Outage(since, cause) for endpoint_id, since, cause in connection.execute(query)}
