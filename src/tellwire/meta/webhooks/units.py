"""PURE. A POST of Meta's cut into units: one message, status or echo, or the whole value of any other field, each in
Meta's envelope by itself.

Source: docs/reference/formats.md, "One at a time".
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from tellwire.meta import scalars
from tellwire.meta.phone_numbers import alias
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.items import MOST_ITEMS
from tellwire.meta.webhooks.redaction import spellings

OBJECT = "whatsapp_business_account"
_FIELDS = frozenset(("messages", "smb_message_echoes"))
_ARRAYS = ("messages", "statuses", "message_echoes")
_CHANGE = re.compile(r"/entry/[0-9]+/changes/[0-9]+")
_NUMBERS = re.compile(r"[0-9]+")
_OUTER = ("object", "entry", "id", "time", "changes")
"""What is kept of the POST and of its entries: a member that nobody knows may be about others."""
_LONGEST = 1024
"""Bytes of such a member at the most."""
_MOST_REPEATED = 16 * 1024 * 1024
"""Bytes that the units of one value may repeat of it; the value of which they would repeat more is one unit."""
_encode = msgspec.json.Encoder().encode


class Unit(Struct, frozen=True, gc=False):
    """One unit: where it stands in the POST (an RFC 6901 pointer), its webhook field, its bytes in Meta's envelope, and
    a hash of these, by which one that comes again is recognised."""

    pointer: str
    field: str
    envelope: bytes
    key: str


Units = Mapping[str, Unit]
"""The units of a POST by their pointers, in its order."""


class _Named(Struct, frozen=True, gc=False):
    """What a message, a status or an echo says of whom it is about."""

    from_: Any = msgspec.field(default=UNSET, name="from")
    from_user_id: Any = UNSET
    from_parent_user_id: Any = UNSET
    to: Any = UNSET
    to_user_id: Any = UNSET
    to_parent_user_id: Any = UNSET
    recipient_id: Any = UNSET
    recipient_user_id: Any = UNSET
    recipient_parent_user_id: Any = UNSET
    recipient_participant_id: Any = UNSET
    recipient_participant_user_id: Any = UNSET
    wa_id: Any = UNSET
    user_id: Any = UNSET
    parent_user_id: Any = UNSET
    system: Any = UNSET


_named = msgspec.json.Decoder(_Named)


def cut(body: bytes) -> Units:
    """Return the units of a POST; of a body that is not Meta's envelope there are none.

    Keys stay in Meta's order, and every value but those of the envelope itself stays byte by byte. Of equal keys in one
    of the envelope's own objects the last counts.
    """
    return {unit.pointer: unit for unit in _units(body.removeprefix(BOM_UTF8))}


def only(body: bytes, kept: Collection[str]) -> bytes:
    """Return a POST with some of its changes, given by their pointers, and without the entries that have none of them;
    byte for byte when these are all that it holds."""
    text = body.removeprefix(BOM_UTF8)
    top = verbatim.members(text) or {}
    entries = _elements(top, "entry")
    whole, shown = len(entries) <= verbatim.MAX_PIECES, list[bytes]()
    for i, entry in enumerate(entries):
        members = verbatim.members(entry) or {}
        changes = _elements(members, "changes")
        mine = [bytes(each) for j, each in enumerate(changes) if f"/entry/{i}/changes/{j}" in kept]
        whole = whole and 0 < len(mine) == len(changes) <= verbatim.MAX_PIECES
        if mine:
            head, tail = around(_outer(members), "changes", b"[")
            shown.append(head + b",".join(mine) + tail)
    if whole:
        return body
    head, tail = around(_outer(top), "entry", b"[")
    return head + b",".join(shown) + tail


def renumbered(kept: Iterable[str]) -> dict[str, str]:
    """Return where changes stand in what `only` makes of a POST, by where they stood."""
    places = sorted(tuple(map(int, _NUMBERS.findall(pointer))) for pointer in kept)
    entries = {i: number for number, i in enumerate(dict.fromkeys(i for i, _ in places))}
    within: dict[int, int] = {}
    found: dict[str, str] = {}
    for i, j in places:
        found[f"/entry/{i}/changes/{j}"] = f"/entry/{entries[i]}/changes/{within.get(i, 0)}"
        within[i] = within.get(i, 0) + 1
    return found


def change_of(pointer: str) -> str:
    """Return the pointer of the change that a pointer leads into, "" when it leads into none."""
    found = _CHANGE.match(pointer)
    return found[0] if found else ""


def unit_of(units: Units, pointer: str) -> Unit | None:
    """Return the unit that an item is in: its own, or that of its whole change."""
    return units.get(pointer) or units.get(change_of(pointer))


def _units(text: bytes) -> Iterator[Unit]:
    top = verbatim.members(text)
    if top is None or _word(top, "object") != OBJECT:
        return
    outer, left = around(_outer(top), "entry", b"["), MOST_ITEMS
    for i, entry in enumerate(_elements(top, "entry")):
        members = verbatim.members(entry)
        if members is None:
            continue
        inner = around(_outer(members), "changes", b"[")
        head, tail = outer[0] + inner[0], inner[1] + outer[1]
        for j, change in enumerate(_elements(members, "changes")):
            for unit in _of_change(f"/entry/{i}/changes/{j}", bytes(change), head, tail):
                if not left:
                    return
                left -= 1
                yield unit


def _of_change(pointer: str, text: bytes, head: bytes, tail: bytes) -> Iterator[Unit]:
    change = verbatim.members(text) or {}
    field = _word(change, "field")
    value = verbatim.members(change["value"]) if field in _FIELDS and "value" in change else None
    items = None if value is None else _items(value, len(head) + len(tail) + len(text))
    if not value or not items:
        yield _unit(pointer, field, head + text + tail)
        return
    inner = around(change, "value", b"")
    head, tail = head + inner[0], inner[1] + tail
    cards = _Cards(value, items) if "contacts" in value and len(items) > 1 else None
    shared = {key: bytes(each) for key, each in value.items()}
    for number, (name, k, piece) in enumerate(items):
        own = {each: b"[%b]" % piece if each == name else b"" for each in _ARRAYS if each in value}
        if cards is not None:
            own["contacts"] = cards.of(number)
        shown = b",".join(b"%b:%b" % (_encode(key), each) for key, each in (shared | own).items() if each)
        yield _unit(f"{pointer}/value/{name}/{k}", field, b"%b{%b}%b" % (head, shown, tail))


def _items(value: Mapping[str, bytes], around: int) -> list[tuple[str, int, bytes]] | None:
    """Return the items of a value, as (array, place in it, text); None when it is one unit as a whole."""
    found: list[tuple[str, int, bytes]] = []
    for name in (name for name in value if name in _ARRAYS):
        pieces = verbatim.elements(value[name])
        if pieces is None and bytes(value[name]) != b"null":
            return None
        found += [(name, k, bytes(piece)) for k, piece in enumerate(pieces or ())]
    shared = around - sum(len(bytes(value[name])) for name in (*_ARRAYS, "contacts") if name in value)
    return None if len(found) * max(shared, 0) > _MOST_REPEATED else found


class _Cards:
    """The entries of `contacts[]` that belong to each of several items: those with an address of the item's. An item
    without any has those that belong to no item."""

    def __init__(self, value: Mapping[str, bytes], items: Sequence[tuple[str, int, bytes]]) -> None:
        self._whole = bytes(value["contacts"])
        pieces = verbatim.elements(self._whole)
        self._pieces = None if pieces is None else [bytes(piece) for piece in pieces]
        by_address: dict[str, list[int]] = {}
        for number, card in enumerate(self._pieces or ()):
            for address in _addresses(card):
                by_address.setdefault(address, []).append(number)
        self._theirs: list[list[int]] = []
        for _, _, piece in items:
            wanted = {n for address in spellings(_addresses(piece)) for n in by_address.get(address, ())}
            self._theirs.append(sorted(wanted))
        taken = {number for some in self._theirs for number in some}
        self._others = [number for number in range(len(self._pieces or ())) if number not in taken]
        strangers = sum(1 for some in self._theirs if not some)
        if strangers * sum(len((self._pieces or ())[number]) for number in self._others) > _MOST_REPEATED:
            self._others = []

    def of(self, number: int) -> bytes:
        """Return the `contacts` of an item, by its number; b"" when none belongs to it."""
        if self._pieces is None:
            return self._whole
        own = self._theirs[number] or self._others
        return b"[%b]" % b",".join(self._pieces[each] for each in own) if own else b""


def _addresses(text: bytes) -> set[str]:
    """Return the addresses that an item or a card names, as they are compared."""
    try:
        named = msgspec.structs.asdict(_named.decode(text))
    except verbatim.REFUSALS:
        named = verbatim.readable_members(text)
        named = {key: named.get(key) for key in ("from", *_Named.__struct_fields__[1:])}
    system = named.pop("system", None)
    given = [*named.values(), *(system.values() if isinstance(system, dict) else ())]
    return {alias(each) for value in given if value is not UNSET and (each := scalars.ident(value))}


def _outer(members: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return what is kept of the POST itself, or of an entry."""
    long = ("entry", "changes")
    return {n: each for n, each in members.items() if n in _OUTER and (n in long or len(bytes(each)) <= _LONGEST)}


def around(members: Mapping[str, bytes], hole: str, opening: bytes) -> tuple[bytes, bytes]:
    """Return the text of an object before and after what its member `hole` holds."""
    names = list(members)
    at = names.index(hole) if hole in members else len(names)
    before, after = (
        [b"%b:%b" % (_encode(n), bytes(members[n])) for n in some] for some in (names[:at], names[at + 1 :])
    )
    closing = b"]" if opening else b""
    head = b"{%b" % b",".join([*before, b"%b:%b" % (_encode(hole), opening)])
    return head, b"%b%b}" % (closing, b"".join(b",%b" % each for each in after))


def _unit(pointer: str, field: str, envelope: bytes) -> Unit:
    return Unit(pointer, field, envelope, blake2b(envelope, digest_size=20).hexdigest())


def _elements(members: Mapping[str, bytes], key: str) -> Sequence[bytes]:
    return (verbatim.elements(members[key]) or ()) if key in members else ()


def _word(members: Mapping[str, bytes], key: str) -> str:
    return scalars.keyword(verbatim.read(bytes(members[key]))[0]) if key in members else ""
