"""PURE. Answer a send as the Graph API does, from Meta's own answer or from what the row says of it.

Source: docs/reference/graph-api.md, "Sending".
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from tellwire.meta import scalars
from tellwire.meta.codes import CODES
from tellwire.meta.errors import status_errors
from tellwire.meta.outgoing.answers import Accepted, Refused, read_answer
from tellwire.meta.phone_numbers import alias
from tellwire.meta.raw_json import verbatim
from tellwire.model.messaging import Message, Send
from tellwire.model.tenancy import Account
from tellwire.sending.answers import MetaAnswer
from tellwire.web.graph.errors import PAIR, RATE, SOMETHING, GraphError
from tellwire.web.graph.waiting import Outcome, is_pair, send_of


class Reply(Struct, frozen=True):
    """An answer to a send: Meta's success, or an error. `final`: the same request gets it again."""

    success: bytes = b""
    error: GraphError | None = None
    final: bool = False

    @property
    def status(self) -> int:
        return 200 if self.error is None else self.error.status

    def body(self, trace: str) -> bytes:
        """Return the answer's body; `trace` becomes the `fbtrace_id` of an error of ours."""
        return self.success if self.error is None else self.error.body(trace)


def of(found: Outcome, account: Account, message_id: str, given: str) -> Reply | None:
    """Return the answer to a send; None when what was found does not say what became of it.

    Args:
        message_id: our id of the message.
        given: its recipient, as the caller wrote it.
    """
    if found.answer is not None:
        return _from_answer(found.answer, account, given)
    send = send_of(found)
    if found.entry is None or found.entry.send is None:
        return None
    message = found.entry.message
    match send.state:
        case "accepted":
            return Reply(success=_accepted(message, send, given), final=True)
        case "failed":
            return Reply(error=_failed(message), final=True)
        case "cancelled":
            return Reply(error=throttled(PAIR if is_pair(found) else RATE))
        case _:
            return Reply(error=unknown(message_id))


def throttled(code: int, details: str = "") -> GraphError:
    """Return one of Meta's throttling errors: nothing was sent, and the call may be made again later."""
    said = {
        PAIR: "Not sent: too many messages to this recipient, or others to it go first. Try again later.",
        RATE: "Not sent: the limit of this number's messages is reached for now. Try again later.",
    }
    return GraphError(code, details or said[code], transient=True)


def unknown(message_id: str) -> GraphError:
    """Return the error of a message that Meta may have accepted.

    Its HTTP status is 400, though Meta's for this code is 500: some clients repeat what ends with 5xx by themselves,
    and the customer would get the message twice.
    """
    words = (
        "Whether WhatsApp accepted the message is not known: its answer did not come. Do not send it again before a "
        f"status tells: read GET /v1/messages/{message_id}."
    )
    return GraphError(SOMETHING, words, http=400, transient=False, more={"message_id": message_id})


def _from_answer(answer: MetaAnswer, account: Account, given: str) -> Reply | None:
    came = read_answer(answer.status, answer.body, written=True, cause="") if answer.status else None
    if isinstance(came, Accepted):
        return Reply(success=_as_given(answer.body, given), final=True)
    if isinstance(came, Refused) and came.code is not None:
        return Reply(error=passed_on(answer.status, answer.body, account), final=True)
    return None


def passed_on(status: int, body: bytes, account: Account) -> GraphError:
    """Return Meta's error as it came, without the token, which Meta may quote."""
    told = verbatim.readable_members(body).get("error")
    code = told.get("code") if isinstance(told, dict) else None
    code = code if isinstance(code, int) else 0
    if account.access_token:
        body = body.replace(account.access_token.encode(), "…".encode())
    http = status if status >= 400 else (CODES[code].http if code in CODES else 400)
    return GraphError(code, http=http, body=body)


def _as_given(body: bytes, given: str) -> bytes:
    """Return Meta's success with the recipient as the caller wrote it: Meta got it in our spelling."""
    told: dict[str, Any] = verbatim.readable_members(body)
    people = told.get("contacts")
    if isinstance(people, list) and people and isinstance(people[0], dict):
        people[0] = people[0] | {"input": given}
    return msgspec.json.encode(told)


def _accepted(message: Message, send: Send, given: str) -> bytes:
    """Return Meta's success as far as the row has it."""
    address = alias(send.recipient)
    person = {"input": given, "wa_id" if address.isdecimal() else "user_id": address}
    sent: dict[str, Any] = {"id": message.wamid}
    if message.content.startswith(b'{"type":"template"'):
        held = "held_for_quality_assessment"
        sent["message_status"] = held if held in message.status else "accepted"
    return msgspec.json.encode({"messaging_product": "whatsapp", "contacts": [person], "messages": [sent]})


def _failed(message: Message) -> GraphError:
    """Return Meta's error as far as the row has it."""
    errors = status_errors(message.errors) if message.errors else ()
    if not errors:
        return GraphError(SOMETHING, "Not sent.", transient=False)
    first = errors[0]
    title = scalars.name(first.message) or scalars.name(first.title) or ""
    return GraphError(
        first.code, first.details, message=title if title.startswith("(#") else f"(#{first.code}) {title}"
    )
