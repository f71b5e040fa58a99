"""PURE. A POST of Meta's without some of its items, as it is sent on: nothing stands in their places."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from tellwire.meta.webhooks import redaction, units
from tellwire.meta.webhooks.items import Item


def without(
    body: bytes, gone: Sequence[Item], kept: Sequence[Item], sought: Collection[str] = ()
) -> tuple[bytes, Mapping[str, str]]:
    """Return a POST without some items, and without the changes and entries in which none is kept; byte for byte when
    that is all of it.

    Args:
        gone, kept, sought: as in `redaction.cut`.

    Returns: the POST, and the pointers of its changes by those that they had.
    """
    moved = units.renumbered({units.change_of(item.place.pointer) for item in kept} - {""})
    left = units.only(body, moved)
    cut = [at(item, moved) for item in gone if units.change_of(item.place.pointer) in moved]
    if cut:
        left = redaction.cut(left, cut, [at(item, moved) for item in kept], sought, drop=True)
    return left, moved


def at(item: Item, moved: Mapping[str, str]) -> Item:
    """Return an item at the new place of its change."""
    change = units.change_of(item.place.pointer)
    place = replace(item.place, pointer=moved[change] + item.place.pointer.removeprefix(change))
    return replace(item, place=place)
