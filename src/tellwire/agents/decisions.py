"""PURE. An AI agent's turn: whether it may answer, and what its answer does, in one transaction with the turn's end.

The turn is a row until then. Whatever ends a process in between leaves it there, so the model may be asked again, and
the customer gets one answer all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tellwire.agents.ports import Reply, Use
from tellwire.agents.settings import AgentSettings, settings_of
from tellwire.conversations import agent_turns, contacts, outgoing
from tellwire.meta.outgoing.windows import window_closed
from tellwire.meta.phone_numbers import alias
from tellwire.model.agents import Agent, AgentRun, AgentTurn, RunOutcome, Situation
from tellwire.model.ledger import Keys, Ledger
from tellwire.model.messaging import Conversation, Message
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros, micros

BACKOFF: Sequence[Micros] = (micros(5), micros(30), micros(120))
"""How long after a failure the model is asked again; then it is given up."""
MOST_SUPERSEDED = 2
"""So often an answer gives way to a newer message of the customer's; the next one is sent all the same."""
LONGEST = 4096
MOST_PARTS = 5
FAILED = "agent.failed"
MODEL_FAILED = "the model failed"

_MOST_DETAIL = 500
_encode = msgspec.json.Encoder().encode


class Asking(Struct, frozen=True, kw_only=True):
    """A turn as it was taken up, and what its end needs."""

    turn: AgentTurn
    agent: Agent
    account: Account
    conversation: Conversation
    started_at: Micros
    window: Micros

    @property
    def keys(self) -> Keys:
        """What has to be loaded to end it."""
        place = (self.conversation.organization_id, self.conversation.id)
        number = self.account.phone_number_id
        return Keys(
            conversations={place},
            parties={(number, self.conversation.party)},
            addresses={(number, alias(self.conversation.contact_address))},
            latest=True,
            agents=True,
        )


def obstacle(turn: AgentTurn, agent: Agent | None, found: Situation, *, now: Micros, in_flight: int = 0) -> str:
    """Why the agent may not answer now, "" when it may. `in_flight`: answers of this agent that are being made."""
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
    return _spent(settings_of(agent), found, in_flight)


def _still_asked(messages: Sequence[Message]) -> bool:
    """Whether the last thing that was said and not taken back is the customer's."""
    said = [each for each in messages if "deleted" not in each.status]
    return bool(said) and said[-1].direction == "incoming"


def _answers(message: Message, agent: Agent) -> bool:
    """Whether a message of ours, by somebody else, has reached the customer or is on its way."""
    ours = message.direction == "outgoing" and message.agent_id != agent.id
    return ours and not message.history and "failed" not in message.status


def _spent(settings: AgentSettings, found: Situation, in_flight: int) -> str:
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
    """A text as messages that Meta takes: cut at the end of a paragraph, a line, a sentence or a word."""
    found: list[str] = []
    rest = text.strip()
    while len(rest) > LONGEST:
        at = _cut(rest[:LONGEST])
        found.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [*found, rest] if rest else found


def _cut(head: str) -> int:
    for mark in ("\n\n", "\n", ". ", " "):
        at = head.rfind(mark) + len(mark)
        if at > LONGEST // 4:
            return at
    return LONGEST


# --- how a turn ends --------------------------------------------------------------------------------------------------


def answered(ledger: Ledger, asking: Asking, reply: Reply, use: Use, *, superseded: int = 0) -> AgentRun:
    """The model has answered: the answer is queued and the turn is over, unless the conversation has moved on.

    `superseded`: how many answers of this turn have given way already.
    """
    turn, current = asking.turn, ledger.turns.get(asking.turn.conversation_id)
    conversation = ledger.conversations.get(turn.conversation_id)
    account = ledger.account(asking.account.phone_number_id)
    if account is None or account.id != turn.account_id:
        return _noted(ledger, asking, use, "superseded", "the account is gone")
    if current is None or conversation is None or contacts.survivor(ledger, conversation.party) is None:
        return _noted(ledger, asking, use, "superseded", "the turn was over when the answer came")
    if current.message_id != turn.message_id:
        same = current.created_at == turn.created_at  # else it is another turn, and this one has had its answer
        if not same or superseded < MOST_SUPERSEDED:
            return _noted(ledger, asking, use, "superseded", "the customer wrote more meanwhile")
    else:
        ledger.end_turn(current)
    message_id = ""
    for text in parts(reply.text):
        content = _encode({"type": "text", "text": {"body": text}})
        draft = outgoing.Draft(
            account=asking.account, content=content, conversation=conversation, agent_id=asking.agent.id
        )
        message, _ = outgoing.queue(ledger, draft, window=asking.window)
        message_id = message_id or message.id
    if not reply.handed_over:
        return _noted(ledger, asking, use, "replied", message_id=message_id)
    agent_turns.pause(ledger, conversation, reason=reply.handed_over, by=f"agent {asking.agent.id}")
    return _noted(ledger, asking, use, "handed_over", reply.handed_over, message_id=message_id)


def failed(ledger: Ledger, asking: Asking, use: Use, why: str, *, again: bool) -> AgentRun:
    """The model gave no answer: it is asked again later, or the turn is given up and people are told. Nothing of it is
    the customer's business."""
    turn, current = asking.turn, ledger.turns.get(asking.turn.conversation_id)
    if current is None or current.message_id != turn.message_id:
        return _noted(ledger, asking, use, "superseded", why)
    if again and current.attempts < len(BACKOFF):
        due_at = ledger.now + BACKOFF[current.attempts]
        ledger.put_turn(replace(current, attempts=current.attempts + 1, due_at=due_at))
        return _noted(ledger, asking, use, "retrying", why)
    ledger.end_turn(current)
    run = _noted(ledger, asking, use, "failed", why)
    _tell(ledger, asking, run, attempts=current.attempts + 1)
    conversation = ledger.conversations.get(turn.conversation_id)
    if conversation is not None and settings_of(asking.agent).on_failure == "hand_over":
        agent_turns.pause(ledger, conversation, reason=MODEL_FAILED, by=f"agent {asking.agent.id}")
    return run


def declined(ledger: Ledger, turn: AgentTurn, why: str) -> None:
    """The agent may not answer: the turn is over, and it can be seen why."""
    current = ledger.turns.get(turn.conversation_id)
    if current is None or current.message_id != turn.message_id:
        return
    ledger.end_turn(current)
    _run(ledger, turn, turn.agent_id, "declined", why)


def keys_of(turn: AgentTurn) -> Keys:
    """What has to be loaded to decline a turn."""
    return Keys(conversations={(turn.organization_id, turn.conversation_id)}, agents=True)


def _noted(
    ledger: Ledger, asking: Asking, use: Use, outcome: RunOutcome, detail: str = "", *, message_id: str = ""
) -> AgentRun:
    run = _run(ledger, asking.turn, asking.agent.id, outcome, detail)
    run = replace(
        run,
        message_id=message_id,
        model=settings_of(asking.agent).model,
        input_tokens=use.input_tokens,
        output_tokens=use.output_tokens,
        tool_calls=use.tool_calls,
        started_at=asking.started_at,
    )
    ledger.new_runs[-1] = run
    return run


def _run(ledger: Ledger, turn: AgentTurn, agent_id: str, outcome: RunOutcome, detail: str) -> AgentRun:
    run = AgentRun(
        id=ledger.new_id(),
        organization_id=turn.organization_id,
        agent_id=agent_id,
        conversation_id=turn.conversation_id,
        outcome=outcome,
        detail=detail[:_MOST_DETAIL],
        started_at=ledger.now,
        finished_at=ledger.now,
    )
    ledger.new_runs.append(run)
    return run


def _tell(ledger: Ledger, asking: Asking, run: AgentRun, *, attempts: int) -> None:
    told = {
        "agent_id": run.agent_id,
        "account_id": asking.account.id,
        "conversation_id": run.conversation_id,
        "message_id": asking.turn.message_id,
        "run_id": run.id,
        "attempts": attempts,
        "cause": run.detail,
    }
    event = OperationalEvent(
        name=FAILED,
        data=_encode(told),
        account_id=asking.account.id,
        conversation_id=run.conversation_id,
        order_key=run.agent_id,
    )
    ledger.emit(event.event(ledger.new_id(), run.organization_id, ledger.now))
