"""One content of every message type of Meta's, as rows keep it; people and numbers are invented.

Source: docs/reference/formats.md, "Content".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FILE = {"sha256": "b3JhbmdlcyBhcmUgbm90IHRoZSBvbmx5IGZydWl0cyE=", "id": "1479537139650973"}
_REPLY = {"from": "5215550000000", "id": "wamid.EXAMPLE0000000000000000"}

CONTENTS: Mapping[str, dict[str, Any]] = {
    "text": {"type": "text", "text": {"body": "Hello! ¿Qué tal? 👋"}},
    "text_reply": {"type": "text", "text": {"body": "This one"}, "context": _REPLY},
    "text_from_ad": {
        "type": "text",
        "text": {"body": "I saw your ad"},
        "referral": {
            "source_url": "https://example.com/ad",
            "source_id": "120210000000000000",
            "source_type": "ad",
            "headline": "Oranges",
            "body": "Fresh ones",
            "media_type": "image",
            "ctwa_clid": "EXAMPLECLID",
        },
    },
    "image": {"type": "image", "image": {"caption": "Lunch", "mime_type": "image/jpeg", **_FILE}},
    "video": {"type": "video", "video": {"mime_type": "video/mp4", **_FILE}},
    "audio": {"type": "audio", "audio": {"mime_type": "audio/ogg; codecs=opus", **_FILE, "voice": True}},
    "document": {
        "type": "document",
        "document": {"filename": "invoice.pdf", "mime_type": "application/pdf", **_FILE},
    },
    "sticker": {"type": "sticker", "sticker": {"mime_type": "image/webp", **_FILE, "animated": False}},
    "location": {
        "type": "location",
        "location": {"latitude": 19.4326, "longitude": -99.1332, "name": "Zócalo", "address": "Centro"},
    },
    "contacts": {
        "type": "contacts",
        "contacts": [
            {
                "name": {"formatted_name": "Maria Example", "first_name": "Maria"},
                "phones": [{"phone": "+52 1 555 000 0009", "wa_id": "5215550000009", "type": "CELL"}],
            }
        ],
    },
    "interactive_button_reply": {
        "type": "interactive",
        "interactive": {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}},
        "context": _REPLY,
    },
    "interactive_list_reply": {
        "type": "interactive",
        "interactive": {
            "type": "list_reply",
            "list_reply": {"id": "slot-2", "title": "Tuesday", "description": "10 to 12"},
        },
        "context": _REPLY,
    },
    "interactive_nfm_reply": {
        "type": "interactive",
        "interactive": {
            "type": "nfm_reply",
            "nfm_reply": {"name": "flow", "body": "Sent", "response_json": '{"flow_token":"t","size":"m"}'},
        },
        "context": _REPLY,
    },
    "interactive_call_permission_reply": {
        "type": "interactive",
        "interactive": {
            "type": "call_permission_reply",
            "call_permission_reply": {
                "response": "accept",
                "expiration_timestamp": 1778643563,
                "response_source": "user_action",
            },
        },
    },
    "button": {"type": "button", "button": {"payload": "STOP", "text": "Stop"}, "context": _REPLY},
    "reaction": {"type": "reaction", "reaction": {"message_id": _REPLY["id"], "emoji": "👍"}},
    "reaction_removed": {"type": "reaction", "reaction": {"message_id": _REPLY["id"]}},
    "order": {
        "type": "order",
        "order": {
            "catalog_id": "800000000000001",
            "text": "Please before noon",
            "product_items": [
                {"product_retailer_id": "orange-1kg", "quantity": 2, "item_price": 35.5, "currency": "MXN"}
            ],
        },
    },
    "system": {
        "type": "system",
        "system": {
            "body": "User Ana changed from 5215550000001 to 5215550000002",
            "wa_id": "5215550000002",
            "type": "user_changed_number",
        },
    },
    "unsupported": {
        "type": "unsupported",
        "errors": [
            {
                "code": 131051,
                "title": "Message type unknown",
                "message": "Message type unknown",
                "error_data": {"details": "Message type is currently not supported."},
            }
        ],
        "unsupported": {"type": "poll"},
    },
    "unknown": {"type": "unknown", "errors": [{"code": 501, "title": "Unknown message type"}]},
    "request_welcome": {"type": "request_welcome"},
    "edit": {
        "type": "edit",
        "edit": {"original_message_id": _REPLY["id"], "message": {"type": "text", "text": {"body": "Hello again"}}},
    },
    "revoke": {"type": "revoke", "revoke": {"original_message_id": _REPLY["id"]}},
}

VERBATIM = (
    b'{"type":"location","location":{"latitude":19.430,"longitude":-9.9e1, "elevation" : 1e999,'
    b'"plus":123456789012345678901234567890,"minus":-0,"name":"\\u00c1ngel \\ud83c\\udf4a\\/"}}'
)
"""Numbers, escapes and blanks that a decoder and an encoder would change."""

OWN_KEYS = b'{"type":"text","text":{"body":"Hi"},"conversation_id":"theirs","timestamp":1,"future":{"from":"Meta"}}'
"""A message with keys that the chat format has for itself."""

META_ORDER = b'{"context":{"forwarded":true},"text":{"body":"Hi"},"type":"text"}'
"""The type does not come first."""
