"""Lets AI agents answer: takes up turns that are due, asks models, and records the outcome.

A turn is a row until its answer is queued, in one transaction (`agents.decisions`). When two processes take up the same
turn, or one ends in the middle, the model is asked once more, but the customer never gets a second answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial

import msgspec
import structlog

from tellwire.agents import chat_model, decisions
from tellwire.agents.decisions import AnswerContext
from tellwire.agents.ports import Model, Reply, TranscriptLine, Usage
from tellwire.agents.settings import is_scripted, settings_of
from tellwire.agents.transcript import transcript
from tellwire.conversations import agent_turns, outgoing
from tellwire.conversations.outgoing import partition_of
from tellwire.errors import ModelFailed, Unavailable
from tellwire.loops import After, Loop
from tellwire.model.agents import Agent, AgentRun, AgentTurn, Situation
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Message
from tellwire.model.shares import FairShare
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Graph
from tellwire.ports.queues import AgentTurns
from tellwire.ports.storage import LedgerStore

log = structlog.get_logger("tellwire.agents")

MAX_CONCURRENT = 16
"""Answers that are made at a time, shared by organization."""
RUN_SECONDS = 120.0
"""The time limit of one answer, tools included."""
_TYPING_SECONDS = 5.0
_POLL_SECONDS = 5.0
_PAUSE_SECONDS = 1.0
_PAGE = 200


class AgentWorker:
    """Runs turns of AI agents: several conversations at once, the turns of one conversation one after the other.

    Args:
        store, turns, clock: transactions, the turns that wait, and the time.
        model_of: gives the model of an agent.
        owned: gives the partitions of this process, which runs the turns of the accounts for which it sends.
        window: micros after which an idle conversation closes.
        counters: count the runs by outcome.
        graph: Meta's API, for read marks and typing indicators; None sends neither.
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
        self._share = FairShare(MAX_CONCURRENT)
        self._by_agent: Counter[str] = Counter()
        self._superseded: dict[str, int] = {}
        self._loop = Loop(
            "agents",
            self._round,
            seconds=_POLL_SECONDS,
            failed="answering_failed",
            after_failure=_PAUSE_SECONDS,
        )
        store.on_due_work(self.wake)

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to take up turns. What no agent could answer without is told now, not when a customer waits."""
        agents = self._store.registry().agents.values()
        if (lacks := chat_model.missing()) and any(each.kind == "ai" and not is_scripted(each) for each in agents):
            log.warning("agents_cannot_answer", cause=lacks)
        self._loop.start()

    def wake(self) -> None:
        """Look for due turns at once."""
        self._loop.wake()

    async def stop(self) -> None:
        """Stop, and cancel the turns under way; they are taken up again after the next start."""
        await self._loop.stop()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Return once no answer is being made."""
        while self._running:
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _round(self) -> After | None:
        following = await self.round()
        return None if following is None else After(max(0.0, (following - self._clock.now()) / MICROS))

    # --- turns --------------------------------------------------------------------------------------------------------

    async def round(self) -> Micros | None:
        """Take up the turns that are due and this process's, up to `MAX_CONCURRENT` at once; return when the next turn
        is due."""
        owned, now = self._owned(), self._clock.now()
        if not owned:
            return None
        last: AgentTurn | None = None
        while len(self._running) < MAX_CONCURRENT:
            page = await self._turns.due(now, limit=_PAGE, after=last, not_of=self._share.full)
            for turn in page:
                if self._share.admits(turn.organization_id) and self._is_ours(turn, owned):
                    self._take_up(turn)
            if len(page) < _PAGE:
                break
            last = page[-1]
        return await self._turns.next_due(now)

    def _is_ours(self, turn: AgentTurn, owned: Collection[int]) -> bool:
        return turn.conversation_id not in self._running and partition_of(turn.account_id) in owned

    def _take_up(self, turn: AgentTurn) -> None:
        self._share.take(turn.organization_id)
        task = self._running[turn.conversation_id] = asyncio.create_task(self._run(turn))
        task.add_done_callback(lambda _: self._done(turn))

    def _done(self, turn: AgentTurn) -> None:
        self._running.pop(turn.conversation_id, None)
        self._share.give_back(turn.organization_id)
        self.wake()

    async def _run(self, turn: AgentTurn) -> None:
        try:
            await self._run_turn(turn)
        except Unavailable as error:
            log.warning("store_unavailable", detail=str(error))
            await asyncio.sleep(_PAUSE_SECONDS)
        except Exception:
            log.exception("turn_failed", conversation_id=turn.conversation_id)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _run_turn(self, turn: AgentTurn) -> None:
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
        context = AnswerContext(
            turn=turn,
            agent=agent,
            account=account,
            conversation=found.conversation,
            started_at=now,
            window=self._window,
        )
        self._by_agent[agent.id] += 1
        try:
            await self._ask(context, found)
        finally:
            self._by_agent[agent.id] -= 1

    async def _ask(self, context: AnswerContext, found: Situation) -> None:
        asked = next(each for each in found.messages if each.id == context.turn.message_id)
        typing = asyncio.create_task(self._show_typing(context.account, context.agent, asked))
        usage = Usage()
        try:
            reply = await self._answer(context, transcript(found.messages, asked), usage)
        except (ModelFailed, TimeoutError) as error:
            why, retryable = str(error) or f"no answer within {RUN_SECONDS:.0f} s", getattr(error, "retryable", True)
            decision = partial(decisions.failed, context=context, usage=usage, why=why, retryable=retryable)
        except Exception as error:
            log.exception("agent_error", agent_id=context.agent.id)
            decision = _internal_failure(context, usage, error)
        else:
            before = self._superseded.get(context.turn.conversation_id, 0)
            decision = partial(decisions.answered, context=context, reply=reply, usage=usage, superseded=before)
        finally:
            # The answer ends the typing indicator, so the indicator has to be sent before it.
            await asyncio.gather(typing, return_exceptions=True)
        self._count(context, await self._record(context, decision))

    async def _record(self, context: AnswerContext, decision: Callable[[Ledger], AgentRun]) -> AgentRun:
        """Record the outcome. An outcome that cannot be recorded is recorded as a failure, or the model would be asked
        for ever."""
        try:
            return await self._store.apply(context.keys, decision)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("agent_error", agent_id=context.agent.id)
            return await self._store.apply(context.keys, _internal_failure(context, Usage(), error))

    async def _answer(self, context: AnswerContext, history: Sequence[TranscriptLine], usage: Usage) -> Reply:
        async with asyncio.timeout(RUN_SECONDS):
            reply = await self._model_of(context.agent).answer(context.agent, history, usage)
        if len(decisions.parts(reply.text)) > decisions.MAX_PARTS:
            raise ModelFailed("the model's answer was too long for WhatsApp")
        return reply

    def _count(self, context: AnswerContext, run: AgentRun) -> None:
        self._counters.agent_runs[run.outcome] += 1
        conversation_id = context.turn.conversation_id
        if run.outcome == "superseded":
            self._superseded[conversation_id] = self._superseded.get(conversation_id, 0) + 1
        else:
            self._superseded.pop(conversation_id, None)
        if run.outcome in ("retrying", "failed"):
            log.warning("agent_failed", agent_id=run.agent_id, run_id=run.id, outcome=run.outcome, reason=run.detail)

    async def _show_typing(self, account: Account, agent: Agent, asked: Message) -> None:
        """Mark the message as read and show that an answer is being written; the answer does not depend on it."""
        if self._graph is None or not account.access_token or not asked.wamid:
            return
        body: dict[str, object] = {"messaging_product": "whatsapp", "status": "read", "message_id": asked.wamid}
        if settings_of(agent).typing:
            body["typing_indicator"] = {"type": "text"}
        answer = await self._graph.ask(
            account.access_token,
            f"{account.phone_number_id}/messages",
            method="POST",
            body=msgspec.json.encode(body),
            timeout_seconds=_TYPING_SECONDS,
        )
        if not answer.ok:
            log.info("typing_not_shown", account_id=account.id, status=answer.status, failure=answer.failure)
            return
        keys = Keys(own={(account.phone_number_id, asked.id)})
        await self._store.apply(keys, lambda ledger: outgoing.mark_read(ledger, account, asked.id))


def _internal_failure(context: AnswerContext, usage: Usage, error: Exception) -> partial[AgentRun]:
    """Return the decision that follows an error on our side."""
    why = f"an error of our own ({type(error).__name__}); the server's log has it"
    return partial(decisions.failed, context=context, usage=usage, why=why, retryable=True)
