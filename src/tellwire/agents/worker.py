"""Lets AI agents answer: takes up turns that are due, asks models, and records what came of it.

A turn is a row until its answer is queued, in one transaction (`answers`). Two processes that take up the same one, or
one that ends in the middle, cost a question to the model and never a second answer to the customer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial

import msgspec
import structlog

from tellwire.agents import decisions
from tellwire.agents.decisions import Asking
from tellwire.agents.ports import Line, Model, Reply, Use
from tellwire.agents.settings import settings_of
from tellwire.agents.transcript import transcript
from tellwire.conversations import agent_turns
from tellwire.conversations.outgoing import partition_of
from tellwire.errors import ModelFailed, Unavailable
from tellwire.loops import After, Loop
from tellwire.model.agents import Agent, AgentRun, AgentTurn, Situation
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Message
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Graph
from tellwire.ports.queues import AgentTurns
from tellwire.ports.storage import LedgerStore

log = structlog.get_logger("tellwire.answering")

MOST_AT_ONCE = 8
RUN_SECONDS = 120.0
"""Over everything that one answer takes, tools included."""
_TYPING_SECONDS = 5.0
_LOOK_SECONDS = 5.0
_PAUSE_SECONDS = 1.0
_PAGE = 200


class AgentWorker:
    """Runs turns, several conversations at once, each conversation one at a time.

    Args:
        store, turns, clock: decisions, the turns that wait, and the time.
        model_of: what answers for an agent.
        owned: the partitions that are this process's; an account's turns are run by who sends for it.
        window: micros after which an idle conversation closes.
        counters: told of what came of each.
        graph: Meta's API, for read marks and typing indicators; None shows neither.
    """

    def __init__(
        self,
        store: LedgerStore,
        turns: AgentTurns,
        clock: Clock,
        *,
        model_of: Callable[[Agent], Model],
        owned: Callable[[], Collection[int]],
        window: Micros,
        counters: Counters,
        graph: Graph | None = None,
    ) -> None:
        self._store = store
        self._turns = turns
        self._clock = clock
        self._model_of = model_of
        self._owned = owned
        self._window = window
        self._counters = counters
        self._graph = graph
        self._running: dict[str, asyncio.Task[None]] = {}
        self._by_agent: Counter[str] = Counter()
        self._superseded: dict[str, int] = {}
        self._loop = Loop(
            "agents",
            self._round,
            seconds=_LOOK_SECONDS,
            failed="answering_failed",
            after_failure=_PAUSE_SECONDS,
        )
        store.on_due_work(self.wake)

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take up turns from now on."""
        self._loop.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._loop.wake()

    async def stop(self) -> None:
        """Leave what is not done as it is: its turns are taken up again."""
        await self._loop.stop()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait for every answer that is being made."""
        while self._running:
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _round(self) -> After | None:
        following = await self.round()
        return None if following is None else After(max(0.0, (following - self._clock.now()) / MICROS))

    # --- turns --------------------------------------------------------------------------------------------------------

    async def round(self) -> Micros | None:
        """Take up what is due and ours, as far as there is room; return when the next turn will be due."""
        owned, now = self._owned(), self._clock.now()
        if not owned:
            return None
        last: AgentTurn | None = None
        while len(self._running) < MOST_AT_ONCE:
            page = await self._turns.due(now, limit=_PAGE, after=last)
            for turn in page:
                if len(self._running) < MOST_AT_ONCE and self._is_ours(turn, owned):
                    self._take_up(turn)
            if len(page) < _PAGE:
                break
            last = page[-1]
        return await self._turns.next_due(now)

    def _is_ours(self, turn: AgentTurn, owned: Collection[int]) -> bool:
        return turn.conversation_id not in self._running and partition_of(turn.account_id) in owned

    def _take_up(self, turn: AgentTurn) -> None:
        task = self._running[turn.conversation_id] = asyncio.create_task(self._run(turn))
        task.add_done_callback(lambda _: self._done(turn))

    def _done(self, turn: AgentTurn) -> None:
        self._running.pop(turn.conversation_id, None)
        self.wake()

    async def _run(self, turn: AgentTurn) -> None:
        try:
            await self._turn(turn)
        except Unavailable as error:
            log.warning("store_unavailable", detail=str(error))
            await asyncio.sleep(_PAUSE_SECONDS)
        except Exception:
            log.exception("turn_failed", conversation_id=turn.conversation_id)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _turn(self, turn: AgentTurn) -> None:
        registry, now = self._store.registry(), self._clock.now()
        account = next((each for each in registry.accounts.values() if each.id == turn.account_id), None)
        agent = agent_turns.agent_of(registry, account) if account else None
        last = settings_of(agent).history_messages if agent else 1
        name = agent.id if agent else turn.agent_id
        found = await self._turns.situation(turn, name, last=last, now=now)
        why = decisions.obstacle(turn, agent, found, now=now, in_flight=self._by_agent[name])
        if why or account is None or agent is None or found.conversation is None:
            await self._store.apply(decisions.keys_of(turn), lambda ledger: decisions.declined(ledger, turn, why))
            return
        asking = Asking(
            turn=turn,
            agent=agent,
            account=account,
            conversation=found.conversation,
            started_at=now,
            window=self._window,
        )
        self._by_agent[agent.id] += 1
        try:
            await self._ask(asking, found)
        finally:
            self._by_agent[agent.id] -= 1

    async def _ask(self, asking: Asking, found: Situation) -> None:
        asked = next(each for each in found.messages if each.id == asking.turn.message_id)
        typing = asyncio.create_task(self._show_typing(asking.account, asking.agent, asked))
        use = Use()
        try:
            reply = await self._answer(asking, transcript(found.messages, asked), use)
        except (ModelFailed, TimeoutError) as error:
            why, again = str(error) or f"no answer within {RUN_SECONDS:.0f} s", getattr(error, "again", True)
            decision = partial(decisions.failed, asking=asking, use=use, why=why, again=again)
        except Exception as error:
            log.exception("agent_stumbled", agent_id=asking.agent.id)
            decision = _stumbled(asking, use, error)
        else:
            before = self._superseded.get(asking.turn.conversation_id, 0)
            decision = partial(decisions.answered, asking=asking, reply=reply, use=use, superseded=before)
        finally:
            await asyncio.gather(typing, return_exceptions=True)  # so that the answer ends it
        self._note(asking, await self._recorded(asking, decision))

    async def _recorded(self, asking: Asking, decision: Callable[[Ledger], AgentRun]) -> AgentRun:
        """Record what came of it; what cannot be recorded is a failure, else the model would be asked for ever."""
        try:
            return await self._store.apply(asking.keys, decision)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("agent_stumbled", agent_id=asking.agent.id)
            return await self._store.apply(asking.keys, _stumbled(asking, Use(), error))

    async def _answer(self, asking: Asking, history: Sequence[Line], use: Use) -> Reply:
        async with asyncio.timeout(RUN_SECONDS):
            reply = await self._model_of(asking.agent).answer(asking.agent, history, use)
        if len(decisions.parts(reply.text)) > decisions.MOST_PARTS:
            raise ModelFailed("the model's answer was too long for WhatsApp")
        return reply

    def _note(self, asking: Asking, run: AgentRun) -> None:
        self._counters.agent_runs[run.outcome] += 1
        place = asking.turn.conversation_id
        if run.outcome == "superseded":
            self._superseded[place] = self._superseded.get(place, 0) + 1
        else:
            self._superseded.pop(place, None)
        if run.outcome in ("retrying", "failed"):
            log.warning("agent_failed", agent_id=run.agent_id, run_id=run.id, outcome=run.outcome, reason=run.detail)

    async def _show_typing(self, account: Account, agent: Agent, asked: Message) -> None:
        """Mark the message as read and show that an answer is being written; the answer does not depend on it."""
        if self._graph is None or not account.access_token or not asked.wamid:
            return
        told: dict[str, object] = {"messaging_product": "whatsapp", "status": "read", "message_id": asked.wamid}
        if settings_of(agent).typing:
            told["typing_indicator"] = {"type": "text"}
        answer = await self._graph.ask(
            account.access_token,
            f"{account.phone_number_id}/messages",
            method="POST",
            body=msgspec.json.encode(told),
            timeout_seconds=_TYPING_SECONDS,
        )
        if not answer.ok:
            log.info("typing_not_shown", account_id=account.id, status=answer.status, failure=answer.failure)


def _stumbled(asking: Asking, use: Use, error: Exception) -> partial[AgentRun]:
    """What an error of ours comes to."""
    why = f"an error of our own ({type(error).__name__}); the server's log has it"
    return partial(decisions.failed, asking=asking, use=use, why=why, again=True)
