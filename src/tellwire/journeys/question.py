"""PURE. What somebody may mean who asks what became of something: a number, a name, an id, words of a message."""

from __future__ import annotations

import re

from msgspec import Struct

from tellwire.model.id_form import looks_like_id
from tellwire.model.units import Micros

_PHONE = re.compile(r"\+?[0-9][0-9\s().\-/\u00a0]*")
_REQUEST = re.compile(r"req_[0-9a-f]{32}")
_LEAST_DIGITS, _MOST_DIGITS = 5, 24
_LEAST_TEXT = 2


class Question(Struct, frozen=True, kw_only=True):
    """A question, read as everything that it may be; "" is what it cannot be.

    `ours`: an id of ours; `digits`: those of a phone number, or of an id of Meta's; `webhook_id`; `wamid`: Meta's id of
    a message; `request_id`: of a request to send, the caller's own too; `words`: a name, or text of a message.
    """

    text: str
    ours: str = ""
    digits: str = ""
    webhook_id: str = ""
    wamid: str = ""
    request_id: str = ""
    words: str = ""

    @property
    def looked_for(self) -> list[str]:
        """What is looked for, in words."""
        named = (
            (self.ours, "one of our ids"),
            (self.webhook_id, "a webhook-id"),
            (self.request_id, "a request id"),
            (self.wamid, "Meta's id of a message"),
            (self.digits, "a phone number, or an id of Meta's"),
            (self.words, "a name"),
            (self.words, "text of a message"),
        )
        return [words for value, words in named if value]


class Hit(Struct, frozen=True, kw_only=True):
    """Something that was found. `message_id`: of the one message that it leads to, "" for none or several."""

    kind: str
    id: str
    title: str
    at: Micros = 0
    message_id: str = ""
    conversation_id: str = ""


def asked(text: str) -> Question:
    """Read a question; white space around it and within it is trimmed to single blanks."""
    text = " ".join(text.split())
    low = text.lower()
    if looks_like_id(low):
        return Question(text=text, ours=low, wamid=text, request_id=text)
    if low.startswith("msg_"):
        return Question(text=text, webhook_id=low)
    if _REQUEST.fullmatch(low):
        return Question(text=text, request_id=low)
    if low.startswith("wamid."):
        return Question(text=text, wamid=text)
    digits = "".join(filter(str.isascii, filter(str.isdigit, text))) if _PHONE.fullmatch(text) else ""
    digits = digits if _LEAST_DIGITS <= len(digits) <= _MOST_DIGITS else ""
    return Question(
        text=text,
        digits=digits,
        webhook_id=text if " " not in text else "",  # a receiver may have been sent one of its own
        wamid=text if " " not in text else "",
        request_id=text if " " not in text and not digits else "",
        words=text if len(text) >= _LEAST_TEXT else "",
    )
