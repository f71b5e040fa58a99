"""The `webhooks` section of the OpenAPI 3.1 document: one entry for every kind of body that we send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tellwire.formats import FORMATS, SCHEMAS

_HEADERS: Mapping[str, str] = {
    "webhook-id": "The same over retries and replays: what to deduplicate by.",
    "webhook-timestamp": "Unix seconds of this attempt.",
    "webhook-signature": "`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`, one for each live secret.",
    "tellwire-event": "The event's name, such as `messages.insert`.",
}


def webhooks() -> dict[str, Any]:
    """Path items by schema name, each with the signed headers, the body's schema and what to answer."""
    content_types = {name: form.CONTENT_TYPE for form in FORMATS.values() for name in form.SCHEMAS}
    return {name: {"post": _operation(name, schema, content_types[name])} for name, schema in SCHEMAS.items()}


def _operation(name: str, schema: Mapping[str, Any], content_type: str) -> dict[str, Any]:
    return {
        "operationId": f"receive-{name}",
        "summary": schema["title"],
        "description": schema["description"],
        "parameters": [
            {"name": header, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for header, text in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {content_type: {"schema": schema}}},
        "responses": {
            "2XX": {"description": "Taken: not sent again."},
            "410": {"description": "Gone: the endpoint is disabled."},
            "default": {"description": "Not taken: sent again by the endpoint's schedule."},
        },
    }
