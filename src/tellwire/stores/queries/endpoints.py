"""Webhook endpoints, and the changes to their deliveries when they are paused, resumed or deleted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, text, update

from tellwire.endpoints import health_history
from tellwire.endpoints.health_history import EndpointHealth
from tellwire.model.deliveries import Endpoint
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.units import Micros
from tellwire.security.vault import Vault
from tellwire.stores.queries import endpoint_traffic, failures, health, operational
from tellwire.stores.queries.audit import AuditChange, note_change
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest, unindexed
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import DUE, LIVE, OPEN_JOB, PARKED, deliveries, endpoints, jobs

# Each condition repeats that of a partial index word by word, so that the planner uses the index. The index of late and
# replayed deliveries does not begin with the endpoint: the expression keeps the planner from the one that does, which
# holds every delivery of the endpoint.
_WAITING = ((deliveries.c.endpoint_id, text(LIVE)), (unindexed(deliveries.c.endpoint_id), text(DUE)))
_PARKED = ((deliveries.c.endpoint_id, text(PARKED)),)


class SqlEndpointRepository:
    """`EndpointRepository` within one transaction, for one organization."""

    def __init__(self, connection: Connection, change: AuditChange, vault: Vault) -> None:
        self._connection = connection
        self._change = change
        self._vault = vault
        self.organization_id = change.organization_id
        self.now: Micros = change.at

    def new_id(self) -> str:
        """See `EndpointRepository.new_id`."""
        return self._change.new_id()

    def get(self, endpoint_id: str) -> Endpoint | None:
        """See `EndpointRepository.get`."""
        return get(self._connection, self._vault, self.organization_id, endpoint_id)

    def add(self, endpoint: Endpoint) -> None:
        """See `EndpointRepository.add`."""
        self._connection.execute(insert(endpoints).values(ledger_rows.endpoint_values(endpoint, self._vault)))
        note_change(self._connection, self._change, "endpoint.created", endpoint.id)

    def put(self, endpoint: Endpoint, action: str) -> None:
        """See `EndpointRepository.put`."""
        columns = ledger_rows.endpoint_values(endpoint, self._vault)
        self._connection.execute(update(endpoints).where(endpoints.c.id == endpoint.id).values(columns))
        note_change(self._connection, self._change, f"endpoint.{action}", endpoint.id)

    def remove(self, endpoint_id: str) -> None:
        """See `EndpointRepository.remove`."""
        self._connection.execute(delete(endpoints).where(endpoints.c.id == endpoint_id))
        health.forget(self._connection, self.organization_id, endpoint_id)
        failures.forget(self._connection, self.organization_id, endpoint_id)
        endpoint_traffic.forget(self._connection, self.organization_id, endpoint_id)
        self._connection.execute(
            update(jobs)
            .where(jobs.c.endpoint_id == endpoint_id, text(OPEN_JOB))
            .values(state="cancelled", detail="the endpoint was deleted", updated_at=self.now, finished_at=self.now)
        )
        note_change(self._connection, self._change, "endpoint.deleted", endpoint_id)

    def park(self, endpoint_id: str, limit: int) -> bool:
        """See `EndpointRepository.park`."""
        return self._move(endpoint_id, "parked", limit, *_WAITING)

    def unpark(self, endpoint_id: str, limit: int) -> bool:
        """See `EndpointRepository.unpark`."""
        return self._move(endpoint_id, "pending", limit, *_PARKED, due_at=self.now)

    def cancel(self, endpoint_id: str, limit: int) -> bool:
        """See `EndpointRepository.cancel`."""
        return self._move(endpoint_id, "cancelled", limit, *_WAITING, *_PARKED)

    def health(self, endpoint_id: str) -> EndpointHealth:
        """See `EndpointRepository.health`."""
        known = health.of_endpoints(self._connection, self.organization_id, [endpoint_id])
        return known.get(endpoint_id) or EndpointHealth(endpoint_id=endpoint_id, organization_id=self.organization_id)

    def reset_health(self, endpoint_id: str) -> None:
        """See `EndpointRepository.reset_health`."""
        health.put(self._connection, [health_history.start_again(self.health(endpoint_id), self.now)])

    def tell(self, news: OperationalEvent) -> None:
        """See `EndpointRepository.tell`."""
        operational.record(self._connection, self._change, news)

    def _move(self, endpoint_id: str, state: str, limit: int, *conditions: Any, **more: Any) -> bool:
        """Set the state of at most `limit` deliveries; return True once none is left."""
        for of_endpoint, condition in conditions:
            chosen = select(deliveries.c.id).where(of_endpoint == endpoint_id, condition).limit(limit)
            moved = self._connection.execute(
                update(deliveries)
                .where(deliveries.c.organization_id == self.organization_id, deliveries.c.id.in_(chosen))
                .values(state=state, updated_at=self.now, **more)
            ).rowcount
            limit -= moved
            if limit <= 0:
                return False
        return True


def get(connection: Connection, vault: Vault, organization_id: str, endpoint_id: str) -> Endpoint | None:
    """Return an endpoint of an organization, None when there is none."""
    mine: ColumnElement[bool] = endpoints.c.organization_id == organization_id
    row = connection.execute(select(endpoints).where(endpoints.c.id == endpoint_id, mine)).one_or_none()
    return None if row is None else ledger_rows.endpoint(columns(row), vault)


def page(connection: Connection, vault: Vault, organization_id: str, request: PageRequest) -> Page[Endpoint]:
    """Return a page of the endpoints of an organization."""
    query = select(endpoints).where(endpoints.c.organization_id == organization_id)
    return newest(
        connection,
        query,
        endpoints.c.id,
        request,
        lambda row: ledger_rows.endpoint(columns(row), vault),
    )


def state_of(connection: Connection, organization_id: str, endpoint_id: str) -> str:
    """Return whether an endpoint is active, paused or disabled; "" when there is none."""
    mine = (endpoints.c.id == endpoint_id) & (endpoints.c.organization_id == organization_id)
    return connection.execute(select(endpoints.c.state).where(mine)).scalar_one_or_none() or ""


def has_waiting(connection: Connection, endpoint_id: str) -> bool:
    """Return whether deliveries wait for an endpoint, in any lane but parked."""
    for of_endpoint, condition in _WAITING:
        query = select(deliveries.c.id).where(of_endpoint == endpoint_id, condition).limit(1)
        if connection.execute(query).first() is not None:
            return True
    return False
