"""PURE. Decides, over a ledger, what follows from an attempt to send a message, from the claim to the final outcome.

Source: docs/reference/rest-api.md, "Sending".

A claim is durable before a byte is written; what may have left is never sent again by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, assert_never

from msgspec import Struct
from msgspec.structs import replace

from tellwire.conversations import outgoing, recipients
from tellwire.conversations.changes import Options
from tellwire.conversations.recipients import Named
from tellwire.inbox import held_items
from tellwire.meta import scalars
from tellwire.meta.codes import CODES, CodeKind
from tellwire.meta.outgoing.answers import Accepted, NotSent, Refused, SendAnswer, Unknown, next_after
from tellwire.meta.phone_numbers import alias
from tellwire.meta.webhooks.items import WebhookContact
from tellwire.model import operational_events
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Message, Send, StatusError
from tellwire.model.tenancy import Account
from tellwire.model.units import DAY, MICROS, Micros, micros
from tellwire.ports.queues import Refusal

TRIED_FOR: Micros = DAY
PAIR_IS_FULL = "its recipient's limit is reached"
TOO_LATE = "its turn did not come while its caller waited"
"""Why a message is cancelled that was to be sent at once or not at all."""


class SendTurn(Struct, frozen=True, kw_only=True):
    """A send that is next in its conversation. `refused`: why it fails instead of being sent. `not_before`: the time
    that its recipient's limit allows; 0 for now."""

    message_id: str
    refused: Refusal = ""
    not_before: Micros = 0


class Claimed(Struct, frozen=True):
    """A message that this process has claimed to send once. `grouped`: it goes to a group."""

    account: Account
    send: Send
    message: Message
    grouped: bool


Word = Literal["accepted", "unknown", "failed", "paused", "not_sent", "withheld"] | CodeKind
"""What an attempt came to: the last word of it (`accepted`, `failed`, `unknown`), or why it is tried again."""


class Settled(Struct, frozen=True):
    """The outcome of an attempt, and when the message is tried again (0: never). `named`: whom statuses that had
    waited named, which is still to be recorded (`names`)."""

    word: Word
    due_at: Micros = 0
    named: tuple[Named, ...] = ()


def keys_of(account: Account, message_ids: Sequence[str]) -> Keys:
    """Return what has to be loaded to decide about these messages."""
    return Keys(own={(account.phone_number_id, message_id) for message_id in message_ids})


def keys_of_result(claimed: Claimed, outcome: SendAnswer | None) -> Keys:
    """Return what has to be loaded to record what an attempt came to."""
    if isinstance(outcome, Accepted):
        keys = held_items.keys_of_acceptance(claimed.account, claimed.send.message_id, outcome.wamid)
        if named := _named(claimed, outcome):
            keys.add(recipients.keys_of_names(claimed.account, claimed.send.message_id, [Named(named, 0)]))
            keys.addresses.add((claimed.account.phone_number_id, alias(claimed.send.recipient)))
        return keys
    return keys_of(claimed.account, [claimed.send.message_id])


def claim(ledger: Ledger, account: Account, turns: Sequence[SendTurn], *, epoch: int) -> list[Claimed]:
    """Claim the sends that are next; the others wait or fail."""
    known = ledger.account(account.phone_number_id)
    if known is None or known.sending_paused:
        return []
    claimed = []
    for turn in turns:
        if turn.refused == "expired":
            outgoing.cancel(ledger, known, turn.message_id, cause=TOO_LATE)
        elif turn.not_before > ledger.now and _waited_for(ledger, turn.message_id):
            outgoing.cancel(ledger, known, turn.message_id, cause=PAIR_IS_FULL)
        elif turn.not_before > ledger.now:
            outgoing.defer(ledger, turn.message_id, due_at=turn.not_before, cause=PAIR_IS_FULL)
        elif turn.refused:
            _fail_unsent(ledger, known, turn.message_id, _LATE if turn.refused == "late" else _STOPPED)
        elif recipients.has_left(ledger, turn.message_id):
            _fail_unsent(ledger, known, turn.message_id, _LEFT)
        elif (one := _claim(ledger, known, turn.message_id, epoch)) is not None:
            claimed.append(one)
    return claimed


def _waited_for(ledger: Ledger, message_id: str) -> bool:
    """Return whether a caller waits for Meta's answer to a message."""
    send = ledger.sends.get(message_id)
    return send is not None and send.expires_at > 0


def _claim(ledger: Ledger, account: Account, message_id: str, epoch: int) -> Claimed | None:
    send = outgoing.claim(ledger, account, message_id, epoch=epoch, tries_until=ledger.now + TRIED_FOR)
    message = ledger.by_id.get(message_id)
    if send is None or message is None:
        return None
    conversation = ledger.conversations[message.conversation_id]
    return Claimed(account, send, message, conversation.is_group)


def settle(
    ledger: Ledger, claimed: Claimed, outcome: SendAnswer, *, options: Options, jitter: float, content: bytes = b""
) -> Settled:
    """Record the outcome of an attempt.

    Args:
        jitter: from 0 to 1.
        content: what the row of an accepted message shows from now on, b"" for what it showed.
    """
    account = ledger.account(claimed.account.phone_number_id) or claimed.account
    identifier = claimed.send.message_id
    match outcome:
        case Accepted():
            status = outcome.message_status if outcome.message_status != "accepted" else ""
            if named := _named(claimed, outcome):
                recipients.name(ledger, identifier, Named(named, ledger.now // MICROS))
            left = held_items.accept(
                ledger, account, identifier, outcome.wamid, options, status=status, content=content
            )
            return Settled("accepted", named=tuple(left))
        case Unknown():
            outgoing.mark_unknown(ledger, identifier, epoch=claimed.send.epoch, cause=outcome.cause)
            return Settled("unknown")
        case NotSent():
            return _again(ledger, account, claimed, outcome, jitter)
        case Refused():
            if outcome.kind == "fail":
                _fail(ledger, account, identifier, outcome.errors)
                return Settled("failed")
            if outcome.kind == "pause":
                words = _words(outcome.errors)
                if claimed.send.expires_at:
                    _fail(ledger, account, identifier, outcome.errors)
                else:
                    epoch = claimed.send.epoch
                    outgoing.retry(ledger, identifier, epoch=epoch, due_at=ledger.now, cause=words, anew=True)
                if account.access_token != claimed.account.access_token:  # it speaks of one that was replaced
                    return Settled("retry", ledger.now)
                _pause(ledger, account, words)
                return Settled("paused", ledger.now)
            return _again(ledger, account, claimed, outcome, jitter)
        case _:
            assert_never(outcome)


def _named(claimed: Claimed, outcome: Accepted) -> WebhookContact | None:
    """Return whom Meta's answer names: whose number and user id they are; None in a group."""
    given = [alias(outcome.wa_id), outcome.user_id]
    found = tuple(each for each in given if each)
    return WebhookContact(address=found[0], aliases=found) if found and not claimed.grouped else None


def names(ledger: Ledger, claimed: Claimed, named: Sequence[Named]) -> None:
    """Record whom statuses named that had waited for Meta's answer."""
    for each in named:
        recipients.name(ledger, claimed.send.message_id, each)


def withheld(ledger: Ledger, claimed: Claimed) -> Settled:
    """Queue a message again that was not sent because the lease had ended: no attempt was made."""
    words = "not sent: another process sends for this account by now"
    _untried(ledger, claimed.send.message_id, claimed.send.epoch, words)
    return Settled("withheld", ledger.now)


def interrupted(ledger: Ledger, claimed: Claimed) -> None:
    """Queue a message again because this process stops before the message could be sent."""
    _untried(ledger, claimed.send.message_id, claimed.send.epoch, "not sent: the process stopped before")


def unsendable(ledger: Ledger, claimed: Claimed) -> Settled:
    """Fail a message that has nothing left that could be sent."""
    _fail_unsent(ledger, claimed.account, claimed.send.message_id, _ERASED)
    return Settled("failed")


def forget_claims(ledger: Ledger, message_ids: Sequence[str], *, epoch: int) -> None:
    """Queue messages again that may have been claimed under `epoch`, but of which nothing was sent."""
    for message_id in message_ids:
        _untried(ledger, message_id, epoch, "not sent: the claim was not confirmed")


def abandon(ledger: Ledger, message_ids: Sequence[str], *, epoch: int) -> int:
    """Mark messages as unknown that a process was sending which is gone."""
    return sum(outgoing.mark_abandoned(ledger, message_id, epoch=epoch) for message_id in message_ids)


# --- what is behind them ----------------------------------------------------------------------------------------------


def _untried(ledger: Ledger, message_id: str, epoch: int, cause: str) -> None:
    """Queue messages again that were claimed under `epoch` and never sent."""
    outgoing.retry(ledger, message_id, epoch=epoch, due_at=ledger.now, cause=cause, tried=False)


def _again(ledger: Ledger, account: Account, claimed: Claimed, outcome: Refused | NotSent, jitter: float) -> Settled:
    """Try again later, or give up with what Meta said last: at once where a caller waits for the answer."""
    send = claimed.send
    left = 0.0 if send.expires_at else (send.tries_until - ledger.now) / MICROS
    seconds = next_after(outcome, send.attempts, jitter, left)
    refusal = isinstance(outcome, Refused)
    cause = _words(outcome.errors) if isinstance(outcome, Refused) else outcome.cause
    if seconds is None:
        unreachable = StatusError(131016, CODES[131016].title, CODES[131016].title, f"Not sent: {cause}.")
        _fail(ledger, account, send.message_id, outcome.errors if isinstance(outcome, Refused) else (unreachable,))
        return Settled("failed")
    due_at = ledger.now + micros(seconds)
    outgoing.retry(ledger, send.message_id, epoch=send.epoch, due_at=due_at, cause=cause, tried=refusal)
    return Settled(outcome.kind if isinstance(outcome, Refused) else "not_sent", due_at)


def _fail(ledger: Ledger, account: Account, message_id: str, errors: tuple[StatusError, ...]) -> None:
    send = ledger.sends.get(message_id)
    # One that failed was written before, and only the answer was lost; of one that was accepted a status has told.
    if send is None or send.state not in ("failed", "accepted"):
        outgoing.fail(ledger, account, message_id, errors, _words(errors))


def _fail_unsent(ledger: Ledger, account: Account, message_id: str, error: StatusError) -> None:
    send = ledger.sends.get(message_id)
    if send is not None and send.open:
        _fail(ledger, account, message_id, (error,))


def _pause(ledger: Ledger, account: Account, reason: str) -> None:
    if account.sending_paused:
        return
    paused = replace(account, sending_paused=reason, updated_at=max(ledger.now, account.updated_at + 1))
    ledger.change_account(paused)
    told = operational_events.paused(paused, reason)
    ledger.emit(told.event(ledger.new_id(), account.organization_id, ledger.now))


def _words(errors: Sequence[StatusError]) -> str:
    """Return Meta's error for people; Meta's own text may name a number or more, so only its code and title are
    shown."""
    if not errors:
        return "Meta refused it and did not say why"
    code = errors[0].code
    known = CODES.get(code)
    return f"{code}: {known.title if known else scalars.name(errors[0].title) or 'without a title'}"


_LATE = StatusError(
    131047,
    CODES[131047].title,
    CODES[131047].title,
    "Not sent: more than 24 hours have passed since the recipient last wrote or called.",
)
_STOPPED = StatusError(
    131050,
    CODES[131050].title,
    CODES[131050].title,
    "Not sent: the recipient wants no marketing of this number (skip_opt_out_check sends it all the same).",
)
_LEFT = StatusError(
    131026,
    CODES[131026].title,
    CODES[131026].title,
    "Not sent: the recipient has left this address, and no other one of theirs is known.",
)
_ERASED = StatusError(
    131009, CODES[131009].title, CODES[131009].title, "Not sent: what it held was erased before its turn came."
)
