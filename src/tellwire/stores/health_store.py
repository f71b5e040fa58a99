"""The health of endpoints: stored from reports, and used to disable endpoints that fail for too long or are gone."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from tellwire.endpoints import disabling, health_history
from tellwire.endpoints.health_history import EndpointHealth, Report
from tellwire.endpoints.traffic import Traffic, by_width
from tellwire.model import operational_events
from tellwire.model.units import DAY, Micros
from tellwire.stores.queries import endpoint_traffic, endpoints, health
from tellwire.stores.queries.audit import OURSELVES, AuditChange
from tellwire.stores.queries.endpoints import SqlEndpointRepository
from tellwire.stores.query_runner import QueryRunner


class SqlHealthStore:
    """`HealthStore` over any store: merges reports of attempts, and disables endpoints and parks their deliveries."""

    def __init__(self, store: QueryRunner) -> None:
        self._store = store

    async def take_in(self, reports: Sequence[Report], now: Micros) -> list[str]:
        """Merge reports into the health of their endpoints, in one transaction; return the endpoints this disabled."""
        return await self._store.write(lambda c: [r.endpoint_id for r in reports if self._merge(c, r, now)])

    def _merge(self, connection: Connection, report: Report, now: Micros) -> bool:
        """Merge one report; return whether this disabled the endpoint."""
        repository = self._repository(connection, report.organization_id, now)
        state = endpoints.state_of(connection, report.organization_id, report.endpoint_id)
        if state != "active":
            return False
        before = repository.health(report.endpoint_id)
        after = health_history.merged(before, report, now)
        health.put(connection, [after])
        if health_history.is_hopeless(after):
            return disabling.disable(repository, report.endpoint_id, _why(after))
        if health_history.ended_outage(before, after) and (endpoint := repository.get(report.endpoint_id)) is not None:
            repository.tell(
                operational_events.recovered(endpoint, "it takes deliveries again", failing_since=before.failing_since)
            )
        return False

    async def add_traffic(self, minutes: Sequence[Traffic], now: Micros) -> None:
        """Add counts of attempts to those that are stored, and delete the buckets that are past their time."""
        known = self._store.registry().endpoints
        counted = by_width(each for each in minutes if each.endpoint_id in known)
        if counted:
            await self._store.write(lambda c: endpoint_traffic.add(c, counted, now))

    async def disable(self, endpoint_id: str, reason: str, now: Micros) -> None:
        """Disable an endpoint and park the deliveries that wait for it."""
        known = self._store.registry().endpoints.get(endpoint_id)
        if known is None:
            return
        organization_id = known.organization_id
        await self._store.write(
            lambda c: disabling.disable(self._repository(c, organization_id, now), endpoint_id, reason)
        )
        await self.park(endpoint_id, now)

    async def park(self, endpoint_id: str, now: Micros) -> None:
        """Park, batch by batch, the deliveries that still wait for an endpoint that is not active."""
        known = self._store.registry().endpoints.get(endpoint_id)
        if known is None:
            return
        organization_id = known.organization_id
        while not await self._store.write(
            lambda c: disabling.park_left(self._repository(c, organization_id, now), endpoint_id)
        ):
            pass

    async def park_left(self, now: Micros) -> None:
        """Call `park` for every endpoint that needs it: the process that stopped it may have died."""
        for endpoint in self._store.registry().endpoints.values():
            if endpoint.state != "active" and await self._store.read(
                lambda c, i=endpoint.id: endpoints.has_waiting(c, i)  # type: ignore[misc]
            ):
                await self.park(endpoint.id, now)

    def _repository(self, connection: Connection, organization_id: str, now: Micros) -> SqlEndpointRepository:
        return SqlEndpointRepository(
            connection, AuditChange(organization_id, OURSELVES, now, self._store.new_id), self._store.vault
        )


def _why(known: EndpointHealth) -> str:
    days = round(known.failing_for / DAY)
    cause = f"; the last: {known.cause}" if known.cause else ""
    return f"nothing but failures for {days} days{cause}"
