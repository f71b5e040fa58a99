"""A short form of an attempt's headers: a letter for a known name, and no value where the attempt implies it.

In full, headers took two thirds of an attempt's row, and attempts are most of what a delivery writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

from tellwire.model.units import Micros

Headers = tuple[tuple[str, str], ...]

_NAMES = (
    "content-type",
    "user-agent",
    "webhook-id",
    "tellwire-event",
    "tellwire-attempt",
    "tellwire-message-id",
    "tellwire-conversation-id",
    "tellwire-sequence",
    "tellwire-replay",
    "webhook-timestamp",
    "webhook-signature",
    "X-Hub-Signature-256",
    "X-Wappcloud-Signature",
    "Authorization",
    "content-length",
    "date",
    "server",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "cache-control",
    "vary",
    "via",
    "location",
    "retry-after",
    "set-cookie",
)
"""Names may only be appended: rows hold the letters."""
_LETTERS = dict(zip(_NAMES, ascii_lowercase, strict=True))
_OTHER = "="


def _implied_values(delivery_id: str, number: int, started_at: Micros) -> dict[str, str]:
    """Return, by letter, the values that follow from the attempt itself."""
    return {
        "a": "application/json",
        "c": f"msg_{delivery_id.replace('-', '')}",
        "e": str(number),
        "j": str(started_at // 1_000_000),
    }


def shorten(headers: Headers, *, delivery_id: str, number: int, started_at: Micros) -> list[str]:
    """Shorten each header: a letter and the value, a capital letter alone for an implied value, else `=name:value`."""
    implied = _implied_values(delivery_id, number, started_at)
    short: list[str] = []
    for name, value in headers:
        letter = _LETTERS.get(name)
        if letter is None:
            short.append(f"{_OTHER}{name}:{value}")
        elif implied.get(letter) == value:
            short.append(letter.upper())
        else:
            short.append(letter + value)
    return short


def restore(short: Sequence[str], *, delivery_id: str, number: int, started_at: Micros) -> Headers:
    """Return the headers that `shorten` was given."""
    implied = _implied_values(delivery_id, number, started_at)
    headers: list[tuple[str, str]] = []
    for text in short:
        letter, value = text[:1], text[1:]
        if letter == _OTHER:
            name, _, value = value.partition(":")
        else:
            name = _NAMES[ascii_lowercase.index(letter.lower())]
            if letter.isupper():
                value = implied[letter.lower()]
        headers.append((name, value))
    return tuple(headers)
