"""PURE. Locations and contact cards. Sources: Meta, "Location messages", "Contacts messages"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tellwire.meta.outgoing.shapes import Complaint, Fields, ListOf, Number, Rule, Shape, String

LOCATION = Fields(
    needs={
        "latitude": Number(-90, 90, texts=True),
        "longitude": Number(-180, 180, texts=True),
    },
    may={"name": String(least=0), "address": String(least=0), "url": String(least=0)},
    closed=True,
)

_TEXT = String(least=0)
_PARTS = ("first_name", "last_name", "middle_name", "prefix", "suffix")


def _nameless(name: Any) -> Iterator[Complaint]:
    if not any(part in name for part in _PARTS):
        yield "", f"needs one more part beside formatted_name: {', '.join(_PARTS)}"


def _texts(*names: str) -> dict[str, Shape]:
    return dict.fromkeys(names, _TEXT)


def _list_of(*names: str) -> ListOf:
    return ListOf(Fields(may=_texts(*names)), least=0)


CONTACTS = ListOf(
    Fields(
        needs={
            "name": Fields(
                needs={"formatted_name": String()},
                may=_texts(*_PARTS),
                rules=(Rule("one part of the name beside formatted_name", _nameless),),
            )
        },
        may={
            "phones": _list_of("phone", "wa_id", "type"),
            "emails": _list_of("email", "type"),
            "urls": _list_of("url", "type"),
            "addresses": _list_of("street", "city", "state", "zip", "country", "country_code", "type"),
            "org": Fields(may=_texts("company", "department", "title")),
            "birthday": String(pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}", wants="a date such as 1985-04-30"),
        },
    ),
    most=257,
)
