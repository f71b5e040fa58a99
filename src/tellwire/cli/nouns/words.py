"""What people and messages are called in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tellwire.cli.printing import on_one_line
from tellwire.journeys.excerpt import excerpt


def who(row: Mapping[str, Any]) -> str:
    """Return the name or address of the person that a message or conversation is with."""
    contact = row.get("contact") or {}
    address = contact.get("phone") or contact.get("username") or contact.get("user_id") or row.get("contact_address")
    return on_one_line(str(contact.get("name") or address or row.get("group_id") or "-"))


def says(row: Mapping[str, Any]) -> str:
    """Return the beginning of what a message says."""
    content = row.get("content") or {}
    if content.get("type") == "external":
        return "(sent by another program)"
    return on_one_line(excerpt(msgspec.json.encode(content)))


def state(row: Mapping[str, Any]) -> str:
    """Return how far a message has come: of its statuses the last one, else its state of sending."""
    if row["direction"] == "incoming":
        return "received"
    sent = str(row.get("send_state") or "")
    reached = [name for name in ("failed", "read", "delivered", "sent", "pending") if name in (row.get("status") or {})]
    return sent if sent not in {"", "accepted"} else (reached or [sent or "-"])[0]
