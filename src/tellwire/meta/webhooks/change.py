"""PURE. What all items of one change share: the account, the field, the people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from tellwire.meta import scalars
from tellwire.meta.phone_numbers import same_address
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.identity import People, read_people
from tellwire.meta.webhooks.items import Item, NotUnderstood, Place
from tellwire.model.units import Seconds


class Change(Struct, frozen=True, gc=False):
    """One element of `entry[].changes[]`; `value` is JSON, verbatim; `at` the time of its entry, where it has one."""

    pointer: str
    waba_id: str
    field: str
    value: bytes
    at: Seconds | None = None


class ChangeContext(Struct, frozen=True, gc=False):
    """What the items of a change share. `fault`: why none of them can be attributed to an account, "" when they can."""

    field: str
    waba_id: str
    phone_number_id: str
    display_phone_number: str
    people: People
    fault: str = ""

    def at(self, pointer: str) -> Place:
        """Return the place of one item."""
        return Place(pointer, self.field, self.waba_id, self.phone_number_id, self.display_phone_number)

    def not_understood(self, pointer: str, kind: str, reason: str, wamid: str = "") -> NotUnderstood:
        """Return the item for a text that is not understood."""
        return NotUnderstood(place=self.at(pointer), kind=kind, reason=reason, wamid=wamid)

    def is_business(self, address: str) -> bool:
        """Return whether an address is the account's own phone number."""
        return bool(address and self.display_phone_number) and same_address(address, self.display_phone_number)


def object_and_wamid(
    context: ChangeContext, text: bytes, pointer: str, kind: str
) -> tuple[dict[str, Any], str] | NotUnderstood:
    """Read a message or a status as far as both are alike: the object and its wamid."""
    item, refused = verbatim.read(text)
    if refused:
        wamid = scalars.ident(verbatim.readable_members(text).get("id"), scalars.WAMID_LIMIT)
        return context.not_understood(pointer, kind, refused, wamid or "")
    if not isinstance(item, dict):
        return context.not_understood(pointer, kind, "it is not an object")
    wamid = scalars.ident(item.get("id"), scalars.WAMID_LIMIT)
    if not wamid:
        return context.not_understood(pointer, kind, "its id cannot serve as one" if wamid is None else "it has no id")
    if kind == "status" and wamid.startswith("wacid."):  # a message with such an id is a voicemail
        return context.not_understood(pointer, kind, "its id is a call's, not a message's", wamid)
    return item, wamid


def each(
    context: ChangeContext,
    holder: Mapping[str, bytes],
    key: str,
    pointer: str,
    understand: Callable[[ChangeContext, bytes, str], Item],
    *,
    kind: str,
) -> Iterator[Item]:
    """Yield the items of an array.

    Args:
        holder, key, pointer: the object that holds the array, under which key, and where the object stands.
        understand: reads one member.
        kind: what a member is called while nobody could read it.
    """
    pieces = verbatim.elements(holder[key])
    if pieces is None:
        yield from no_list(context, holder, key, pointer, kind)
        return
    for i, piece in enumerate(pieces):
        place = f"{pointer}/{key}/{i}"
        if context.fault:
            yield context.not_understood(place, kind, context.fault)
        else:
            yield understand(context, bytes(piece), place)


def no_list(context: ChangeContext, holder: Mapping[str, bytes], key: str, pointer: str, kind: str) -> list[Item]:
    """Return the items for a value that ought to be an array: none for null, else one that is not understood."""
    if bytes(holder[key]) == b"null":
        return []
    return [context.not_understood(f"{pointer}/{key}", kind, f"its {key} are not a list")]


def addresses(item: Mapping[str, Any], keys: Iterable[str]) -> tuple[dict[str, str], str]:
    """Read the addresses under some keys ("" when absent), with "" or what is wrong with one of them."""
    found = dict.fromkeys(keys, "")
    for key in found:
        if key in item:
            address = scalars.ident(item[key])
            if address is None:
                return {}, f"its {key} cannot serve as an address"
            found[key] = address
    return found, ""


def context_of(change: Change, value: Mapping[str, bytes]) -> ChangeContext:
    """Read what the items of a change share; what cannot be read of it costs only what depends on it."""
    metadata = verbatim.readable_members(value["metadata"]) if "metadata" in value else {}
    phone_number_id = scalars.ident(metadata.get("phone_number_id"))
    display_phone_number = scalars.ident(metadata.get("display_phone_number")) or ""
    return ChangeContext(
        change.field,
        change.waba_id,
        phone_number_id or "",
        display_phone_number,
        read_people(value.get("contacts"), business="" if change.field == "messages" else display_phone_number),
        "metadata.phone_number_id cannot serve as an id" if phone_number_id is None else "",
    )
