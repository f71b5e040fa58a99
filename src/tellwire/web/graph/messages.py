"""Serve `POST /{phone_number_id}/messages`: a message becomes a row of ours, and the answer is Meta's.

Source: docs/reference/graph-api.md, "Sending".
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import structlog
from litestar import Response
from msgspec import Raw, Struct
from sqlalchemy.exc import OperationalError

from tellwire.conversations import outgoing
from tellwire.errors import Conflict, Invalid, Problem, Unavailable
from tellwire.meta.outgoing import types
from tellwire.meta.outgoing.body import read_body
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Message, Send
from tellwire.model.routing import order_key
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS
from tellwire.stores.queries import conversations, service_windows
from tellwire.web.api.messages.fields import MessageDraft
from tellwire.web.api.messages.template_check import check_wanted
from tellwire.web.api.messages.validation import check_window, well_formed
from tellwire.web.graph import replies
from tellwire.web.graph.calls import Call, unfolded, value_of, without_nulls
from tellwire.web.graph.errors import INVALID, JSON, PAIR, RATE, GraphError
from tellwire.web.graph.media_ids import with_our_ids
from tellwire.web.graph.relay import asked
from tellwire.web.graph.replies import Reply
from tellwire.web.graph.waiting import PATIENCE, Outcome, entry_of, hindered, outcome, send_of
from tellwire.web.request import IdempotentRequest

log = structlog.get_logger("tellwire.web")

_ENVELOPE = frozenset(
    ("messaging_product", "recipient_type", "to", "recipient", "type", "context", "biz_opaque_callback_data")
)
_UNUSED = frozenset(("access_token", "preview_url"))
"""Fields that are taken and not passed on: the token, and a member of `text` that many clients write beside it, where
Meta does not look at it."""
_PENDING = 202
"""The status of a kept answer that only names the message: what became of it is looked up."""
_LONGEST_CALLBACK = 512
_READ_SECONDS = 20.0


class _Pending(Struct):
    """A kept answer that is not final: nothing of a person, who may be erased meanwhile."""

    message_id: str


async def post(call: Call, account: Account) -> Response[bytes]:
    """Send a message, or tell a customer that theirs was read."""
    if call.text("messaging_product") != "whatsapp":
        raise GraphError(INVALID, "/messaging_product: must be whatsapp")
    if not account.access_token:
        raise GraphError(133010, "The account has no access_token: give it one with PATCH /v1/accounts/{id}.")
    if "status" in call.body:
        return await _receipt(call, account)
    async with call.once() as once:
        if once.kept is not None:
            if once.kept.status_code != _PENDING:
                return once.kept
            kept = msgspec.json.decode(once.kept.content, type=_Pending)
            found = Outcome(entry=await entry_of(call.context, kept.message_id))
            if send_of(found).open:
                raise Conflict("The message is being sent.", kind="idempotency-in-flight")
            if send_of(found).state != "cancelled":
                return await _answered(call, once, await _reply(call, account, found, kept.message_id))
            await once.forget()
        return await _sent(call, account, once)


async def _sent(call: Call, account: Account, once: IdempotentRequest) -> Response[bytes]:
    given = await _draft(call, account)
    draft = msgspec.structs.replace(
        await well_formed(call.context, given), patience=PATIENCE, callback_data=call.text("biz_opaque_callback_data")
    )
    await check_window(call.context, draft)
    await check_wanted(call.context, draft)
    await _check_turn(call, draft)
    window = call.context.services.ingest.options.window

    def decide(ledger: Ledger) -> tuple[Message, Send] | Problem:
        known = ledger.account(account.phone_number_id)
        if not outgoing.account_exists(ledger, draft) or known is None:
            return Conflict("The account of this message is there no more.", kind="no-account")
        if known.sending_paused:
            return _paused(known)
        if not outgoing.recipient_exists(ledger, draft):
            return Conflict("The contact of this conversation is there no more.", kind="no-contact")
        return outgoing.queue(ledger, draft, window=window)

    def render(made: tuple[Message, Send]) -> bytes:
        return msgspec.json.encode(_Pending(made[0].id))

    (_, send), _ = await once.apply(outgoing.keys_of(draft), decide, render, status=_PENDING)
    try:
        reply = await _reply(call, account, await outcome(call.context, account, send), send.message_id)
    except Exception:  # from here on, "try again" would be the wrong answer, whatever fails
        log.exception("outcome_not_found", message_id=send.message_id)
        reply = Reply(error=replies.unknown(send.message_id))
    return await _answered(call, once, reply)


async def _reply(call: Call, account: Account, found: Outcome, message_id: str) -> Reply:
    """Return the answer that says what became of a message."""
    given = call.text("to") or call.text("recipient")
    reply = replies.of(found, account, message_id, given)
    if reply is None:  # Meta's answer is of no use by itself; the row has what it meant
        found = Outcome(entry=await entry_of(call.context, message_id))
        reply = replies.of(found, account, message_id, given)
    return reply or Reply(error=replies.unknown(message_id))


async def _answered(call: Call, once: IdempotentRequest, reply: Reply) -> Response[bytes]:
    """Answer a send; what is final is kept for the same Idempotency-Key."""
    body = reply.body(call.trace)
    if reply.final:
        with suppress(Unavailable, OperationalError):  # a repeat then finds what became of it by the row
            await once.amend(body, status=reply.status)
    return Response(body, status_code=reply.status, media_type=JSON)


async def _check_turn(call: Call, draft: outgoing.Draft) -> None:
    """Refuse a message of which it is known that it cannot be sent now, before it becomes a row.

    Raises:
        GraphError: one of Meta's throttling errors.
    """
    account, context = draft.account, call.context
    if account.sending_paused:
        raise _paused(account)
    party = draft.conversation.party if draft.conversation is not None else ""
    if not party:
        now = context.services.clock.now() // MICROS
        party = await context.read(lambda c: service_windows.party_of(c, account, draft.to, now))
    if party and await hindered(context, order_key(account.id, party)):
        raise replies.throttled(PAIR)
    worker = context.services.sending_worker
    limit = worker.hindrance(account.id, draft.to or party) if worker is not None else ""
    if limit:
        raise replies.throttled(PAIR if limit == "pair" else RATE)


def _paused(account: Account) -> GraphError:
    words = f"Not sent: nothing goes out for this account ({account.sending_paused}). Once that is settled, POST"
    return replies.throttled(RATE, f"{words} /v1/accounts/{account.id}/resume-sending lets it go on.")


async def _draft(call: Call, account: Account) -> MessageDraft:
    """Return the message as `POST /v1/messages` takes it."""
    body = {name: without_nulls(unfolded(member)) for name, member in call.body.items() if member.strip() != b"null"}
    kind = value_of(body["type"]) if "type" in body else "text"
    known = {name: member for name, member in body.items() if name in types.TYPES}
    strange = [name for name in body if name not in _ENVELOPE | _UNUSED and name not in types.TYPES]
    faults = [(f"/{name[:64]}", "is not a field that is taken here") for name in strange]
    callback = value_of(body.get("biz_opaque_callback_data", b'""'))
    if not isinstance(callback, str) or len(callback) > _LONGEST_CALLBACK:
        faults.append(("/biz_opaque_callback_data", f"must be a text of at most {_LONGEST_CALLBACK} characters"))
    sort = value_of(body.get("recipient_type", b'"individual"'))
    if sort not in ("individual", "group"):
        faults.append(("/recipient_type", "must be individual or group"))
    if "to" not in body and "recipient" not in body:
        faults.append(("/to", "is required"))
    if faults:
        raise Invalid("The message cannot be sent as it is.", *faults)
    whom: dict[str, Any] = {"to": value_of(body["to"] if "to" in body else body["recipient"])}
    if sort == "group":
        whom = {"conversation_id": await _group(call, account, whom["to"])}
    if "context" in body:
        whom["context"] = value_of(body["context"])
    payloads: dict[str, Any] = {name: Raw(with_our_ids(name, member)) for name, member in known.items()}
    return MessageDraft(account=account.phone_number_id, type=kind, **whom, **payloads)


async def _group(call: Call, account: Account, group_id: object) -> str:
    if isinstance(group_id, str) and group_id:
        owner = call.context.organization_id
        found = await call.context.read(lambda c: conversations.with_group(c, owner, account.id, group_id))
        if found is not None:
            return found.id
    raise GraphError(INVALID, "/to: nothing has come of a group with this id on this number yet")


# --- mark as read -----------------------------------------------------------------------------------------------------


async def _receipt(call: Call, account: Account) -> Response[bytes]:
    """Tell Meta that a customer's message was read, and its row once Meta has taken it."""
    faults = []
    if value_of(call.body["status"]) != "read":
        faults.append(("/status", "must be read"))
    wamid = call.text("message_id")
    if not wamid or len(wamid) > 256:
        faults.append(("/message_id", "must be the id of a message that came in"))
    typing = value_of(unfolded(call.body.get("typing_indicator", b"null")))
    if "typing_indicator" in call.body and typing != {"type": "text"}:
        faults.append(("/typing_indicator", 'must be {"type": "text"}'))
    if faults:
        raise Invalid("The message cannot be marked as read.", *faults)
    body = read_body(wamid, typing=typing is not None)
    answer = await asked(call, account, f"{account.phone_number_id}/messages", body=body, seconds=_READ_SECONDS)

    def decide(ledger: Ledger) -> None:
        message = ledger.messages.get((account.id, wamid))
        if message is not None and message.direction == "incoming":
            outgoing.mark_read(ledger, account, message.id)

    await call.context.services.store.apply(Keys(messages={(account.phone_number_id, wamid)}), decide)
    return Response(answer, media_type=JSON)
