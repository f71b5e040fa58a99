"""PURE. Decide about an outgoing message, from the request to send it until Meta has said what became of it.

Source: docs/reference/rest-api.md, "Sending".

Every step is a decision over a ledger, so that the row, its send and their events commit together. A message is never
sent again unless it is certain that Meta did not accept it.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from tellwire.conversations import agent_turns, contacts, echoes, lifecycle, message_events, recipients
from tellwire.conversations.changes import update
from tellwire.conversations.message_events import Subject
from tellwire.conversations.status_merge import joined, merge
from tellwire.meta import codes
from tellwire.meta.phone_numbers import alias
from tellwire.meta.webhooks.items import WebhookContact
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Contact, Conversation, Message, Send, SendState, StatusError, StatusFact
from tellwire.model.routing import order_key, partition
from tellwire.model.row_json import errors_json
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Micros


class Draft(Struct, frozen=True, kw_only=True):
    """A checked request to send a message.

    `to`: a number with `+` or a business-scoped user id; "" when `conversation` names the recipient. With both, `to` is
    used if it is still an address of the conversation's contact. `content`: as the row shows it. `scheduled_at` 0: at
    once. `unchecked`, `despite_stop`, `author`, `request_id`: as of a `Send`. `callback_data`: as of a `Message`.
    `patience`: how long (micros) its caller waits for its turn; it is sent within that time or not at all (0: however
    long it takes).
    """

    account: Account
    content: bytes
    to: str = ""
    conversation: Conversation | None = None
    agent_id: str = ""
    scheduled_at: Micros = 0
    unchecked: bool = False
    despite_stop: bool = False
    media: bytes = b""
    callback_data: str = ""
    patience: Micros = 0
    author: str = ""
    request_id: str = ""


def keys_of(draft: Draft) -> Keys:
    """Return what has to be loaded before a draft can be queued."""
    keys = Keys(latest=True, whose=draft.account.organization_id)
    number = draft.account.phone_number_id
    if draft.scheduled_at:
        keys.scheduled.add(draft.account.organization_id)
    if draft.to:
        keys.addresses.add((number, alias(draft.to)))
    if draft.conversation is not None:
        keys.conversations.add((draft.conversation.organization_id, draft.conversation.id))
        keys.parties.add((number, draft.conversation.party))
        if not draft.conversation.is_group:
            keys.addresses.add((number, alias(draft.conversation.contact_address)))
    return keys


def account_exists(ledger: Ledger, draft: Draft) -> bool:
    """Return whether the account still exists: it may have been deleted since the draft was checked."""
    known = ledger.account(draft.account.phone_number_id)
    return known is not None and known.id == draft.account.id


def recipient_exists(ledger: Ledger, draft: Draft) -> bool:
    """Return whether the recipient still exists: the conversation's contact may have been erased meanwhile."""
    if draft.conversation is None:
        return True
    known = ledger.conversations.get(draft.conversation.id)
    return known is not None and (known.is_group or contacts.survivor(ledger, known.party) is not None)


def queue(ledger: Ledger, draft: Draft, *, window: Micros) -> tuple[Message, Send]:
    """Record a message to be sent: its row, its place in the queue, and its event.

    The row joins the contact's open conversation; one is opened when there is none. `window`: see `open_with`.
    """
    account = draft.account
    contact, party, recipient = _recipient_of(ledger, draft)
    conversation = lifecycle.open_with(ledger, account, party, alias(recipient), window=window)
    message = Message(
        id=ledger.new_id(),
        organization_id=account.organization_id,
        account_id=account.id,
        conversation_id=conversation.id,
        contact_id=contact.id if contact else "",
        direction="outgoing",
        agent_id=draft.agent_id,
        content=draft.content,
        status={"pending": ledger.now},
        media=draft.media,
        to=alias(recipient),
        callback_data=draft.callback_data,
        created_at=ledger.now,
        updated_at=ledger.now,
    )
    due_at = max(draft.scheduled_at, ledger.now)
    send = Send(
        message_id=message.id,
        organization_id=account.organization_id,
        account_id=account.id,
        conversation_id=conversation.id,
        order_key=order_key(account.id, party),
        partition=partition_of(account.id),
        recipient=recipient,
        state="scheduled" if draft.scheduled_at > ledger.now else "queued",
        due_at=due_at,
        order_at=draft.scheduled_at if draft.scheduled_at > ledger.now else _order_of(message.id),
        scheduled_at=draft.scheduled_at,
        unchecked=draft.unchecked,
        despite_stop=draft.despite_stop,
        author=draft.author,
        request_id=draft.request_id,
        expires_at=ledger.now + draft.patience if draft.patience else 0,
        created_at=ledger.now,
        updated_at=ledger.now,
    )
    ledger.put_message(message)
    ledger.put_send(send)
    message_events.emit(
        ledger,
        Subject(message, account, conversation, contact),
        action="insert",
        participant=conversation.contact_address,
    )
    agent_turns.business_wrote(ledger, account, conversation, draft.agent_id)
    return message, send


def _order_of(message_id: str) -> Micros:
    """Return when the id was made, in micros. Ids never fall, whatever the clock does; within a millisecond the id
    itself decides."""
    return int(message_id[:8] + message_id[9:13], 16) * 1000


def partition_of(account_id: str) -> int:
    """Return the partition of an account's sends: one process sends for an account, which therefore keeps all its
    limits."""
    return partition(account_id, "")


def _recipient_of(ledger: Ledger, draft: Draft) -> tuple[Contact | None, str, str]:
    """Return the contact (None in a group), the party of the conversation, and the recipient as Meta gets it."""
    if draft.conversation is None:
        who = WebhookContact(address=draft.to, aliases=(alias(draft.to),))
        contact = contacts.resolve(ledger, draft.account.organization_id, who, ledger.now // MICROS)
        return contact, contact.id, draft.to
    known = ledger.conversations.get(draft.conversation.id, draft.conversation)
    if known.is_group:
        return None, known.party, known.contact_address
    person = contacts.survivor(ledger, known.party)
    if person is None:
        return None, known.party, recipients.as_sent(draft.to or known.contact_address)
    address = contacts.reachable(ledger, person, known, draft.to) or known.contact_address
    return person, person.id, recipients.as_sent(address)


# --- being sent -------------------------------------------------------------------------------------------------------


def claim(ledger: Ledger, account: Account, message_id: str, *, epoch: int, tries_until: Micros) -> Send | None:
    """Mark a due send as `sending`; return None when it is not due yet or not to be sent any more.

    After the commit, a crash leaves the send `sending`, so its next owner knows that Meta may have received it.
    """
    send = ledger.sends.get(message_id)
    if send is None or send.state not in ("queued", "scheduled") or send.due_at > ledger.now:
        return None
    if (conversation := ledger.conversations.get(send.conversation_id)) is not None:
        lifecycle.goes_on(ledger, conversation)
    send = recipients.readdressed(ledger, account, send)
    return _moved(
        ledger,
        send,
        "sending",
        attempts=send.attempts + 1,
        started_at=ledger.now,
        tries_until=send.tries_until or tries_until,
        epoch=epoch,
    )


def defer(ledger: Ledger, message_id: str, *, due_at: Micros, cause: str) -> None:
    """Postpone a send that was not tried yet to `due_at`."""
    send = ledger.sends.get(message_id)
    if send is not None and send.state in ("queued", "scheduled"):
        _moved(ledger, send, send.state, due_at=max(due_at, send.due_at), cause=cause)


def accept(
    ledger: Ledger, account: Account, message_id: str, wamid: str, *, status: str = "", content: bytes = b""
) -> Message | None:
    """Record that Meta accepted a message: the row gets its wamid. `status`: an extra status of Meta's answer, "" for
    plainly accepted.

    `content`: the row's new content, b"" to keep it (parameters of authentication templates are removed).
    """
    send, message = ledger.sends.get(message_id), ledger.by_id.get(message_id)
    if send is not None and send.state != "accepted":
        _moved(ledger, send, "accepted", cause="")
    if message is None:
        return None
    changed: list[str] = []
    if not message.wamid and not _of_another(ledger, account, message, wamid):
        message = replace(_folded(ledger, account, message, wamid), wamid=wamid)
        changed.append("wamid")
    if content and content != message.content:
        message = replace(message, content=content)
        changed.append("content")
    if status and status not in message.status:
        message = merge(message, StatusFact(name=status, at=ledger.now // MICROS))
    if changed or message is not ledger.by_id[message_id]:
        columns = _columns(ledger.by_id[message_id], message)
        update(ledger, message, account, columns)
    if "wamid" in changed:
        echoes.tell(ledger, ledger.by_id[message_id], account)
    return ledger.by_id[message_id]


def fail(ledger: Ledger, account: Account, message_id: str, errors: tuple[StatusError, ...], cause: str) -> None:
    """Mark a message as failed with Meta's errors or ours, and emit its event."""
    send, message = ledger.sends.get(message_id), ledger.by_id.get(message_id)
    if send is not None:
        _moved(ledger, send, "failed", cause=cause)
    if message is None:
        return
    fact = StatusFact(name="failed", at=ledger.now // MICROS, errors=errors_json(errors) if errors else b"")
    update(ledger, merge(message, fact), account, ("status",), fact=fact, errors=errors)


def retry(
    ledger: Ledger,
    message_id: str,
    *,
    epoch: int,
    due_at: Micros,
    cause: str,
    tried: bool = True,
    anew: bool = False,
) -> None:
    """Queue a send again for `due_at`: it is certain that Meta did not accept it.

    `tried`: whether the attempt counts, because Meta was asked. `anew`: the time limit for tries starts anew.
    """
    send = _claimed(ledger, message_id, epoch)
    if send is not None:
        attempts = send.attempts if tried else max(send.attempts - 1, 0)
        until = 0 if anew else send.tries_until
        _moved(ledger, send, "queued", due_at=due_at, cause=cause, attempts=attempts, tries_until=until)


def mark_unknown(ledger: Ledger, message_id: str, *, epoch: int, cause: str) -> None:
    """Mark a send as `unknown`: Meta may have accepted it. A later status or a person decides."""
    send = _claimed(ledger, message_id, epoch)
    if send is not None:
        _moved(ledger, send, "unknown", cause=cause)


def mark_abandoned(ledger: Ledger, message_id: str, *, epoch: int) -> bool:
    """Mark a send as `unknown` when the process that claimed it is gone, that is, under a lease older than `epoch`.
    Return whether it was marked."""
    send = ledger.sends.get(message_id)
    if send is None or send.state != "sending" or send.epoch >= epoch:
        return False
    _moved(ledger, send, "unknown", cause="the process that was sending it ended before Meta's answer was recorded")
    return True


def _claimed(ledger: Ledger, message_id: str, epoch: int) -> Send | None:
    send = ledger.sends.get(message_id)
    return send if send is not None and send.state == "sending" and send.epoch == epoch else None


def _moved(ledger: Ledger, send: Send, state: SendState, **changes: object) -> Send:
    moved = replace(send, state=state, updated_at=max(ledger.now, send.updated_at + 1), **changes)
    ledger.put_send(moved)
    return moved


def _columns(before: Message, after: Message) -> tuple[str, ...]:
    """Return the names of the row format's columns that differ."""
    shown = {"wamid": "wa_id", "content": "content", "status": "status", "pricing": "pricing", "timestamp": "timestamp"}
    return tuple(name for field, name in shown.items() if getattr(before, field) != getattr(after, field))


def _of_another(ledger: Ledger, account: Account, message: Message, wamid: str) -> bool:
    """Return whether the wamid belongs to another message that came in or that we sent; that row keeps it."""
    other = ledger.messages.get((account.id, wamid))
    return other is not None and other.id != message.id and other.kind != "external"


def _folded(ledger: Ledger, account: Account, message: Message, wamid: str) -> Message:
    """Return the message with the statuses that an external row got under its wamid; that row gives up the wamid."""
    other = ledger.messages.get((account.id, wamid))
    if other is None or other.id == message.id:
        return message
    message = joined(message, other)
    content = b'{"type":"external","external":{"folded_into":"%b"}}' % message.id.encode()
    update(ledger, replace(other, wamid="", content=content, kind="external"), account, ("content",))
    return message


# --- what people decide -----------------------------------------------------------------------------------------------


def cancel(ledger: Ledger, account: Account, message_id: str, *, cause: str = "cancelled before it was sent") -> bool:
    """Cancel a message that has not been sent, and tell it; return False when it is too late."""
    send, message = ledger.sends.get(message_id), ledger.by_id.get(message_id)
    if send is None or send.state not in ("scheduled", "queued"):
        return False
    _moved(ledger, send, "cancelled", cause=cause)
    if message is not None:
        update(ledger, replace(message, status={**message.status, "cancelled": ledger.now}), account, ("status",))
    return True


def mark_failed(ledger: Ledger, account: Account, message_id: str, *, by: str) -> bool:
    """Mark a message as failed because a person (`by`) decided so. Return False unless its state is `unknown`."""
    send = ledger.sends.get(message_id)
    if send is None or send.state != "unknown":
        return False
    words = f"marked as failed by {by}, after: {send.cause}"
    fail(ledger, account, message_id, (_DECIDED,), words)
    return True


def mark_read(ledger: Ledger, account: Account, message_id: str) -> Message | None:
    """Record that Meta accepted our read receipt of an incoming message; return None when the message is gone."""
    message = ledger.by_id.get(message_id)
    if message is not None and "read" not in message.status:
        update(ledger, replace(message, status={**message.status, "read": ledger.now}), account, ("status",))
    return ledger.by_id.get(message_id)


def resend(ledger: Ledger, draft: Draft, message_id: str, *, window: Micros) -> tuple[Message, Send] | None:
    """Queue a copy (`draft`) of a message that did not arrive, or may not have; return None if it may not be sent
    again."""
    send, message = ledger.sends.get(message_id), ledger.by_id.get(message_id)
    if send is None or message is None or not resendable(message, send):
        return None
    queued = queue(ledger, draft, window=window)
    ledger.put_send(replace(send, resent_as=queued[0].id, updated_at=max(ledger.now, send.updated_at + 1)))
    return queued


def resendable(message: Message, send: Send) -> bool:
    """Return whether a message may be sent again: it failed, was cancelled or is `unknown`, and was not resent yet."""
    failed = send.state in ("failed", "cancelled", "unknown") or (
        send.state == "accepted" and "failed" in message.status
    )
    return failed and not send.resent_as


_DECIDED = StatusError(
    codes.MARKED_FAILED,
    codes.OWN_CODES[codes.MARKED_FAILED][0],
    codes.OWN_CODES[codes.MARKED_FAILED][0],
    "Whether WhatsApp took this message was not known; a person decided that it counts as failed.",
)
