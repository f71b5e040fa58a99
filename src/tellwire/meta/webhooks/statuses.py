"""PURE. Statuses of messages that went out, and of what was paid for them.

Source: Meta, webhook reference "messages", status object; docs/reference/formats.md, "Who", "Groups" and "Payments".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tellwire.meta import scalars
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.change import ChangeContext, addresses, object_and_wamid
from tellwire.meta.webhooks.identity import identify, is_group
from tellwire.meta.webhooks.items import NotUnderstood, StatusUpdate

_ADDRESSES = ("recipient_id", "recipient_user_id", "recipient_participant_id", "recipient_participant_user_id")
_RESERVED = frozenset({"errors"})
"""Names that have another meaning where statuses are shown."""


def parse(context: ChangeContext, text: bytes, pointer: str) -> StatusUpdate | NotUnderstood:
    """Understand one status: a JSON text that stands at `pointer`."""
    reading = object_and_wamid(context, text, pointer, "status")
    if isinstance(reading, NotUnderstood):
        return reading
    status, wamid = reading
    name = scalars.keyword(status.get("status"))
    if not name or name in _RESERVED:
        wrong = f"{name!r} cannot be the name of a status" if name else "it has no status"
        return context.not_understood(pointer, "status", wrong, wamid)
    ids, wrong = addresses(status, _ADDRESSES)
    if wrong:
        return context.not_understood(pointer, "status", wrong, wamid)
    recipient, user_id, phone = ids["recipient_id"], ids["recipient_user_id"], ids["recipient_id"]
    grouped = status.get("recipient_type") == "group" or is_group(recipient)
    if grouped:
        phone, user_id = ids["recipient_participant_id"], ids["recipient_participant_user_id"]
    raw = verbatim.members(text) or {}
    paid = status.get("type") == "payment"
    if paid and not (phone or user_id or grouped):
        phone = scalars.ident(status.get("from")) or ""  # the payer, who was the message's recipient
    # A group without its id: the wamid finds the message, and nobody is taken for the recipient.
    person = None if grouped and not recipient else identify(context.people, phone, user_id)
    return StatusUpdate(
        place=context.at(pointer),
        wamid=wamid,
        name=name,
        who=person,
        timestamp=scalars.seconds(status.get("timestamp")),
        group_id=recipient if grouped else "",
        participant=(phone or user_id) if grouped else "",
        pricing=bytes(raw["pricing"]) if isinstance(status.get("pricing"), dict) else b"",
        errors=bytes(raw["errors"]) if status.get("errors") else b"",
        payment=_payment(status, raw) if paid else b"",
        callback_data=scalars.ident(status.get("biz_opaque_callback_data"), scalars.WAMID_LIMIT) or "",
    )


def _payment(status: Mapping[str, Any], raw: Mapping[str, bytes]) -> bytes:
    return bytes(raw["payment"]) if isinstance(status.get("payment"), dict) else b"{}"
