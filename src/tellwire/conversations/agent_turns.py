"""PURE. Decide whose turn it is in a conversation: an AI agent's after a customer wrote, until a person takes over.

The decision is made in the transaction that records the message, so that no turn is forgotten.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from tellwire.model import bursts
from tellwire.model.agents import Agent, AgentTurn
from tellwire.model.ledger import Handover, Ledger
from tellwire.model.messaging import Conversation, Message
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.registry import Registry
from tellwire.model.routing import order_key
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros

ANSWERABLE = frozenset(
    {
        *("text", "image", "video", "audio", "voice", "document", "sticker", "location", "contacts"),
        *("interactive", "button", "order"),
    }
)
"""The message types that a customer expects an answer to. The others get none: reactions, edits, system messages,
unsupported messages and unknown types."""
MAX_DEBOUNCES = 4
"""A customer who does not stop writing is answered this many debounces after the first message."""
PAUSED = "conversation.handed_over"
RESUMED = "conversation.resumed"
A_PERSON_WROTE = "a person wrote"
THE_PHONE_APP = "the WhatsApp Business app"

_UNANSWERED = frozenset({"call_permission_reply"})
"""What customers tap that is said to nobody: whether they may be called."""

_encode = msgspec.json.Encoder().encode


class _Interactive(Struct):
    type: object = None


class _Content(Struct):
    interactive: _Interactive


_kind_of = msgspec.json.Decoder(_Content).decode


def agent_of(registry: Registry, account: Account) -> Agent | None:
    """Return the AI agent that answers an account's customers, None when there is none or it is paused."""
    agent = registry.agents.get(account.agent_id) if account.agent_id else None
    if agent is None or agent.organization_id != account.organization_id:
        return None
    return agent if agent.kind == "ai" and agent.state == "active" else None


def customer_wrote(ledger: Ledger, account: Account, message: Message, kind: str) -> None:
    """Queue a turn for the AI agent after a customer wrote a message of type `kind`; the agent answers once the
    customer has paused for its debounce."""
    agent = agent_of(ledger.registry, account)
    if agent is None or kind not in ANSWERABLE or message.conversation_id in ledger.handovers:
        return
    if kind == "interactive" and _interactive(message.content) in _UNANSWERED:
        return
    known = ledger.turns.get(message.conversation_id)
    began = known.created_at if known and not known.attempts else ledger.now
    ledger.put_turn(
        AgentTurn(
            organization_id=message.organization_id,
            conversation_id=message.conversation_id,
            account_id=account.id,
            agent_id=agent.id,
            message_id=message.id,
            due_at=_due(ledger.now, began, agent.debounce),
            created_at=began,
        )
    )


def _interactive(content: bytes) -> object:
    try:
        return _kind_of(content).interactive.type
    except msgspec.ValidationError:
        return None


def _due(now: Micros, began: Micros, debounce: Micros) -> Micros:
    return max(now, bursts.over_at(began, now, pause=debounce, longest=MAX_DEBOUNCES * debounce))


def business_wrote(ledger: Ledger, account: Account, conversation: Conversation, agent_id: str) -> None:
    """Take note that the business wrote to the customer: if a person did, the AI agent leaves the conversation.

    A message that is sent without an agent comes from a program (a receipt, a reminder) and pauses nothing.
    """
    agent = ledger.registry.agents.get(agent_id)
    if agent is not None and agent.kind == "human":
        person_wrote(ledger, account, conversation, by=f"agent {agent.id}")


def person_wrote(ledger: Ledger, account: Account, conversation: Conversation, *, by: str) -> None:
    """Pause the AI agent that answers in a conversation, because a person wrote there."""
    if agent_of(ledger.registry, account) is not None:
        pause(ledger, conversation, reason=A_PERSON_WROTE, by=by)


def pause(ledger: Ledger, conversation: Conversation, *, reason: str, by: str) -> bool:
    """Hand a conversation over to people: the agent stops answering in it. Return False when it was paused already."""
    if conversation.id in ledger.handovers:
        return False
    handover = Handover(conversation.organization_id, conversation.id, reason, by)
    ledger.put_handover(handover)
    if (turn := ledger.turns.get(conversation.id)) is not None:
        ledger.end_turn(turn)
    _emit(ledger, conversation, PAUSED, {"reason": reason, "by": by})
    return True


def resume(ledger: Ledger, conversation: Conversation, *, by: str) -> bool:
    """Let the agent answer again, from the next message on. Return False when it was not paused."""
    handover = ledger.handovers.get(conversation.id)
    if handover is None:
        return False
    ledger.end_handover(handover)
    _emit(ledger, conversation, RESUMED, {"by": by})
    return True


def _emit(ledger: Ledger, conversation: Conversation, name: str, more: dict[str, str]) -> None:
    data = {"conversation_id": conversation.id, "account_id": conversation.account_id, **more}
    event = OperationalEvent(
        name=name,
        data=_encode(data),
        account_id=conversation.account_id,
        phone_number_id=conversation.organization_address,
        conversation_id=conversation.id,
        order_key=order_key(conversation.account_id, conversation.party),
    )
    ledger.emit(event.event(ledger.new_id(), conversation.organization_id, ledger.now))
