"""Parts of the JSON Schemas (2020-12) of bodies that subscribers receive: what more than one format shows.

Unknown keys are allowed everywhere: Meta adds some, and so may we.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

ID: Schema = {"type": "string", "minLength": 1, "description": "An opaque id."}
TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00$",
    "description": "RFC 3339 in UTC; a fraction only when it is not zero.",
}

ERRORS: Schema = {
    "type": "array",
    "description": "Why it failed.",
    "items": {
        "type": "object",
        "required": ["code", "title", "message", "error_data"],
        "properties": {
            "code": {"type": "integer", "description": "Meta's error code, or one of ours (990000 to 990999)."},
            "title": {"type": "string"},
            "message": {"type": "string"},
            "error_data": {
                "type": "object",
                "required": ["details"],
                "properties": {"details": {"type": "string"}},
            },
        },
    },
}


def document(name: str, title: str, description: str, body: Schema) -> Schema:
    """A schema that `/schemas/<name>.json` serves; `body` is what it says of an object."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/schemas/{name}.json",
        "title": title,
        "description": description,
        "type": "object",
        **body,
    }
