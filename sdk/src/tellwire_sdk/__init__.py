"""Verify and parse webhooks of Tellwire, and what wakit and WappCloud send: `verify(…)`, then `parse(…)`.

No dependencies, no I/O; the only clock is the one that `verify` looks at when it is given no time.
"""

from __future__ import annotations

from tellwire_sdk.chats import ChatMessage, ChatStatus, Message, Participants, Pricing, Status
from tellwire_sdk.errors import Reason, WebhookError
from tellwire_sdk.json_text import ExactFloat
from tellwire_sdk.meta_errors import MetaError
from tellwire_sdk.operational import OperationalEvent
from tellwire_sdk.parsing import Payload, parse
from tellwire_sdk.rows import ConversationRow, MessageRow, RowEvent, RowEvents
from tellwire_sdk.signing import hub_signature, make_secret, secret_key, sign, wappcloud_signature, whsec_form
from tellwire_sdk.verifying import Headers, verify, verify_token

__version__ = "0.1.0"

__all__ = [
    "ChatMessage",
    "ChatStatus",
    "ConversationRow",
    "ExactFloat",
    "Headers",
    "Message",
    "MessageRow",
    "MetaError",
    "OperationalEvent",
    "Participants",
    "Payload",
    "Pricing",
    "Reason",
    "RowEvent",
    "RowEvents",
    "Status",
    "WebhookError",
    "hub_signature",
    "make_secret",
    "parse",
    "secret_key",
    "sign",
    "verify",
    "verify_token",
    "wappcloud_signature",
    "whsec_form",
]
