"""Serve `/v1/conversations/{id}/agent`: whether an AI agent answers in a conversation, and pausing and resuming it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from tellwire.conversations import agent_turns
from tellwire.errors import NotFound
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Conversation
from tellwire.stores.queries import agents, conversations
from tellwire.web.api.shapes import LINE, When, when
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response

_READ = {"scopes": ("read", "inbox")}
_WRITE = {"scopes": ("messages:write",)}
_PATH = "/conversations/{conversation_id:str}/agent"


class UsageRead(Struct, kw_only=True):
    """What agents have used up in a conversation."""

    replies: int
    input_tokens: int
    output_tokens: int


class ConversationAgentRead(Struct, kw_only=True):
    """How a conversation stands with the account's AI agent."""

    agent_id: Annotated[str | None, Meta(description="The AI agent of the account; null for none.")]
    paused: bool
    reason: str | None
    by: str | None
    since: When | None
    usage: UsageRead


class PauseWanted(Struct, kw_only=True, forbid_unknown_fields=True):
    """Why people take over."""

    reason: Annotated[str, Meta(max_length=200, pattern=LINE)] = ""


@get(_PATH, summary="Read how a conversation stands with its agent", opt=_READ)
async def read_conversation_agent(
    conversation_id: FromPath[str], context: ContextDependency
) -> Response[ConversationAgentRead]:
    """Whether the agent is paused in it, why, by whom and since when."""
    return await _answer(context, await _known(context, conversation_id))


@post(f"{_PATH}/pause", summary="Pause the agent in a conversation", opt=_WRITE, status_code=200)
async def pause_conversation_agent(
    conversation_id: FromPath[str], context: ContextDependency, data: JSONBody[PauseWanted | None] = None
) -> Response[ConversationAgentRead]:
    """Hand the conversation over to people: the agent says no more in it. One that is paused stays as it is."""
    reason = (data.reason if data else "") or "paused by request"
    by = context.caller.actor
    return await _decided(
        context, conversation_id, lambda ledger, c: agent_turns.pause(ledger, c, reason=reason, by=by)
    )


@post(f"{_PATH}/resume", summary="Resume the agent in a conversation", opt=_WRITE, status_code=200)
async def resume_conversation_agent(
    conversation_id: FromPath[str], context: ContextDependency
) -> Response[ConversationAgentRead]:
    """Let the agent answer again, from the customer's next message on."""
    by = context.caller.actor
    return await _decided(context, conversation_id, lambda ledger, c: agent_turns.resume(ledger, c, by=by))


async def _decided(
    context: RequestContext, name: str, decision: Callable[[Ledger, Conversation], bool]
) -> Response[ConversationAgentRead]:
    known = await _known(context, name)

    def decide(ledger: Ledger) -> None:
        decision(ledger, ledger.conversations.get(known.id, known))

    await context.apply(Keys(conversations={(context.organization_id, known.id)}, agents=True), decide)
    return await _answer(context, known)


async def _answer(context: RequestContext, conversation: Conversation) -> Response[ConversationAgentRead]:
    found = await context.read(lambda c: agents.status(c, context.organization_id, conversation.id))
    accounts = context.services.store.registry().accounts.values()
    agent_id = next((each.agent_id for each in accounts if each.id == conversation.account_id), "")
    usage = UsageRead(replies=found.replies, input_tokens=found.input_tokens, output_tokens=found.output_tokens)
    return json_response(
        ConversationAgentRead(
            agent_id=agent_id or None,
            paused=bool(found.since),
            reason=found.reason or None,
            by=found.by or None,
            since=when(found.since),
            usage=usage,
        )
    )


async def _known(context: RequestContext, name: str) -> Conversation:
    identifier = await context.conversation_id(name)
    conversation = await context.read(lambda c: conversations.get(c, context.organization_id, identifier))
    if conversation is None:
        raise NotFound("There is no conversation with this id.")
    return conversation


HANDLERS = (read_conversation_agent, pause_conversation_agent, resume_conversation_agent)
