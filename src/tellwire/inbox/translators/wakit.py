"""PURE. wakit's rows, `{data, entity, action}`, in the documented shape (our format `row`) and in that of its server.

A row of `messages` becomes the message, or for an outgoing one its echo and its statuses. The server's rows differ:
`external_id` for `wa_id`, `contact_address`, `group_address`, and `content.text` as a plain string.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.json import encode

from tellwire.inbox.translators.envelope import (
    Members,
    Parts,
    Person,
    Translated,
    envelope,
    made_id,
    not_understood,
    recorded,
    written,
)
from tellwire.meta import scalars
from tellwire.meta.raw_json import verbatim
from tellwire.model.sources import Source
from tellwire_sdk.times import rfc3339_time

_OURS = frozenset({"pending", "accepted", "cancelled", "edited", "deleted", "errors", "preparing", "prepared"})
"""Names in `status` that Meta does not tell of a message that went out."""
_ON_ITS_WAY = frozenset({"sent", "delivered", "read", "played"})
_UNKNOWN_CONTENT = b'"external"'
"""The type of a row that is known by its statuses only; such a row of wakit's server has no type."""
_NO_CONTENT = frozenset({"id", "from", "timestamp", "version", "kind"})


class _Row(Struct, frozen=True):
    """A row of `messages` that WhatsApp knows: its values, their texts, its content and its contact."""

    wamid: str
    data: Mapping[str, Any]
    columns: Members
    content: Members
    person: Person


def translate(body: bytes, source: Source) -> Translated:
    """Return what a row tells, as Meta would have told it."""
    event, raw = verbatim.readable_members(body), verbatim.members(body) or {}
    entity = scalars.keyword(event.get("entity"))
    if entity == "conversations":
        return recorded(body, "conversation", "conversations follow from their messages")
    data = verbatim.readable_members(raw["data"]) if "data" in raw else {}
    columns = verbatim.members(raw["data"]) if "data" in raw else None
    if entity != "messages" or columns is None:
        return not_understood(body, entity or "post", "it is no row of messages or conversations")
    direction, content = data.get("direction"), _content(columns)
    person = _person(data)
    if direction == "internal":
        return recorded(body, "message", "an internal row, which WhatsApp knows nothing of")
    if direction not in ("incoming", "outgoing") or content is None:
        return not_understood(body, "message", "it has no direction and content; let wakit send whole rows")
    if person is None:
        return not_understood(body, "message", "it does not say with whom: no from, to, contact_address or contact")
    wamid = _text(data, "wa_id", "external_id")
    number = _text(data, "organization_address") or source.phone_number_id
    if not number:
        return not_understood(body, "message", "it names no number: give the source the account that it is of")
    if direction == "incoming":
        wamid = wamid or made_id(source, _text(data, "id"))
        return envelope(_incoming(_Row(wamid, data, columns, content, person), number))
    if not wamid:
        return recorded(body, "message", "Meta has not accepted it (yet)")
    parts = _outgoing(_Row(wamid, data, columns, content, person), number)
    return envelope(parts) if parts.statuses else recorded(body, "message", "it has no status of Meta's (yet)")


def _incoming(row: _Row, number: str) -> Parts:
    head = {"id": encode(row.wamid), "timestamp": _time(row.data)}
    message = {**row.person.sender, **head, **row.content}
    if group := _text(row.data, "group_address"):
        message["group_id"] = encode(group)
    return Parts(number=number, people=[row.person], messages=[written(message)])


def _outgoing(row: _Row, number: str) -> Parts:
    reached = _statuses(row.data)
    group = _text(row.data, "group_address")
    to: Members = {"recipient_id": encode(group), "recipient_type": b'"group"'} if group else {}
    to = to or row.person.recipient
    statuses = [_status(row, name, at, to) for name, at in reached]
    if statuses and (pricing := row.columns.get("pricing")) is not None:
        statuses[-1]["pricing"] = pricing  # the row does not say which status it came with
    echoes = []
    if row.content.get("type", _UNKNOWN_CONTENT) != _UNKNOWN_CONTENT and any(
        name in _ON_ITS_WAY for name, _ in reached
    ):
        address: Members = {"group_id": encode(group)} if group else {}  # the contact's card says to whom it went
        head = {"id": encode(row.wamid), "timestamp": _time(row.data)}
        echoes.append(written({**head, **row.content, **address}))
    return Parts(number=number, people=[row.person], echoes=echoes, statuses=list(map(written, statuses)))


def _status(row: _Row, name: str, at: int, to: Members) -> dict[str, bytes]:
    status = {"id": encode(row.wamid), "status": encode(name), "timestamp": encode(str(at)), **to}
    errors = (verbatim.members(row.columns["status"]) or {}).get("errors") if name == "failed" else None
    return status if errors is None else {**status, "errors": _unwrapped(errors)}


def _unwrapped(errors: bytes) -> bytes:
    """Return errors without the `error` that wakit's server wraps each one in."""
    found = [(verbatim.members(each) or {}).get("error", each) for each in verbatim.elements(errors) or ()]
    return b"[" + b",".join(map(bytes, found)) + b"]"


def _statuses(data: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the statuses that Meta tells, with their times in seconds, the oldest first."""
    known = data.get("status")
    found = known.items() if isinstance(known, dict) else ()
    times = [(name, _seconds(at)) for name, at in found if name not in _OURS]
    return sorted(((name, at) for name, at in times if at is not None), key=lambda each: each[1])


def _content(columns: Members) -> Members | None:
    """Return the members of a message that its row keeps under `content`; None when there are none."""
    members = verbatim.members(columns["content"]) if "content" in columns else None
    if members is None:
        return None
    found = {key: bytes(value) for key, value in members.items() if key not in _NO_CONTENT}
    if found.get("text", b"").startswith(b'"'):  # the server writes the text itself
        found["text"] = b'{"body":' + found["text"] + b"}"
        found["type"] = b'"text"'
    return found


def _person(data: Mapping[str, Any]) -> Person | None:
    given = data.get("contact")
    card: Mapping[str, Any] = given if isinstance(given, dict) else {}
    side = "from" if data.get("direction") == "incoming" else "to"
    address = _text(data, side, "contact_address") or _text(card, "phone", "user_id")
    address = address or _text(data, "group_address")
    if not address:
        return None
    return Person(address, *(_text(card, name) for name in ("name", "username", "phone", "user_id")))


def _text(holder: Mapping[str, Any], *names: str) -> str:
    """Return the first text under one of these names, "" for none."""
    return next((found for name in names if (found := scalars.ident(holder.get(name), scalars.WAMID_LIMIT))), "")


def _time(data: Mapping[str, Any]) -> bytes:
    at = _seconds(data.get("timestamp")) or _seconds(data.get("created_at"))
    return encode(str(at or ""))


def _seconds(value: object) -> int | None:
    moment: datetime | None = rfc3339_time(value)
    return None if moment is None else int(moment.timestamp())
