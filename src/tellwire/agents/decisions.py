"""PURE. Decides about an AI agent's turn: whether the agent may answer, and what its answer writes, in one transaction
with the end of the turn.

Until then the turn is a row. A process that ends in between leaves it, so the model may be asked again, but the
customer gets one answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tellwire.agents.ports import Reply, Usage
from tellwire.agents.settings import AgentSettings, settings_of
from tellwire.agents.transcript import said
from tellwire.conversations import agent_turns, contacts, outgoing
from tellwire.meta.outgoing.windows import window_closed
from tellwire.meta.phone_numbers import alias
from tellwire.model.agents import Agent, AgentRun, AgentTurn, RunOutcome, Situation
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Conversation, Message
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros, micros

BACKOFF: Sequence[Micros] = (micros(5), micros(30), micros(120))
"""How long after each failure the model is asked again; after the last, the turn is given up."""
MAX_SUPERSEDED = 2
"""How many answers of a turn are dropped because the customer wrote more; the next one is sent all the same."""
MAX_CHARACTERS = 4096
MAX_PARTS = 5
FAILED = "agent.failed"
MODEL_FAILED = "the model failed"

_MAX_DETAIL = 500
_UNSENT = frozenset(("failed", "cancelled"))
_encode = msgspec.json.Encoder().encode


class AnswerContext(Struct, frozen=True, kw_only=True):
    """A turn as it was taken up, and what is needed to end it."""

    turn: AgentTurn
    agent: Agent
    account: Account
    conversation: Conversation
    started_at: Micros
    window: Micros

    @property
    def keys(self) -> Keys:
        """Return what has to be loaded to end the turn."""
        conversation = (self.conversation.organization_id, self.conversation.id)
        number = self.account.phone_number_id
        return Keys(
            conversations={conversation},
            parties={(number, self.conversation.party)},
            addresses={(number, alias(self.conversation.contact_address))},
            latest=True,
            agents=True,
        )


def obstacle(turn: AgentTurn, agent: Agent | None, found: Situation, *, now: Micros, in_flight: int = 0) -> str:
    """Return why the agent may not answer now, "" when it may. `in_flight`: how many answers the agent is making."""
    asked = next((each for each in found.messages if each.id == turn.message_id), None)
    if agent is None:
        return "the account has no active AI agent"
    if found.conversation is None or asked is None:
        return "the message is gone"
    if found.handed_over:
        return f"the conversation is handed over: {found.handed_over}"
    if "deleted" in asked.status and not _still_asked(found.messages):
        return "the customer took the message back"
    if window_closed(now, asked.timestamp):
        return "the customer service window is closed"
    if any(each.id > asked.id and _answers(each, agent) for each in found.messages):
        return "it was answered by somebody else"
    if not said(asked) and not _still_asked(found.messages):
        return "the message says nothing that could be answered"
    return _used_up_budget(settings_of(agent), found, in_flight)


def _still_asked(messages: Sequence[Message]) -> bool:
    """Return whether the last message that says something is the customer's."""
    last = next((each for each in reversed(messages) if said(each)), None)
    return last is not None and last.direction == "incoming"


def _answers(message: Message, agent: Agent) -> bool:
    """Return whether the message is an answer of ours by someone other than the agent that was sent or is to be
    sent."""
    ours = message.direction == "outgoing" and message.agent_id != agent.id
    return ours and not message.history and _UNSENT.isdisjoint(message.status)


def _used_up_budget(settings: AgentSettings, found: Situation, in_flight: int) -> str:
    budget = settings.budget
    for limit, used, of in (
        (budget.replies_per_conversation, found.replies, "replies of this conversation"),
        (budget.replies_per_day, found.replies_today + in_flight, "replies of this day"),
        (budget.tokens_per_day, found.tokens_today, "tokens of this day"),
    ):
        if limit is not None and used >= limit:
            return f"the budget is used up: {limit} {of}"
    return ""


def parts(text: str) -> list[str]:
    """Split a text into messages that Meta accepts: at the end of a paragraph, a line, a sentence or a word."""
    found: list[str] = []
    rest = text.strip()
    while len(rest) > MAX_CHARACTERS:
        at = _cut(rest[:MAX_CHARACTERS])
        found.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [*found, rest] if rest else found


def _cut(head: str) -> int:
    for mark in ("\n\n", "\n", ". ", " "):
        at = head.rfind(mark) + len(mark)
        if at > MAX_CHARACTERS // 4:
            return at
    return MAX_CHARACTERS


# --- how a turn ends --------------------------------------------------------------------------------------------------


def answered(ledger: Ledger, context: AnswerContext, reply: Reply, usage: Usage, *, superseded: int = 0) -> AgentRun:
    """Queue the model's answer and end the turn, unless the conversation has moved on.

    `superseded`: how many answers of this turn were dropped already because the customer wrote more.
    """
    turn, current = context.turn, ledger.turns.get(context.turn.conversation_id)
    conversation = ledger.conversations.get(turn.conversation_id)
    account = ledger.account(context.account.phone_number_id)
    if account is None or account.id != turn.account_id:
        return _record_run(ledger, context, usage, "superseded", "the account is gone")
    if current is None or conversation is None or contacts.survivor(ledger, conversation.party) is None:
        return _record_run(ledger, context, usage, "superseded", "the turn was over when the answer came")
    if current.message_id != turn.message_id:
        same = current.created_at == turn.created_at  # else it is another turn, and this one has had its answer
        if not same or superseded < MAX_SUPERSEDED:
            return _record_run(ledger, context, usage, "superseded", "the customer wrote more meanwhile")
    else:
        ledger.end_turn(current)
    message_id = ""
    for text in parts(reply.text):
        content = _encode({"type": "text", "text": {"body": text}})
        draft = outgoing.Draft(
            account=context.account, content=content, conversation=conversation, agent_id=context.agent.id
        )
        message, _ = outgoing.queue(ledger, draft, window=context.window)
        message_id = message_id or message.id
    if not reply.handed_over:
        return _record_run(ledger, context, usage, "replied", message_id=message_id)
    agent_turns.pause(ledger, conversation, reason=reply.handed_over, by=f"agent {context.agent.id}")
    return _record_run(ledger, context, usage, "handed_over", reply.handed_over, message_id=message_id)


def failed(ledger: Ledger, context: AnswerContext, usage: Usage, why: str, *, retryable: bool) -> AgentRun:
    """Schedule another try after the model gave no answer, or give the turn up and emit `agent.failed`; the customer
    sees nothing of it."""
    turn, current = context.turn, ledger.turns.get(context.turn.conversation_id)
    if current is None or current.message_id != turn.message_id:
        return _record_run(ledger, context, usage, "superseded", why)
    if retryable and current.attempts < len(BACKOFF):
        due_at = ledger.now + BACKOFF[current.attempts]
        ledger.put_turn(replace(current, attempts=current.attempts + 1, due_at=due_at))
        return _record_run(ledger, context, usage, "retrying", why)
    ledger.end_turn(current)
    run = _record_run(ledger, context, usage, "failed", why)
    _emit_failed(ledger, context, run, attempts=current.attempts + 1)
    conversation = ledger.conversations.get(turn.conversation_id)
    if conversation is not None and settings_of(context.agent).on_failure == "hand_over":
        agent_turns.pause(ledger, conversation, reason=MODEL_FAILED, by=f"agent {context.agent.id}")
    return run


def declined(ledger: Ledger, turn: AgentTurn, why: str) -> None:
    """End a turn that the agent may not answer, and record why."""
    current = ledger.turns.get(turn.conversation_id)
    if current is None or current.message_id != turn.message_id:
        return
    ledger.end_turn(current)
    _add_run(ledger, turn, turn.agent_id, "declined", why)


def keys_of(turn: AgentTurn) -> Keys:
    """Return what has to be loaded to decline a turn."""
    return Keys(conversations={(turn.organization_id, turn.conversation_id)}, agents=True)


def _record_run(
    ledger: Ledger, context: AnswerContext, usage: Usage, outcome: RunOutcome, detail: str = "", *, message_id: str = ""
) -> AgentRun:
    run = _add_run(ledger, context.turn, context.agent.id, outcome, detail)
    run = replace(
        run,
        message_id=message_id,
        model=settings_of(context.agent).model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        tool_calls=usage.tool_calls,
        started_at=context.started_at,
    )
    ledger.new_runs[-1] = run
    return run


def _add_run(ledger: Ledger, turn: AgentTurn, agent_id: str, outcome: RunOutcome, detail: str) -> AgentRun:
    run = AgentRun(
        id=ledger.new_id(),
        organization_id=turn.organization_id,
        agent_id=agent_id,
        conversation_id=turn.conversation_id,
        outcome=outcome,
        detail=detail[:_MAX_DETAIL],
        started_at=ledger.now,
        finished_at=ledger.now,
    )
    ledger.new_runs.append(run)
    return run


def _emit_failed(ledger: Ledger, context: AnswerContext, run: AgentRun, *, attempts: int) -> None:
    data = {
        "agent_id": run.agent_id,
        "account_id": context.account.id,
        "conversation_id": run.conversation_id,
        "message_id": context.turn.message_id,
        "run_id": run.id,
        "attempts": attempts,
        "cause": run.detail,
    }
    event = OperationalEvent(
        name=FAILED,
        data=_encode(data),
        account_id=context.account.id,
        phone_number_id=context.account.phone_number_id,
        conversation_id=run.conversation_id,
        order_key=run.agent_id,
    )
    ledger.emit(event.event(ledger.new_id(), run.organization_id, ledger.now))
