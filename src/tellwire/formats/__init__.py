"""What a subscriber receives: pure encoders from an event to bytes, one module or package a format, and their table.

A new format is one module (or package) that satisfies `Format` and one row in `FORMATS`; docs/contributing/ has a page
on it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tellwire.formats import chat, operational, row
from tellwire.formats.schemas import Schema
from tellwire.ports.formats import Format

FORMATS: Mapping[str, Format] = {row.NAME: row, chat.NAME: chat}
"""Every format by its name."""

SCHEMAS: Mapping[str, Schema] = {
    name: schema
    for form in FORMATS.values()
    for name, schema in form.SCHEMAS.items()
    if name not in operational.SCHEMAS
} | {**operational.SCHEMAS}
"""Every schema by the name that its address has; what the formats share comes last."""
