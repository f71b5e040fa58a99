"""Meta's side: the webhook bodies that the load sends, and how a delivery is told apart and verified. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

MARK = b"wamid.TELLWIREBENCH"
"""Every message id starts so, followed by its number in 10 digits: the sink finds it in any payload format."""

_DIGITS = 10
_FIRST_PHONE = 5215500000001


def contact_of(number: int, contacts: int) -> int:
    """The contact that message `number` comes from: contacts take turns."""
    return number % contacts


def body(number: int, *, contacts: int, sent_at: int, pad: int) -> bytes:
    """Meta's webhook for one incoming text message, about `pad` + 480 bytes; `sent_at` in Unix seconds."""
    who = contact_of(number, contacts)
    phone = str(_FIRST_PHONE + who)
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "525500000000", "phone_number_id": "100000000000001"},
        "contacts": [{"profile": {"name": f"Invented Person {who}"}, "wa_id": phone}],
        "messages": [
            {
                "from": phone,
                "id": f"{MARK.decode()}{number:0{_DIGITS}d}QUJDREVGR0hJSktMTU5PUA==",
                "timestamp": str(sent_at),
                "type": "text",
                "text": {"body": ("Is the blue one still to be had? " * (pad // 33 + 1))[:pad]},
            }
        ],
    }
    change = {"field": "messages", "value": value}
    whole = {"object": "whatsapp_business_account", "entry": [{"id": "100000000000002", "changes": [change]}]}
    return json.dumps(whole, separators=(",", ":")).encode()


def request(content: bytes, *, host: str, path: str, app_secret: str) -> bytes:
    """The HTTP/1.1 POST of `content`, signed as Meta signs (`X-Hub-Signature-256`)."""
    signature = hmac.new(app_secret.encode(), content, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nX-Hub-Signature-256: sha256={signature}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def number_in(payload: bytes) -> int | None:
    """The number of the message that a delivered payload speaks of; None when it speaks of none."""
    at = payload.find(MARK)
    digits = payload[at + len(MARK) : at + len(MARK) + _DIGITS]
    return int(digits) if at >= 0 and len(digits) == _DIGITS and digits.isdigit() else None


def verifies(head: bytes, payload: bytes, secret: str) -> bool:
    """Whether a delivery carries a valid `webhook-signature` (Standard Webhooks 1.0, `whsec_` secret)."""
    headers = dict(_header(line) for line in head.split(b"\r\n")[1:])
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join((headers.get(b"webhook-id", b""), headers.get(b"webhook-timestamp", b""), payload))
    wanted = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    return wanted in headers.get(b"webhook-signature", b"").split(b" ")


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()
