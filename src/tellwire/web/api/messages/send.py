"""Serve `POST /v1/messages`, and queue what is sent through other interfaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Request, Response, post
from litestar.params import JSONBody

from tellwire.conversations import contacts, outgoing
from tellwire.errors import Conflict, Problem
from tellwire.model.ledger import Ledger
from tellwire.stores.queries.messages import MessageEntry
from tellwire.web.api.messages.fields import MessageDraft
from tellwire.web.api.messages.rows import MessageRead, message_shown
from tellwire.web.api.messages.validation import checked
from tellwire.web.request import ContextDependency, IdempotentRequest, RequestContext
from tellwire.web.responses import raw_json_response

_WRITE = {"scopes": ("messages:write",)}


@post("/messages", summary="Send a message", opt=_WRITE, status_code=202)
async def send_message(
    context: ContextDependency, request: Request[Any, Any, Any], data: JSONBody[MessageDraft]
) -> Response[MessageRead]:
    """Queue a message; it is sent as soon as the account's limits and the messages before it allow. It joins the
    contact's open conversation, a new one when there is none. Its way shows in `send_state` and `status`."""
    async with context.once(request) as once:
        if once.kept is not None:
            return once.kept
        body = await queue(context, once, await checked(context, data), message_shown, status=202)
        return raw_json_response(body, MessageRead, status=202)


async def queue(
    context: RequestContext,
    once: IdempotentRequest,
    draft: outgoing.Draft,
    render: Callable[[MessageEntry], bytes],
    *,
    status: int,
) -> bytes:
    """Queue a checked message, and return the answer that `render` makes of it, once both are durable.

    Raises:
        Problem: the account or the recipient is there no more, or a quota is used up; nothing was queued.
    """
    window, quotas = context.services.ingest.options.window, context.services.settings.quotas

    def decide(ledger: Ledger) -> MessageEntry | Problem:
        if not outgoing.account_exists(ledger, draft):
            return Conflict("The account of this message is there no more.", kind="no-account")
        if not outgoing.recipient_exists(ledger, draft):
            return Conflict("The contact of this conversation is there no more.", kind="no-contact")
        if draft.scheduled_at > ledger.now:
            count = ledger.scheduled.get(context.organization_id, 0)
            if (full := quotas.refusal("scheduled_messages", count)) is not None:
                return full
        message, send = outgoing.queue(ledger, draft, window=window)
        return MessageEntry(message, contacts.survivor(ledger, message.contact_id), send)

    _, body = await once.apply(outgoing.keys_of(draft), decide, render, status=status)
    return body


HANDLERS = (send_message,)
