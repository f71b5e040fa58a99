"""The queries for turns of agents that their worker needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tellwire.model.agents import AgentTurn, Situation
from tellwire.model.units import Micros
from tellwire.stores.queries import turns
from tellwire.stores.query_runner import Transactions

_FIRST = (-1, "")


class SqlAgentTurns:
    """`AgentTurns` over any store."""

    def __init__(self, store: Transactions) -> None:
        self._store = store

    async def due(
        self, now: Micros, *, limit: int, after: AgentTurn | None = None, not_of: Collection[str] = ()
    ) -> Sequence[AgentTurn]:
        """Return due turns, from behind one that was returned before."""
        place = _FIRST if after is None else (after.due_at, after.conversation_id)
        return await self._store.read(lambda c: turns.due(c, now, limit=limit, after=place, not_of=not_of))

    async def next_due(self, now: Micros) -> Micros | None:
        """Return when the next turn becomes due after `now`; None when there is none."""
        return await self._store.read(lambda c: turns.next_due(c, now))

    async def situation(self, turn: AgentTurn, agent_id: str, *, last: int, now: Micros) -> Situation:
        """Return a turn's conversation with its last messages, and what its agent has used."""
        return await self._store.read(lambda c: turns.situation(c, turn, agent_id, last=last, now=now))
