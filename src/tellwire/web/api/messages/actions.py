"""Serve the actions on one message: cancel, send again, mark as failed; and mark a customer's as read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Request, Response, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from tellwire.accounts.template_sync import refusal
from tellwire.conversations import contacts, outgoing
from tellwire.errors import Conflict, Invalid, NotFound, Problem
from tellwire.meta.outgoing.body import read_body
from tellwire.meta.outgoing.masking import is_masked
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Send
from tellwire.model.tenancy import Account
from tellwire.stores.queries import conversations, messages
from tellwire.stores.queries.messages import MessageEntry
from tellwire.web.api.messages.rows import MessageRead, message_shown
from tellwire.web.api.messages.template_check import check_wanted
from tellwire.web.api.messages.validation import check_window
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import raw_json_response

_WRITE = {"scopes": ("messages:write",)}
_READ_SECONDS = 20.0


class ReadMark(Struct, kw_only=True, forbid_unknown_fields=True):
    """`typing`: show as well that an answer is being written, for at most 25 seconds."""

    typing: bool = False


@post("/messages/{message_id:str}/cancel", summary="Cancel a message", opt=_WRITE, status_code=200)
async def cancel_message(message_id: FromPath[str], context: ContextDependency) -> Response[MessageRead]:
    """Take back a message that has not been sent, which subscribers are told; 409 when it is too late. A cancelled one
    stays as it is."""

    def decide(ledger: Ledger, account: Account, send: Send) -> Problem | None:
        if send.state == "cancelled" or outgoing.cancel(ledger, account, send.message_id):
            return None
        return Conflict(f"It is too late to cancel this message: it is {send.state}.", kind="too-late")

    return await _decided(context, message_id, decide)


@post("/messages/{message_id:str}/mark-failed", summary="Mark a message as failed", opt=_WRITE, status_code=200)
async def mark_message_failed(message_id: FromPath[str], context: ContextDependency) -> Response[MessageRead]:
    """Decide that a message whose outcome is `unknown` counts as failed; subscribers are told. Should a status of
    Meta's come after all, the row shows it as well."""
    by = context.caller.actor

    def decide(ledger: Ledger, account: Account, send: Send) -> Problem | None:
        if send.state == "failed" or outgoing.mark_failed(ledger, account, send.message_id, by=by):
            return None
        return Conflict(f"Only an unknown outcome can be decided: this message is {send.state}.", kind="not-unknown")

    return await _decided(context, message_id, decide)


@post("/messages/{message_id:str}/resend", summary="Send a message again", opt=_WRITE, status_code=202)
async def resend_message(
    message_id: FromPath[str], context: ContextDependency, request: Request[Any, Any, Any]
) -> Response[MessageRead]:
    """Send a copy of a message that failed, was cancelled, or whose outcome is unknown (then the customer may get it
    twice). The copy is a message of its own, which the old one names as `resent_as`."""
    async with context.once(request) as once:
        if once.kept is not None:
            return once.kept
        entry, account, send = await _known(context, message_id)
        draft = await _copy(context, entry, account, send)
        await check_window(context, draft)
        await check_wanted(context, draft)
        window, identifier = context.services.ingest.options.window, send.message_id

        def decide(ledger: Ledger) -> MessageEntry | Problem:
            if not outgoing.account_exists(ledger, draft):
                return _NO_ACCOUNT
            if not outgoing.recipient_exists(ledger, draft):
                return _NOBODY
            made = outgoing.resend(ledger, draft, identifier, window=window)
            if made is None:
                return _not_resendable(ledger.sends.get(identifier, send))
            return MessageEntry(made[0], contacts.survivor(ledger, made[0].contact_id), made[1])

        keys = outgoing.keys_of(draft)
        keys.own.add((account.phone_number_id, identifier))
        _, body = await once.apply(keys, decide, message_shown, status=202)
        return raw_json_response(body, MessageRead, status=202)


@post("/messages/{message_id:str}/read", summary="Mark a message as read", opt=_WRITE, status_code=200)
async def mark_message_read(
    message_id: FromPath[str], context: ContextDependency, data: JSONBody[ReadMark | None] = None
) -> Response[MessageRead]:
    """Have WhatsApp show the customer that their message, and those before it, were read. `status.read` is set and told
    once Meta has taken it; when Meta does not, nothing changes."""
    entry = await _entry(context, message_id)
    message = entry.message
    account = _account(context, message.account_id)
    if message.direction != "incoming" or not message.wamid:
        raise Conflict("Only messages that came in can be marked as read.", kind="not-incoming")
    answer = await context.services.graph.ask(
        account.access_token,
        f"{account.phone_number_id}/messages",
        method="POST",
        body=read_body(message.wamid, typing=data is not None and data.typing),
        timeout_seconds=_READ_SECONDS,
    )
    if not answer.ok:
        raise refusal(account, answer)

    def decide(ledger: Ledger) -> MessageEntry | None:
        marked = outgoing.mark_read(ledger, account, message.id)
        return None if marked is None else MessageEntry(marked, contacts.survivor(ledger, marked.contact_id))

    keys = Keys(own={(account.phone_number_id, message.id)})
    marked = await context.apply(keys, decide)
    if marked is None:
        raise NotFound(_NO_MESSAGE)
    return raw_json_response(message_shown(marked), MessageRead)


_NO_MESSAGE = "There is no message with this id."
_NO_ACCOUNT = Conflict("The account of this message is there no more.", kind="no-account")
_NOBODY = Conflict("The contact of this message is there no more.", kind="no-contact")

_Decision = Callable[[Ledger, Account, Send], Problem | None]


async def _decided(context: RequestContext, name: str, decision: _Decision) -> Response[MessageRead]:
    """Decide about a message of ours; the answer shows it after the decision."""
    _, account, known = await _known(context, name, sending=False)

    def decide(ledger: Ledger) -> Problem | None:
        send = ledger.sends.get(known.message_id)
        return NotFound(_NO_MESSAGE) if send is None else decision(ledger, account, send)

    keys = Keys(own={(account.phone_number_id, known.message_id)})
    problem = await context.apply(keys, decide)
    if problem is not None:
        raise problem
    return raw_json_response(message_shown(await _entry(context, known.message_id)), MessageRead)


async def _copy(context: RequestContext, entry: MessageEntry, account: Account, send: Send) -> outgoing.Draft:
    """Return the draft of a copy of a message, to the same person or into the same group."""
    message = entry.message
    if not outgoing.resendable(message, send):
        raise _not_resendable(send)
    if is_masked(message.content):
        raise Conflict("The parameters of this template are gone: send it anew.", kind="masked")
    conversation = await context.read(lambda c: conversations.get(c, context.organization_id, message.conversation_id))
    grouped = conversation is not None and conversation.is_group
    return outgoing.Draft(
        account=account,
        content=message.content,
        to="" if grouped else send.recipient,
        conversation=conversation,
        agent_id=message.agent_id,
        unchecked=send.unchecked,
        despite_stop=send.despite_stop,
        media=message.media,
        author=context.caller.actor,
        request_id=context.request_id,
        callback_data=message.callback_data,
    )


def _not_resendable(send: Send) -> Problem:
    if send.resent_as:
        return Conflict(f"This message was sent again already, as {send.resent_as}.", kind="resent")
    return Conflict(
        f"Only what failed, was cancelled or is unknown can be sent again: this message is {send.state}.",
        kind="not-resendable",
    )


async def _known(context: RequestContext, name: str, *, sending: bool = True) -> tuple[MessageEntry, Account, Send]:
    entry = await _entry(context, name)
    if entry.send is None:
        raise Conflict("This message was not sent from here.", kind="not-ours")
    return entry, _account(context, entry.message.account_id, sending=sending), entry.send


async def _entry(context: RequestContext, name: str) -> MessageEntry:
    identifier = await context.message_id(name)
    entry = await context.read(lambda c: messages.get(c, context.organization_id, identifier))
    if entry is None:
        raise NotFound(_NO_MESSAGE)
    return entry


def _account(context: RequestContext, account_id: str, *, sending: bool = True) -> Account:
    account = context.account(account_id)
    if account is None:
        raise _NO_ACCOUNT
    if sending and not account.access_token:
        raise Invalid("The account of this message has no access_token: give it one with PATCH /v1/accounts/{id}.")
    return account


HANDLERS = (cancel_message, mark_message_failed, resend_message, mark_message_read)
