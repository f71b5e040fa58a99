"""PURE. Make the webhook bodies that the load sends as Meta, and identify and verify deliveries."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable

MARK = b"TELLWIREBENCH"
"""Part of every message id, before the message's number in 10 digits: the sink finds it in any payload format."""

_DIGITS = 10
_FIRST_PHONE = 5215500000001
_FIRST_ACCOUNT = 100_000_000_000_001
_TEXT = "Is the blue one still to be had? "


def contact_of(number: int, contacts: int) -> int:
    """Return the index of the contact that message `number` comes from: contacts take turns."""
    return number % contacts


def account_of(number: int, accounts: int = 1, first: int = 0) -> str:
    """Return the phone_number_id that message `number` is sent to: accounts take turns."""
    return str(_FIRST_ACCOUNT + first + number % accounts)


def phone_of(who: int) -> str:
    """Return the phone number of a contact."""
    return str(_FIRST_PHONE + who)


def name_of(who: int) -> str:
    """Return the name of a contact."""
    return f"Invented Person {who}"


def wamid_of(number: int, who: int) -> str:
    """Return the id of message `number`. As Meta's, it begins with the sender: new ids are spread over an index."""
    sender = base64.b64encode(f"HBg{phone_of(who)}".encode()).decode()
    return f"wamid.{sender}{MARK.decode()}{number:0{_DIGITS}d}QUJDREVG"


def text_of(pad: int) -> str:
    """Return a message's text of `pad` characters."""
    return (_TEXT * (pad // len(_TEXT) + 1))[:pad]


def body(
    numbers: Iterable[int], *, contacts: int, sent_at: int, pad: int, accounts: int = 1, first_account: int = 0
) -> bytes:
    """Return Meta's webhook for incoming text messages, about `pad` + 480 bytes each; `sent_at` in Unix seconds."""
    return _whole(
        _change(
            number,
            who=contact_of(number, contacts),
            account=account_of(number, accounts, first_account),
            sent_at=sent_at,
            pad=pad,
        )
        for number in numbers
    )


def post_of(number: int, *, who: int, account: str, sent_at: int, pad: int) -> bytes:
    """Return Meta's webhook for one message from a given contact to a given business number."""
    return _whole([_change(number, who=who, account=account, sent_at=sent_at, pad=pad)])


def _whole(changes: Iterable[dict[str, object]]) -> bytes:
    entry = {"id": "100000000000002", "changes": list(changes)}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, separators=(",", ":")).encode()


def _change(number: int, *, who: int, account: str, sent_at: int, pad: int) -> dict[str, object]:
    phone = phone_of(who)
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "525500000000", "phone_number_id": account},
        "contacts": [{"profile": {"name": name_of(who)}, "wa_id": phone}],
        "messages": [
            {
                "from": phone,
                "id": wamid_of(number, who),
                "timestamp": str(sent_at),
                "type": "text",
                "text": {"body": text_of(pad)},
            }
        ],
    }
    return {"field": "messages", "value": value}


def request(content: bytes, *, host: str, path: str, app_secret: str) -> bytes:
    """Return the HTTP/1.1 POST of `content`, signed as Meta signs (`X-Hub-Signature-256`)."""
    signature = hmac.new(app_secret.encode(), content, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nX-Hub-Signature-256: sha256={signature}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def number_in(payload: bytes) -> int | None:
    """Return the number of the message in a delivered payload; None when there is none."""
    at = payload.find(MARK)
    digits = payload[at + len(MARK) : at + len(MARK) + _DIGITS]
    return int(digits) if at >= 0 and len(digits) == _DIGITS and digits.isdigit() else None


def verifies(head: bytes, payload: bytes, secret: str) -> bool:
    """Return whether a delivery carries a valid `webhook-signature` (Standard Webhooks 1.0, `whsec_` secret)."""
    headers = dict(_header(line) for line in head.split(b"\r\n")[1:])
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join((headers.get(b"webhook-id", b""), headers.get(b"webhook-timestamp", b""), payload))
    wanted = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    return wanted in headers.get(b"webhook-signature", b"").split(b" ")


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()
