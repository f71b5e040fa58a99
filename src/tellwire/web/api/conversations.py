"""Serve `/v1/conversations`. A conversation is named by our id or by the 24 digits that the `chat` format shows."""

from __future__ import annotations

from collections.abc import Callable

from litestar import Response, get, post
from litestar.params import FromPath
from msgspec import Struct

from tellwire.conversations import lifecycle
from tellwire.errors import Conflict, NotFound
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Conversation
from tellwire.model.row_json import conversation_row, instant
from tellwire.stores.queries import conversations as conversation_queries
from tellwire.stores.queries import messages as message_queries
from tellwire.stores.queries.conversations import ConversationFilter
from tellwire.stores.queries.messages import MessageFilter
from tellwire.web.api import conversation_agents
from tellwire.web.api.messages import read, rows
from tellwire.web.api.shapes import ConversationRow, Id, NextCursor, When
from tellwire.web.parameters import (
    STATUSES,
    AccountName,
    Cursor,
    Limit,
    Name,
    StatusName,
    choice,
    page_request,
)
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import joined, page_response, raw_json_response

_READ = {"scopes": ("read", "inbox")}
_WRITE = {"scopes": ("messages:write",)}
_NOUN = "conversations"


class _More(Struct, kw_only=True):
    account_id: Id
    contact_id: str | None
    group_id: str | None
    last_row_at: When


class ConversationRead(ConversationRow, kw_only=True):
    """A conversation: with a contact, or in one of Meta's groups; `last_row_at` is when its last row was recorded."""

    account_id: Id
    contact_id: str | None
    group_id: str | None
    last_row_at: When


class ConversationList(Struct, kw_only=True):
    """A page of conversations, newest first."""

    data: list[ConversationRead]
    next_cursor: NextCursor


def _shown(conversation: Conversation) -> bytes:
    more = _More(
        account_id=conversation.account_id,
        contact_id=None if conversation.is_group else conversation.party,
        group_id=conversation.party if conversation.is_group else None,
        last_row_at=instant(conversation.last_row_at),
    )
    return joined(conversation_row(conversation), more)


@get("/conversations", summary="List conversations", opt=_READ)
async def list_conversations(
    context: ContextDependency,
    *,
    limit: Limit = 50,
    cursor: Cursor = "",
    status: StatusName = "",
    account: AccountName = "",
    contact: Name = "",
) -> Response[ConversationList]:
    """The conversations of the organization; `contact` takes a contact's id, phone number or user id, or a group's
    id."""
    paging = page_request(_NOUN, limit, cursor)
    party = (
        await context.read(lambda c: conversation_queries.party_of(c, context.organization_id, contact))
        if contact
        else ""
    )
    chosen = ConversationFilter(
        status=choice(status, "status", *STATUSES),
        account_id=context.account_id(account) if account else "",
        party=party,
    )
    page = await context.read(lambda c: conversation_queries.page(c, context.organization_id, chosen, paging))
    return page_response(_NOUN, page, _shown, ConversationList)


@get("/conversations/{conversation_id:str}", summary="Read a conversation", opt=_READ)
async def read_conversation(conversation_id: FromPath[str], context: ContextDependency) -> Response[ConversationRead]:
    """One conversation."""
    return raw_json_response(_shown(await _known(context, conversation_id)), ConversationRead)


@get("/conversations/{conversation_id:str}/messages", summary="List a conversation's messages", opt=_READ)
async def list_messages_of(
    conversation_id: FromPath[str], context: ContextDependency, limit: Limit = 50, cursor: Cursor = ""
) -> Response[rows.MessageList]:
    """The messages of one conversation."""
    chosen = MessageFilter(conversation_id=(await _known(context, conversation_id)).id)
    paging = page_request(read.NOUN, limit, cursor)
    page = await context.read(lambda c: message_queries.page(c, context.organization_id, chosen, paging))
    return page_response(read.NOUN, page, rows.message_shown, rows.MessageList)


@post("/conversations/{conversation_id:str}/close", summary="Close a conversation", opt=_WRITE, status_code=200)
async def close_conversation(conversation_id: FromPath[str], context: ContextDependency) -> Response[ConversationRead]:
    """Close it and tell subscribers; a closed one stays as it is. 409 while messages in it are queued, scheduled or
    being sent."""
    return await _decided(context, conversation_id, _close)


@post("/conversations/{conversation_id:str}/reopen", summary="Reopen a conversation", opt=_WRITE, status_code=200)
async def reopen_conversation(conversation_id: FromPath[str], context: ContextDependency) -> Response[ConversationRead]:
    """Open it again and tell subscribers; 409 while another one with the same contact or group is open."""
    return await _decided(context, conversation_id, _reopen)


_Decision = Callable[[Ledger, Conversation], Conversation | Conflict]


def _close(ledger: Ledger, conversation: Conversation) -> Conversation | Conflict:
    if conversation.status == "open" and conversation.id in ledger.unsent:
        return Conflict("Messages are still to be sent in it: wait for them, or cancel them first.", kind="unsent")
    return conversation if conversation.status == "closed" else lifecycle.close(ledger, conversation)


def _reopen(ledger: Ledger, conversation: Conversation) -> Conversation | Conflict:
    if conversation.status == "open":
        return conversation
    if (conversation.account_id, conversation.party) in ledger.open:
        return Conflict("Another conversation with this contact or group is open.", kind="another-open")
    return lifecycle.reopen(ledger, conversation)


async def _decided(context: RequestContext, name: str, decision: _Decision) -> Response[ConversationRead]:
    """Decide over the conversation and the open one of its party, loaded in one transaction."""
    while True:
        known = await _known(context, name)

        def decide(ledger: Ledger, known: Conversation = known) -> Conversation | Conflict | None:
            current = ledger.conversations.get(known.id)
            if current is None or current.party != known.party:
                return None  # the contact was merged into another meanwhile: load again
            return decision(ledger, current)

        keys = Keys(conversations={(context.organization_id, known.id)}, parties={("", known.party)})
        decided = await context.apply(keys, decide)
        if isinstance(decided, Conflict):
            raise decided
        if decided is not None:
            return raw_json_response(_shown(decided), ConversationRead)


async def _known(context: RequestContext, name: str) -> Conversation:
    identifier = await context.conversation_id(name)
    conversation = await context.read(lambda c: conversation_queries.get(c, context.organization_id, identifier))
    if conversation is None:
        raise NotFound("There is no conversation with this id.")
    return conversation


HANDLERS = (
    list_conversations,
    read_conversation,
    list_messages_of,
    close_conversation,
    reopen_conversation,
    *conversation_agents.HANDLERS,
)
