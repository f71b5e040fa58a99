"""Meta's Graph API, whose answers tell what time it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Answer, Graph
from tellwire.verdict.observed import Observed


class ClockedGraph:
    """The `Graph` port over another one: compares our clock with the `Date` of each answer."""

    def __init__(self, graph: Graph, clock: Clock, observed: Observed) -> None:
        self._graph, self._clock, self._observed = graph, clock, observed

    async def ask(
        self,
        token: str,
        path: str,
        *,
        method: Literal["GET", "POST", "DELETE"] = "GET",
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        may_send: Callable[[], bool] | None = None,
        timeout_seconds: float = 20.0,
    ) -> Answer:
        """Make one call, as the other does."""
        answer = await self._graph.ask(
            token, path, method=method, query=query, body=body, may_send=may_send, timeout_seconds=timeout_seconds
        )
        self._observed.graph_date(answer.headers, self._clock.now())
        return answer

    async def close(self) -> None:
        """Drop every connection."""
        await self._graph.close()
