"""What a subscriber receives: pure encoders from an event to bytes, one module or package a format, and their table.

A new format is one module (or package) that satisfies `Format` and one row in `FORMATS`; docs/contributing/ has a page
on it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tellwire.formats import chat, cloudevents, meta, openbsp, operational, row
from tellwire.formats.schemas import Schema
from tellwire.ports.formats import Format

MEMBERS = tuple(sorted(name for name in {*Format.__annotations__, *vars(Format)} if not name.startswith("_")))
"""What every format has."""


def by_name(*formats: Format) -> Mapping[str, Format]:
    """Return the formats by their names.

    Raises:
        TypeError: a format lacks a member. Without this check, whatever first needs the member would fail unclearly.
    """
    for form in formats:
        if missing := [name for name in MEMBERS if not hasattr(form, name)]:
            lacks = f"The format {getattr(form, '__name__', '')} lacks {', '.join(missing)}"
            raise TypeError(f"{lacks}: see `Format` in src/tellwire/ports/formats.py.")
    return {form.NAME: form for form in formats}


FORMATS: Mapping[str, Format] = by_name(row, chat, meta, cloudevents, openbsp)
"""Every format by its name."""

SCHEMAS: Mapping[str, Schema] = {
    name: schema
    for form in FORMATS.values()
    for name, schema in form.SCHEMAS.items()
    if name not in operational.SCHEMAS
} | {**operational.SCHEMAS}
"""Every schema by the name that its address has; what the formats share comes last."""
