"""Takes stock of what fails, over any store."""

from __future__ import annotations

from sqlalchemy import Connection

from tellwire.endpoints import failures as rules
from tellwire.endpoints.failures import Failure, Seen
from tellwire.model.units import Micros
from tellwire.stores.queries import failures
from tellwire.stores.query_runner import QueryRunner

_MOST = 20
"""So many kinds of failures are looked at in a round, so that stock costs little however much fails."""

_START = ("", "")
_Found = tuple[Failure | None, Seen | None]


class SqlFailureStore:
    """`FailureStore` over any store. `most`: kinds that a round looks at; the next round goes on behind them."""

    def __init__(self, store: QueryRunner, most: int = _MOST) -> None:
        self._store = store
        self._most = most
        self._after = _START

    async def take_stock(self, now: Micros) -> None:
        """See `FailureStore.take_stock`. It writes only when something changed."""
        found = await self._store.read(self._look)
        if any(rules.after(*each, identifier="", now=now) is not None for each in found):
            await self._store.write(lambda c: self._write(c, found, now))

    def _look(self, connection: Connection) -> list[_Found]:
        after, endpoints = self._after, self._store.registry().endpoints
        there = failures.kinds(connection, after, self._most)
        self._after = until = there[-1] if len(there) == self._most else _START
        some = failures.unresolved(connection, after, None if until == _START else until, self._most)
        known = {(each.endpoint_id, each.failure): each for each in some}
        found: list[_Found] = []
        for place in {**dict.fromkeys(there), **dict.fromkeys(known)}:
            endpoint_id, failure = place
            endpoint = endpoints.get(endpoint_id)
            if endpoint is None:
                continue  # it was deleted, and what failed there can no longer be mended
            before = known.get(place) or failures.of_kind(connection, endpoint_id, failure)
            found.append((before, failures.seen(connection, endpoint.organization_id, endpoint_id, failure)))
        return found

    def _write(self, connection: Connection, found: list[_Found], now: Micros) -> None:
        for known, seen in found:
            if known is None:
                made = rules.after(None, seen, identifier=self._store.new_id(), now=now)
                if made is not None and failures.of_kind(connection, made.endpoint_id, made.failure) is None:
                    failures.add(connection, made)
            elif (changed := rules.after(known, seen, identifier="", now=now)) is not None:
                failures.put(connection, changed, was=known.state)
