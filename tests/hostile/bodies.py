"""Bodies of 4 MiB, the largest that a POST may have, or of a quarter, made to cost as much as a body can, by name."""

from __future__ import annotations

from collections.abc import Callable

NUMBER = "106540352242922"
WABA = "102290129340398"
LARGEST = 4 * 1024 * 1024
A_QUARTER = LARGEST // 4
"""The size where the work is the store's: it works on some hundred items at a time, so more hold nobody up longer."""
_OPENING = (
    b'{"object":"whatsapp_business_account","entry":[{"id":"%b","changes":[{"field":"%b","value":{'
    b'"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550001111","phone_number_id":"%b"},'
)
_CLOSING = b"}}]}]}"
_MESSAGE = b'{"from":"15551230001","id":"wamid.one","timestamp":"1700000000","type":"text","text":{"body":"hello"}}'
_TEXT = b'"messages":[{"from":"15551230001","id":"wamid.two","timestamp":"1700000000","type":"text","text":{"body":'


def envelope(inside: bytes, *, field: bytes = b"messages") -> bytes:
    """A POST with this inside its one change's value."""
    return _OPENING % (WABA.encode(), field, NUMBER.encode()) + inside + _CLOSING


def _repeated(opening: bytes, unit: bytes, last: bytes, closing: bytes, *, size: int = LARGEST) -> bytes:
    count = max(0, size - len(opening) - len(last) - len(closing)) // len(unit)
    return opening + unit * count + last + closing


def _inside(
    opening: bytes, unit: bytes, last: bytes, closing: bytes, *, field: bytes = b"messages", size: int = LARGEST
) -> bytes:
    head, _, tail = envelope(b"\0", field=field).partition(b"\0")
    return _repeated(head + opening, unit, last, closing + tail, size=size)


def _numbered(opening: bytes, unit: Callable[[int], bytes], closing: bytes, *, size: int = LARGEST) -> bytes:
    head, _, tail = envelope(b"\0").partition(b"\0")
    left, pieces, number = size - len(head) - len(tail) - len(opening) - len(closing), list[bytes](), 0
    while left > 0:
        pieces.append(unit(number))
        left -= len(pieces[-1]) + 1
        number += 1
    return head + opening + b",".join(pieces[:-1]) + closing + tail


def _distinct(number: int) -> bytes:
    return b'{"from":"1555%07d","id":"wamid.%d","timestamp":"1700000000","type":"text","text":{"body":"x"}}' % (
        number,
        number,
    )


SHAPES: dict[str, Callable[[], bytes]] = {
    "zeros for messages": lambda: _inside(b'"messages":[', b"0,", b"0", b"]"),
    "objects for messages": lambda: _inside(b'"messages":[', b"{},", b"{}", b"]"),
    "arrays for messages": lambda: _inside(b'"messages":[', b"[],", b"[]", b"]"),
    "a message, then zeros": lambda: _inside(b'"messages":[' + _MESSAGE + b",", b"0,", b"0", b"]"),
    "the same message again and again": lambda: _inside(
        b'"messages":[', _MESSAGE + b",", _MESSAGE, b"]", size=A_QUARTER
    ),
    "messages of many people": lambda: _numbered(b'"messages":[', _distinct, b"]", size=A_QUARTER),
    "reactions to one message": lambda: _numbered(
        b'"messages":[',
        lambda n: (
            b'{"from":"1","id":"wamid.%d","type":"reaction","reaction":{"message_id":"wamid.one","emoji":"x"}}' % n
        ),
        b"]",
        size=A_QUARTER,
    ),
    "revokes of one message": lambda: _numbered(
        b'"messages":[',
        lambda n: (
            b'{"from":"1","id":"wamid.r%d","type":"revoke","revoke":{"original_message_id":"wamid.not.come"}}' % n
        ),
        b"]",
        size=A_QUARTER,
    ),
    "zeros for statuses": lambda: _inside(b'"statuses":[', b"0,", b"0", b"]"),
    "statuses of one message": lambda: _numbered(
        b'"statuses":[',
        lambda n: b'{"id":"wamid.one","status":"s%d","timestamp":"1700000000","recipient_id":"15551230001"}' % n,
        b"]",
        size=A_QUARTER,
    ),
    "statuses of many messages": lambda: _numbered(
        b'"statuses":[',
        lambda n: b'{"id":"wamid.%d","status":"sent","recipient_id":"1555%07d"}' % (n, n),
        b"]",
        size=A_QUARTER,
    ),
    "errors": lambda: _inside(b'"errors":[', b'{"code":1},', b'{"code":1}', b"]"),
    "contacts": lambda: _inside(b'"messages":[' + _MESSAGE + b'],"contacts":[', b"{},", b"{}", b"]"),
    "contacts with numbers": lambda: _numbered(
        b'"messages":[' + _MESSAGE + b'],"contacts":[',
        lambda n: b'{"wa_id":"1555%07d","profile":{"name":"x"}}' % n,
        b"]",
    ),
    "history": lambda: _inside(b'"history":[', b'{"threads":[{"id":"1"}]},', b"{}", b"]", field=b"history"),
    "history of one thread": lambda: _inside(
        b'"history":[{"threads":[{"id":"15551230001","messages":[',
        _MESSAGE + b",",
        _MESSAGE,
        b"]}]}]",
        field=b"history",
        size=A_QUARTER,
    ),
    "numbers that changed": lambda: _inside(b'"user_id_update":[', b"{},", b"{}", b"]", field=b"user_id_update"),
    "calls": lambda: _inside(b'"calls":[', b"{},", b"{}", b"]", field=b"calls"),
    "a notice of a template": lambda: _inside(
        b'"event":[', b"{},", b"{}", b"]", field=b"message_template_status_update"
    ),
    "entries": lambda: _repeated(b'{"object":"whatsapp_business_account","entry":[', b"{},", b"{}", b"]}"),
    "entries without changes": lambda: _repeated(
        b'{"object":"whatsapp_business_account","entry":[', b'{"id":"1","changes":[]},', b'{"id":"1"}', b"]}"
    ),
    "changes": lambda: _repeated(
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[', b"{},", b"{}", b"]}]}"
    ),
    "keys of a value": lambda: _numbered(b"", lambda n: b'"k%d":0' % n, b""),
    "one key of a value, again and again": lambda: _inside(b"", b'"a":0,', b'"a":0', b""),
    "keys of a message": lambda: _numbered(
        b'"messages":[{"from":"1","id":"wamid.k","type":"text",', lambda n: b'"k%d":0' % n, b"}]"
    ),
    "floats": lambda: _inside(_TEXT + b"[", b"1.7976931348623157e308,", b"0", b"]}}]"),
    "one long number": lambda: _inside(_TEXT, b"1", b"", b"}}]"),
    "escapes": lambda: _inside(_TEXT + b'"', b"\\u00e9", b"", b'"}}]'),
    "NULs": lambda: _inside(_TEXT + b'"', b"\\u0000", b"", b'"}}]'),
    "halves of surrogate pairs": lambda: _inside(_TEXT + b'"', b"\\ud800", b"", b'"}}]'),
    "such halves for messages": lambda: _inside(b'"messages":[', b'"\\ud800",', b"0", b"]"),
    "such halves for keys": lambda: _inside(b"", b'"\\ud800":0,', b'"a":0', b""),
    "quotation marks": lambda: _inside(_TEXT + b'"', b'\\"', b"", b'"}}]'),
    "what is not UTF-8": lambda: _inside(_TEXT + b'"', b"\xff", b"", b'"}}]'),
    "a deep text": lambda: envelope(_TEXT + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}}]"),
    "a deep message": lambda: envelope(b'"messages":[' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"]"),
    "brackets that open": lambda: b"[" * LARGEST,
    "brackets that open and close": lambda: b"[" * (LARGEST // 2) + b"]" * (LARGEST // 2),
    "objects within objects": lambda: b'[{"a":' * (LARGEST // 12) + b"0" + b"}]" * (LARGEST // 12),
    "empty objects": lambda: b"{}" * (LARGEST // 2),
    "zeros": lambda: b"0," * (LARGEST // 2),
    "an array of zeros": lambda: _repeated(b"[", b"0,", b"0", b"]"),
    "spaces": lambda: b" " * (LARGEST - 2) + b"{}",
    "bytes that are zero": lambda: b"\0" * LARGEST,
    "a text without an end": lambda: b'"' + b"x" * (LARGEST - 1),
}
