"""Sends one claimed message to Meta and records the result; a result is not given up while the process lives.

Nothing that may have left is tried again, so Meta's answer is all there is: while the store cannot take it, it is kept
and tried again, and the conversation waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from msgspec import MsgspecError, Struct
from msgspec.json import Decoder

from tellwire.conversations import recipients
from tellwire.conversations.changes import Options
from tellwire.media.uploads import NotUploaded, Ready, nothing_to_upload
from tellwire.meta.codes import NOT_MADE, OWN_CODES
from tellwire.meta.outgoing.answers import LONGEST_PAUSE, Accepted, NotSent, Refused, SendAnswer, Unknown, read_answer
from tellwire.meta.outgoing.body import body_of
from tellwire.meta.outgoing.masking import TEMPLATE, carries_code, mask
from tellwire.meta.outgoing.recipient import known
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Send, StatusError
from tellwire.model.units import MICROS, Micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Answer, Graph, retry_after
from tellwire.ports.queues import DueSends
from tellwire.ports.storage import LedgerRunner
from tellwire.sending import outcomes, rate_limits
from tellwire.sending.answers import MetaAnswer, SendAnswers
from tellwire.sending.outcomes import Claimed, Settled
from tellwire.sending.rate_limits import AccountLimits

log = structlog.get_logger("tellwire.sending")

_FIRST_PAUSE = 0.05
CALL_SECONDS = 20.0
"""The deadline of a call to Meta, over everything."""
_LONGEST_WAIT = 5.0
_UNREACHABLE_SECONDS = 30.0
_LAST_WORDS = 1.0


class _Template(Struct):
    name: str = ""
    language: Any = None


class _Content(Struct):
    template: _Template


_content = Decoder(_Content)


class MessageSender:
    """Sends messages that were claimed.

    Args:
        book, sends, graph, clock: results, rows, Meta, and the time of every decision.
        holds: whether a partition is still owned under an epoch.
        options: what the settings decide of statuses, which may have waited for a message to be accepted.
        random: a number from 0 to 1, for jitter.
        ready: brings the files of a message to Meta first.
        answers: tells callers who wait what became of their messages.
        on_accepted: told the organization of each message that Meta accepted.
    """

    def __init__(
        self,
        book: LedgerRunner,
        sends: DueSends,
        graph: Graph,
        clock: Clock,
        *,
        holds: Callable[[int, int], bool],
        options: Options,
        random: Callable[[], float],
        counters: Counters,
        ready: Ready = nothing_to_upload,
        answers: SendAnswers | None = None,
        on_accepted: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._book = book
        self._sends = sends
        self._graph = graph
        self._clock = clock
        self._holds = holds
        self._options = options
        self._random = random
        self._counters = counters
        self._ready = ready
        self._answers = answers or SendAnswers()
        self._on_accepted = on_accepted
        self.unrecorded = 0
        self.failing = ""

    async def close(self) -> None:
        """End every call to Meta; each says whether it had been written."""
        await self._graph.close()

    async def carry(self, claimed: Claimed, pace: AccountLimits) -> Settled:
        """Send a message once and record the result; its account's limits have let it begin."""
        settled, answer = await self._carried(claimed, pace)
        if claimed.send.expires_at:
            told = MetaAnswer(settled.word, answer.status, answer.body)
            self._answers.tell(claimed.send.message_id, told)
        return settled

    async def _carried(self, claimed: Claimed, pace: AccountLimits) -> tuple[Settled, Answer]:
        send, keys = claimed.send, keys_of_pair(claimed.send)
        try:
            body = await self._body(claimed)
        except asyncio.CancelledError:  # we are stopping, in the middle of an upload: the message itself has not left
            await self._give_back(claimed)
            raise
        except Exception as error:  # noqa: BLE001 - nothing has left, so whatever it was may be tried again
            now, jitter, came = self._clock.now(), self._random(), _unmade(error)
            pace.undo(keys, now)
            self._tell_pace(pace, came, began=send.started_at, now=now, jitter=jitter)
            return await self._settle(claimed, came, jitter), Answer()
        if body is None:
            pace.undo(keys, self._clock.now())
            return await self._record(claimed, partial(outcomes.unsendable, claimed=claimed)), Answer()
        answer = await self._ask(claimed, body)
        now = self._clock.now()
        if answer.written:
            pace.end(keys, now if answer.status else now + rate_limits.LINGER)
        else:
            pace.undo(keys, now)
        if answer.withheld:
            return await self._record(claimed, partial(outcomes.withheld, claimed=claimed)), answer
        came = _understood(answer, now)
        jitter = self._random()
        self._tell_pace(pace, came, began=send.started_at, now=now, jitter=jitter)
        return await self._settle(claimed, came, jitter), answer

    async def _body(self, claimed: Claimed) -> bytes | None:
        """Return the body to send, once Meta has the files that it names; None when there is nothing left to send."""
        send, content = claimed.send, claimed.message.content
        media_ids = await self._ready(claimed.account, content)
        to = known(send.recipient, group=claimed.grouped)
        return None if to is None else body_of(content, to, callback=send.message_id, media_ids=media_ids)

    async def _give_back(self, claimed: Claimed) -> None:
        """Queue the message again if that can be done in the time that is left; otherwise its next owner marks it
        unknown."""
        keys = outcomes.keys_of_result(claimed, None)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_LAST_WORDS):
                await self._book.apply(keys, partial(outcomes.interrupted, claimed=claimed))

    async def _settle(self, claimed: Claimed, came: SendAnswer, jitter: float) -> Settled:
        settle = partial(outcomes.settle, claimed=claimed, outcome=came, options=self._options, jitter=jitter)
        return await self._record(claimed, settle, came)

    async def _ask(self, claimed: Claimed, body: bytes) -> Answer:
        send, account = claimed.send, claimed.account
        try:
            return await self._graph.ask(
                account.access_token,
                f"{account.phone_number_id}/messages",
                method="POST",
                body=body,
                may_send=partial(self._holds, send.partition, send.epoch),
                timeout_seconds=CALL_SECONDS,
            )
        except Exception as error:  # the port promises that there is none
            log.exception("send_failed")
            return Answer(failure="broken", cause=f"the call ended in an error ({type(error).__name__})", written=True)

    def _tell_pace(self, pace: AccountLimits, came: SendAnswer, *, began: int, now: int, jitter: float) -> None:
        if isinstance(came, NotSent):
            pace.back_off(began, now, jitter=jitter, longest=_UNREACHABLE_SECONDS)
        elif isinstance(came, Refused) and came.kind == "throttled":
            pace.back_off(began, now, jitter=jitter, longest=LONGEST_PAUSE)
        elif isinstance(came, Accepted):
            pace.record_accepted(began)

    async def _record(
        self, claimed: Claimed, settle: Callable[..., Settled], came: SendAnswer | None = None
    ) -> Settled:
        """Record the result, however long that takes."""
        keys = outcomes.keys_of_result(claimed, came)
        pause = _FIRST_PAUSE
        settled: Settled | None = None
        self.unrecorded += 1
        try:
            while True:
                try:
                    content = await self._masked(claimed) if isinstance(came, Accepted) else b""
                    if content and content != claimed.message.content:
                        # Before the acceptance is recorded: whoever finds it accepted finds the code nowhere.
                        await self._sends.mask_events(claimed.send, content)
                    if settled is None:
                        settled = await self._book.apply(keys, partial(_settled, settle, content))
                    if named := settled.named:
                        names = recipients.keys_of_names(claimed.account, claimed.send.message_id, named)
                        await self._book.apply(names, partial(outcomes.names, claimed=claimed, named=named))
                except Exception as error:  # noqa: BLE001 - whatever it was, the result must not be lost
                    self._fails(error)
                else:
                    self.failing = ""
                    self._counters.sends[settled.word] += 1
                    if isinstance(came, Accepted):
                        self._on_accepted(claimed.account.organization_id)
                    return settled
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_WAIT)
        finally:
            self.unrecorded -= 1

    def _fails(self, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        if not self.failing:
            log.error("sends_not_recorded", reason=reason)
        self.failing = reason

    async def _masked(self, claimed: Claimed) -> bytes:
        """Return the row of an accepted message as it is shown: codes of authentication templates are hidden from then
        on."""
        content = claimed.message.content
        if not content.startswith(TEMPLATE):
            return b""
        try:
            template = _content.decode(content).template
        except MsgspecError:
            return b""
        language = template.language.get("code") if isinstance(template.language, dict) else template.language
        secret = await self._sends.is_for_codes(claimed.account, template.name, str(language))
        return mask(content, authentication=carries_code(content) if secret is None else secret)


def _understood(answer: Answer, now: Micros) -> SendAnswer:
    """Return what the answer means; an answer that cannot be read must not leave the message `sending`, with all behind
    it."""
    try:
        return read_answer(
            answer.status,
            answer.body,
            written=answer.written,
            cause=answer.cause,
            retry_after=retry_after(answer.headers, now) / MICROS,
        )
    except Exception as error:
        log.exception("answer_not_understood", status=answer.status)
        return Unknown(f"Meta's answer ({answer.status}) could not be read ({type(error).__name__})")


def _unmade(error: Exception) -> SendAnswer:
    """Return the outcome of a request that could not be made; an error of ours is not tried for a whole day."""
    if isinstance(error, NotUploaded):
        return error.outcome
    log.error("request_not_made", exc_info=error)
    words = f"the request could not be made ({type(error).__name__})"
    title, _ = OWN_CODES[NOT_MADE]
    return Refused("retry", None, (StatusError(NOT_MADE, title, title, f"Not sent: {words}."),), tries=5)


def _settled(settle: Callable[..., Settled], content: bytes, ledger: Ledger) -> Settled:
    return settle(ledger, content=content) if content else settle(ledger)


def keys_of_pair(send: Send) -> tuple[str, str]:
    """Return the keys under which the limit of a send's recipient is kept."""
    return rate_limits.keys_of(send.account_id, send.order_key, send.recipient)
