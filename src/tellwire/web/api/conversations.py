"""Serve `/v1/conversations`. A conversation is named by our id or by the 24 digits that the `chat` format shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import FromPath, QueryParameter
from sqlalchemy import Connection

from tellwire.conversations import lifecycle
from tellwire.errors import Conflict
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Conversation
from tellwire.stores.queries import conversation_activity
from tellwire.stores.queries import conversations as conversation_queries
from tellwire.stores.queries import messages as message_queries
from tellwire.stores.queries.conversation_activity import ActivityFilter
from tellwire.stores.queries.conversations import ConversationFilter
from tellwire.stores.queries.messages import MessageFilter
from tellwire.web.api import conversation_agents, conversation_marks, conversation_notes
from tellwire.web.api import conversation_rows as rows
from tellwire.web.api.conversation_rows import ConversationList, ConversationRead
from tellwire.web.api.messages import read
from tellwire.web.api.messages import rows as message_rows
from tellwire.web.parameters import (
    STATUSES,
    AccountName,
    Cursor,
    Limit,
    Name,
    StatusName,
    choice,
    cursor_of,
    page_request,
)
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import page_body, page_response, raw_json_response

_READ = {"scopes": ("read", "inbox")}
_WRITE = {"scopes": ("messages:write",)}
_NOUN = "conversations"

OrderName = Annotated[
    str,
    QueryParameter(
        description="`created`, or `activity`: that with the newest message first.",
        schema_extra={"enum": ["created", "activity"]},
    ),
]
LabelFilter = Annotated[str, QueryParameter(description="A label's id.", max_length=64)]
AssigneeFilter = Annotated[
    str, QueryParameter(description="A member's or an agent's id; `none`: assigned to nobody.", max_length=64)
]
UnreadFilter = Annotated[
    str,
    QueryParameter(
        description="Whether the newest message is the customer's, and nobody has read it here.",
        schema_extra={"enum": ["true", "false"]},
    ),
]
SearchText = Annotated[
    str,
    QueryParameter(
        description="What a message says, or the contact's name, username or number holds; case does not matter.",
        max_length=100,
    ),
]


@get("/conversations", summary="List conversations", opt=_READ)
async def list_conversations(
    context: ContextDependency,
    *,
    limit: Limit = 50,
    cursor: Cursor = "",
    status: StatusName = "",
    account: AccountName = "",
    contact: Name = "",
    order: OrderName = "",
    label: LabelFilter = "",
    assignee: AssigneeFilter = "",
    unread: UnreadFilter = "",
    q: SearchText = "",
) -> Response[ConversationList]:
    """The conversations of the organization; `contact` takes a contact's id, phone number or user id, or a group's
    id. With `label`, `assignee`, `unread`, `q` or `order=activity` that with the newest message comes first, and a page
    looks at 1,000 messages at the most: it may hold fewer rows than `limit`, even none, and `next_cursor` goes on."""
    by_activity = bool(label or assignee or q or unread)
    by_activity |= choice(order, "order", "created", "activity") == "activity"
    noun = f"{_NOUN}-by-activity" if by_activity else _NOUN
    paging = page_request(noun, limit, cursor)
    party = (
        await context.read(lambda c: conversation_queries.party_of(c, context.organization_id, contact))
        if contact
        else ""
    )
    plain: dict[str, Any] = {
        "status": choice(status, "status", *STATUSES),
        "account_id": context.account_id(account) if account else "",
        "party": party,
    }
    choice(unread, "unread", "true", "false")
    marked: dict[str, Any] = {
        "label_id": label,
        "assignee": assignee,
        "unread": {"true": True, "false": False}.get(unread),
        "text": q.strip(),
    }

    def look(connection: Connection) -> bytes:
        owner = context.organization_id
        page = (
            conversation_activity.page(connection, owner, ActivityFilter(**plain, **marked), paging)
            if by_activity
            else conversation_queries.page(connection, owner, ConversationFilter(**plain), paging)
        )
        return page_body(rows.shown(connection, context, page.items), cursor_of(noun, page.after))

    return raw_json_response(await context.read(look), ConversationList)


@get("/conversations/{conversation_id:str}", summary="Read a conversation", opt=_READ)
async def read_conversation(conversation_id: FromPath[str], context: ContextDependency) -> Response[ConversationRead]:
    """One conversation."""
    return await _answer(context, await _known(context, conversation_id))


@get("/conversations/{conversation_id:str}/messages", summary="List a conversation's messages", opt=_READ)
async def list_messages_of(
    conversation_id: FromPath[str], context: ContextDependency, limit: Limit = 50, cursor: Cursor = ""
) -> Response[message_rows.MessageList]:
    """The messages of one conversation."""
    chosen = MessageFilter(conversation_id=(await _known(context, conversation_id)).id)
    paging = page_request(read.NOUN, limit, cursor)
    page = await context.read(lambda c: message_queries.page(c, context.organization_id, chosen, paging))
    return page_response(read.NOUN, page, message_rows.message_shown, message_rows.MessageList)


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
            return await _answer(context, decided)


async def _answer(context: RequestContext, conversation: Conversation) -> Response[ConversationRead]:
    body = await context.read(lambda c: rows.shown_alone(c, context, conversation))
    return raw_json_response(body, ConversationRead)


async def _known(context: RequestContext, name: str) -> Conversation:
    identifier = await context.conversation_id(name)
    return await context.read(lambda c: rows.known(c, context, identifier))


HANDLERS = (
    list_conversations,
    read_conversation,
    list_messages_of,
    close_conversation,
    reopen_conversation,
    *conversation_agents.HANDLERS,
    *conversation_marks.HANDLERS,
    *conversation_notes.HANDLERS,
)
