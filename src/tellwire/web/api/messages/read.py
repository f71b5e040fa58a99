"""Serve `/v1/messages`, for reading. A message is named by our id or by the 24 digits that the `chat` format shows."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath

from tellwire.errors import NotFound
from tellwire.stores.queries import messages
from tellwire.stores.queries.messages import MessageFilter
from tellwire.web.api.messages import actions, send
from tellwire.web.api.messages.rows import MessageList, MessageWithStatuses, message_shown, statuses_shown
from tellwire.web.parameters import (
    DIRECTIONS,
    SEND_STATES,
    AccountName,
    Cursor,
    DirectionName,
    Limit,
    Name,
    SendStateName,
    Since,
    choice,
    instant_of,
    page_request,
)
from tellwire.web.request import ContextDependency
from tellwire.web.responses import joined, page_response, raw_json_response

_READ = {"scopes": ("read", "inbox")}
NOUN = "messages"


@get("/messages", summary="List messages", opt=_READ)
async def list_messages(
    context: ContextDependency,
    *,
    limit: Limit = 50,
    cursor: Cursor = "",
    conversation_id: Name = "",
    account: AccountName = "",
    direction: DirectionName = "",
    send_state: SendStateName = "",
    since: Since = "",
) -> Response[MessageList]:
    """The messages of the organization."""
    chosen = MessageFilter(
        conversation_id=await context.conversation_filter(conversation_id),
        account_id=context.account_id(account) if account else "",
        direction=choice(direction, "direction", *DIRECTIONS),
        send_state=choice(send_state, "send_state", *SEND_STATES),
        since=instant_of(since, "since"),
    )
    paging = page_request(NOUN, limit, cursor)
    page = await context.read(lambda c: messages.page(c, context.organization_id, chosen, paging))
    return page_response(NOUN, page, message_shown, MessageList)


@get("/messages/{message_id:str}", summary="Read a message", opt=_READ)
async def read_message(message_id: FromPath[str], context: ContextDependency) -> Response[MessageWithStatuses]:
    """One message with its statuses."""
    identifier = await context.message_id(message_id)
    entry = await context.read(lambda c: messages.get(c, context.organization_id, identifier))
    if entry is None:
        raise NotFound("There is no message with this id.")
    facts = await context.read(lambda c: messages.facts_of(c, entry.message))
    return raw_json_response(joined(message_shown(entry), {"statuses": statuses_shown(facts)}), MessageWithStatuses)


HANDLERS = (list_messages, read_message, *send.HANDLERS, *actions.HANDLERS)
