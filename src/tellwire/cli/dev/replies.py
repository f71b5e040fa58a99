"""Send what a person types in the terminal of `dev` to the customer who wrote last."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tellwire.cli.dev.catcher import Catch
from tellwire.cli.dev.rest import Rest
from tellwire.simulator import BUSINESS, PEOPLE
from tellwire_sdk import MessageRow, RowEvent

SIMULATED_ONLY = "this customer is simulated, and TELLWIRE_META_GRAPH_URL is not the simulator"
_MOST = 1000
_SIMULATED = frozenset(address for person in PEOPLE for address in (person.wa_id, person.user_id))


class ReplyScreen(Protocol):
    """A screen that shows what became of a typed line."""

    def not_sent(self, status: int | None, cause: str) -> None: ...

    def paused(self, conversation_id: str) -> None: ...

    def resumed(self, conversation_id: str) -> None: ...


class Replies:
    """A sender of typed lines through the REST API, as any user's code would send.

    Args:
        person: the id of the person's agent; an AI agent leaves the conversation when the person writes.
        simulated: whether messages go to the simulator; if not, lines for simulated customers are not sent.
        answer: called once with the wamid of each reply that the customer read.
    """

    def __init__(
        self,
        rest: Rest,
        screen: ReplyScreen,
        *,
        person: str,
        simulated: bool,
        answer: Callable[[str], Awaitable[None]] | None,
    ) -> None:
        self._rest = rest
        self._screen = screen
        self._person = person
        self._simulated = simulated
        self._answer = answer
        self._conversation, self._address = "", PEOPLE[0].wa_id
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._paused: set[str] = set()
        self._answers: set[asyncio.Future[None]] = set()

    def caught(self, catch: Catch) -> None:
        """Remember who wrote last, and answer replies that were read."""
        match catch.payload:
            case RowEvent(data=MessageRow(direction="incoming") as row, action="insert") if row.conversation_id:
                self._conversation, self._address = row.conversation_id, row.from_ or ""
            case RowEvent(data=MessageRow(wa_id=str(wamid), status={"read": _}) as row) if row.agent_id == self._person:
                if self._answer is not None and row.id not in self._answered:
                    self._answered[row.id] = None
                    if len(self._answered) > _MOST:
                        self._answered.popitem(last=False)
                    self._begin(self._answer(wamid))

    async def send(self, line: str) -> None:
        """Send a text to the customer who wrote last.

        Raises:
            TellwireError: it was not taken, or nobody took it.
        """
        if self._address in _SIMULATED and not self._simulated:
            self._screen.not_sent(None, SIMULATED_ONLY)
            return
        draft = {"type": "text", "text": {"body": line}, "agent_id": self._person, **await self._to()}
        row: dict[str, Any] = await self._rest.call("POST", "/v1/messages", draft)
        place: str = row["conversation_id"]
        self._conversation = self._conversation or place
        if not (await self._rest.call("GET", f"/v1/conversations/{place}/agent"))["paused"]:
            self._paused.discard(place)
        elif place not in self._paused:
            self._paused.add(place)
            self._screen.paused(place)

    async def _to(self) -> dict[str, str]:
        """Return the recipient: the conversation of who wrote last, or the simulated customer before anybody wrote."""
        if not self._conversation:
            return {"account": BUSINESS.phone_number_id, "to": f"+{self._address}"}
        row = await self._rest.call("GET", f"/v1/conversations/{self._conversation}")
        return {"account": row["organization_address"], "conversation_id": self._conversation}

    async def resume(self) -> None:
        """Give the conversation back to the agent.

        Raises:
            TellwireError: the server did not do it.
        """
        if not self._conversation:
            self._screen.not_sent(None, "nobody has written yet")
            return
        await self._rest.call("POST", f"/v1/conversations/{self._conversation}/agent/resume")
        self._paused.discard(self._conversation)
        self._screen.resumed(self._conversation)

    def _begin(self, answer: Awaitable[None]) -> None:
        task = asyncio.ensure_future(answer)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def stop(self) -> None:
        """Cancel the answers that are not sent yet."""
        for task in list(self._answers):
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)
