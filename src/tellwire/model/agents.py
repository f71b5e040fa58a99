"""AI agents, their turns, and the outcomes of turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, field

from tellwire.model.messaging import Conversation, Message
from tellwire.model.units import Micros, micros


class Agent(Struct, frozen=True, kw_only=True):
    """An agent that writes for the business: a person, or a model (`kind` ai).

    `secrets` (`api_key` and the values of tools' headers) are plain here and encrypted at rest; `options` are its
    settings that hold no secret, a JSON object.
    """

    id: str
    organization_id: str
    name: str
    kind: Literal["human", "ai"] = "human"
    state: Literal["active", "paused"] = "active"
    options: bytes = b"{}"
    secrets: dict[str, str] = field(default_factory=dict)
    debounce: Micros = micros(3)
    created_at: Micros = 0
    updated_at: Micros = 0


class AgentTurn(Struct, frozen=True, kw_only=True):
    """A conversation in which an agent is to answer at `due_at`; there is one turn per conversation at most.

    `message_id`: the last message that is to be answered. `created_at`: since when the customer waits for an answer.
    """

    organization_id: str
    conversation_id: str
    account_id: str
    agent_id: str
    message_id: str
    due_at: Micros
    attempts: int = 0
    created_at: Micros = 0


class Situation(Struct, frozen=True, kw_only=True):
    """What was read about a turn before the model is asked. `messages`: the conversation's last ones, oldest first.

    `replies`: of the agent in this conversation; `replies_today`, `tokens_today`: of the agent as a whole.
    """

    conversation: Conversation | None
    messages: Sequence[Message] = ()
    handed_over: str = ""
    replies: int = 0
    replies_today: int = 0
    tokens_today: int = 0


RunOutcome = Literal["replied", "handed_over", "superseded", "retrying", "failed", "declined"]


class AgentRun(Struct, frozen=True, kw_only=True):
    """The record of a turn that was handled: a model was asked, or there was a reason not to.

    `message_id`: that of the reply, "" for none. `outcome`: `superseded` by a newer message of the customer, `retrying`
    after a failure, `declined` without asking; `detail` says why.
    """

    id: str
    organization_id: str
    agent_id: str
    conversation_id: str
    message_id: str = ""
    outcome: RunOutcome
    detail: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    started_at: Micros = 0
    finished_at: Micros = 0
