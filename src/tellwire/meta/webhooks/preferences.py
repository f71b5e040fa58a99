"""PURE. Which messages of a business people want no more, or want again.

Source: Meta, webhook reference "user_preferences".
"""

from __future__ import annotations

from tellwire.meta import scalars
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.change import Change, ChangeContext, context_of, each
from tellwire.meta.webhooks.identity import identify
from tellwire.meta.webhooks.items import Item, NotUnderstood, PreferenceChange

_KEY = "user_preferences"


def read(change: Change) -> list[Item]:
    """Read the preferences that a change tells."""
    value = verbatim.members(change.value) or {}
    context = context_of(change, value)
    items: list[Item] = []
    if _KEY in value:
        items += each(context, value, _KEY, f"{change.pointer}/value", _preference, kind="preference")
    return items or [context.not_understood(change.pointer, change.field, f"it has no list of {_KEY}")]


def _preference(context: ChangeContext, text: bytes, pointer: str) -> PreferenceChange | NotUnderstood:
    given, refused = verbatim.read(text)
    if refused or not isinstance(given, dict):
        return context.not_understood(pointer, "preference", refused or "it is not an object")
    category, choice = scalars.keyword(given.get("category")), scalars.keyword(given.get("value"))
    if not category or not choice:
        return context.not_understood(pointer, "preference", "it does not say what is wanted of which category")
    phone, user_id = scalars.ident(given.get("wa_id")), scalars.ident(given.get("user_id"))
    known = None not in (phone, user_id)
    person = identify(context.people, phone or "", user_id or "") if known else None
    if person is None:
        return context.not_understood(pointer, "preference", "it does not say whose it is")
    return PreferenceChange(
        place=context.at(pointer),
        who=person,
        category=category,
        choice=choice,
        value=text,
        timestamp=scalars.seconds(given.get("timestamp")),
    )
