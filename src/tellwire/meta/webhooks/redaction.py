"""PURE. What a POST says of one person, found and cut out; what it says of others stays, byte by byte."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Iterator, Sequence

from tellwire.meta import scalars
from tellwire.meta.phone_numbers import alias, variants
from tellwire.meta.raw_json import replace, verbatim
from tellwire.meta.raw_json.replace import Values
from tellwire.meta.webhooks.items import AccountProblem, Item, Notice, NotUnderstood, Recorded, StatusUpdate

_CHANGE = re.compile(r"/entry/[0-9]+/changes/[0-9]+")
_THREAD = re.compile(r"/entry/[0-9]+/changes/[0-9]+/value/history/[0-9]+/threads/[0-9]+(?=/)")
_ENTRIES_AND_CHANGES = 2
_OF_NOBODY = NotUnderstood | AccountProblem | Notice | Recorded
_CARDS = ("contacts", "standby/contacts")
"""Where the cards of people stand in the value of a change."""
_SUMMARY = "value/conversation_context"
"""Where Meta sums up what the person of a change has written before."""
_EMPTY_CARD = b"{}"  # the number of entries stays: the only entry of a list also names whoever has none


def spellings(addresses: Iterable[str]) -> frozenset[str]:
    """Return addresses in the form in which they are compared, with every variant of a phone number."""
    own = {alias(address) for address in addresses if address}
    return frozenset(own.union(*map(variants, own)))


def pattern_of(sought: Collection[str]) -> re.Pattern[bytes]:
    """Return a pattern that finds any of the addresses where it stands by itself, not as part of a longer word."""
    words = b"|".join(re.escape(each.encode()) for each in sorted(sought, key=len, reverse=True)) or b"(?!)"
    return re.compile(rb"(?<![0-9A-Za-z])(?:" + words + rb")(?![0-9A-Za-z])")


def addresses_of(item: Item) -> set[str]:
    """Return every address that an item ties to its person."""
    if isinstance(item, _OF_NOBODY):
        return set()
    known = set() if item.who is None else {alias(item.who.address), *item.who.aliases, *item.who.adds}
    return known | {alias(item.participant)} - {""} if isinstance(item, StatusUpdate) else known


def values_of(body: bytes) -> Values:
    """Return the values of a body by the pointers of its items."""
    return Values(body.removeprefix(BOM_UTF8))


def is_about(item: Item, values: Values, sought: Collection[str], pattern: re.Pattern[bytes]) -> bool:
    """Return whether an item is about a person; one that is not understood is, when it holds one of the addresses.

    Args:
        item, values: the item, and the values of the body that it stands in (`values_of`).
        sought, pattern: the person's addresses (`spellings`), and what finds them in a text (`pattern_of`).
    """
    if isinstance(item, _OF_NOBODY):
        piece = values.at(item.place.pointer)
        return piece is not None and pattern.search(piece) is not None
    return not addresses_of(item).isdisjoint(sought)


def cut(
    body: bytes, gone: Sequence[Item], kept: Sequence[Item], sought: Collection[str] = (), *, drop: bool = False
) -> bytes:
    """Return the body without some of its items and without the cards of their people: null, or {}, stands in their
    places; with `drop` nothing does, and pointers change.

    Args:
        body: as `parse` takes it; pointers stay right.
        gone: the items to cut.
        kept: those that stay, of the same accounts; whom they are about keeps the card.
        sought: `spellings` of the person, to be cut from cards and from what is not understood as well.
    """
    mark, text = body[: len(body) - len(body.removeprefix(BOM_UTF8))], body.removeprefix(BOM_UTF8)
    values, pattern = Values(text), pattern_of(sought)
    changes = {item.place.pointer: instead(values, item, pattern) for item in gone}
    for place, _ in _cards(values, gone, kept, sought):
        changes[place] = _EMPTY_CARD
    if b'"conversation_context"' in text:
        for place, _ in _summaries(values, gone):
            changes[place] = replace.NULL
    if b'"threads"' in text:
        for place in _threads(values, gone, kept, sought):
            changes[place] = replace.NULL
    whole = changes.pop("", None)
    dropped = [each for each, new in changes.items() if drop and new in (replace.NULL, _EMPTY_CARD)]
    left = replace.replaced(text, {each: new for each, new in changes.items() if each not in dropped})
    left = replace.removed(left, dropped)
    if whole is not None:  # what was not read of the POST may be about others too
        left = replace.redacted(left, pattern, within=_ENTRIES_AND_CHANGES) if changes else whole
    return mark + left


def pieces(body: bytes, gone: Sequence[Item], kept: Sequence[Item], sought: Collection[str]) -> list[bytes]:
    """Return what `cut` would take out of a body, verbatim."""
    values = values_of(body)
    found = [values.at(item.place.pointer) for item in gone]
    beside = [*_cards(values, gone, kept, sought), *_summaries(values, gone)]
    return [piece for piece in found if piece] + [piece for _, piece in beside]


def instead(values: Values, item: Item, pattern: re.Pattern[bytes]) -> bytes:
    """Return what replaces an item. Of a whole change, or more, only what names the person is cut: it may be about
    others too."""
    found = _CHANGE.match(item.place.pointer)
    if found is not None and found[0] != item.place.pointer:
        return replace.NULL
    piece = values.at(item.place.pointer)
    if piece is None:
        return replace.NULL
    left = replace.redacted(piece, pattern)
    return replace.NULL if left == piece else left


def _people(gone: Sequence[Item], kept: Sequence[Item], sought: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the addresses whose cards are cut, by change."""
    wanted: dict[str, set[str]] = {}
    for item in (*gone, *kept):
        if found := _CHANGE.match(item.place.pointer):
            wanted.setdefault(found[0], set(sought))
    for item in gone:
        if found := _CHANGE.match(item.place.pointer):
            wanted[found[0]] |= addresses_of(item)
    for item in kept:
        if found := _CHANGE.match(item.place.pointer):
            wanted[found[0]] -= spellings(addresses_of(item))
    return {change: spellings(addresses) for change, addresses in wanted.items() if addresses}


def _cards(
    values: Values, gone: Sequence[Item], kept: Sequence[Item], sought: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    for change, addresses in _people(gone, kept, sought).items():
        for place in (f"{change}/value/{name}" for name in _CARDS):
            for number, card in values.pieces(place).items():
                entry = verbatim.readable_members(bytes(card))
                named = (scalars.ident(entry.get("wa_id")), scalars.ident(entry.get("user_id")))
                if not addresses.isdisjoint(alias(each) for each in named if each):
                    yield f"{place}/{number}", bytes(card)


def _summaries(values: Values, gone: Sequence[Item]) -> Iterator[tuple[str, bytes]]:
    """Give what sums up the words of people whose items are cut: it does not say whose they are."""
    for change in dict.fromkeys(found[0] for item in gone if (found := _CHANGE.match(item.place.pointer))):
        if (summary := values.at(f"{change}/{_SUMMARY}")) is not None:
            yield f"{change}/{_SUMMARY}", bytes(summary)


def _threads(values: Values, gone: Sequence[Item], kept: Sequence[Item], sought: Collection[str]) -> Iterator[str]:
    """Give the pointers of `history` threads with the person: the thread's id is an address of theirs."""
    stays = {found[0] for item in kept if (found := _THREAD.match(item.place.pointer))}
    for change, addresses in _people(gone, kept, sought).items():
        for i in values.pieces(f"{change}/value/history"):
            threads = f"{change}/value/history/{i}/threads"
            for j, thread in values.pieces(threads).items():
                named = scalars.ident(verbatim.readable_members(bytes(thread)).get("id"))
                place = f"{threads}/{j}"
                if named is not None and alias(named) in addresses and place not in stays:
                    yield place
