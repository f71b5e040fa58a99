"""PURE. What one organization may see of a POST: its own items, and nothing else that the POST holds.

What is kept is listed here, not what is taken out: a member that nobody knows is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import msgspec

from tellwire.meta import scalars
from tellwire.meta.phone_numbers import alias
from tellwire.meta.raw_json import verbatim
from tellwire.meta.raw_json.replace import NULL
from tellwire.meta.webhooks.envelope import parse
from tellwire.meta.webhooks.redaction import addresses_of, spellings

_CHANGE = re.compile(r"(/entry/[0-9]+/changes/[0-9]+)(?:/.*)?", re.DOTALL)
_BESIDE: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (re.compile(r""), frozenset(("object",))),
    (re.compile(r"/entry/[0-9]+"), frozenset(("id", "time"))),
    (re.compile(r"/entry/[0-9]+/changes/[0-9]+"), frozenset(("field",))),
    (re.compile(r"/entry/[0-9]+/changes/[0-9]+/value"), frozenset(("messaging_product", "metadata", "contacts"))),
)
"""What is shown beside the way to an item, by the place that it is in."""

_encode = msgspec.json.Encoder().encode

Tree = dict[str, Any]
"""What is kept of a value, by member or element: True for all of it, else a tree of what is kept within."""


def own_part(body: bytes, own: Collection[str], every: Iterable[str]) -> bytes:
    """Return a POST with null for every entry, change and item that is not the organization's, and without members
    that are part of no item; pointers stay right. A POST that is all its own is returned as it came.

    Args:
        body: as `parse` takes it.
        own: the pointers of the organization's items.
        every: the pointers of all items. A change that has items of others as well keeps the organization's items, what
            names the number, and the cards of the people whom these items are about.
    """
    whole = {found[1] for pointer in own if (found := _CHANGE.fullmatch(pointer))}
    others = {found[1] for pointer in every if pointer not in own and (found := _CHANGE.fullmatch(pointer))}
    tree: Tree = {}
    for change in whole - others:
        _put(tree, f"{change}/value")
    for pointer in own:
        if (found := _CHANGE.fullmatch(pointer)) and found[1] in others and found[1] != pointer:
            _put(tree, pointer)
    people = _people(body, own) if others & whole else {}
    part = _kept(body.removeprefix(b"\xef\xbb\xbf"), tree, "", people)
    return body if _compact(part) == _compact(body) else part


def _put(tree: Tree, pointer: str) -> None:
    """Add what a pointer leads to to a tree."""
    *way, last = [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]
    for step in way:
        tree = tree.setdefault(step, {})
    tree[last] = True


def _kept(text: bytes, tree: Tree, place: str, people: Mapping[str, Collection[str]]) -> bytes:
    if (members := verbatim.members(text)) is not None:
        beside = next((names for pattern, names in _BESIDE if pattern.fullmatch(place)), frozenset[str]())
        shown = {
            name: _piece(bytes(piece), tree.get(name, True), f"{place}/{name}", people)
            for name, piece in members.items()
            if name in tree or name in beside
        }
        return b"{" + b",".join(_encode(name) + b":" + piece for name, piece in shown.items()) + b"}"
    pieces = verbatim.elements(text) or ()
    shown_ones = (
        _piece(bytes(piece), tree.get(str(number)), f"{place}/{number}", people) for number, piece in enumerate(pieces)
    )
    return b"[" + b",".join(shown_ones) + b"]"


def _piece(text: bytes, kept: Tree | Literal[True] | None, place: str, people: Mapping[str, Collection[str]]) -> bytes:
    if isinstance(kept, dict):
        return _kept(text, kept, place, people)
    if kept is None:
        return NULL
    change, _, name = place.rpartition("/value/")
    return _cards(text, people.get(change, ())) if name == "contacts" else text


def _people(body: bytes, own: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the addresses of the people whom the organization's items are about, by change."""
    found: dict[str, set[str]] = {}
    for item in parse(body):
        if item.place.pointer in own and (change := _CHANGE.fullmatch(item.place.pointer)):
            found.setdefault(change[1], set()).update(addresses_of(item))
    return {change: spellings(addresses) for change, addresses in found.items()}


def _cards(contacts: bytes, people: Collection[str]) -> bytes:
    """Return the cards of a change with {} for those of other people."""
    cards = verbatim.elements(contacts) or ()
    return b"[" + b",".join(bytes(card) if _is_of(bytes(card), people) else b"{}" for card in cards) + b"]"


def _is_of(card: bytes, people: Collection[str]) -> bool:
    entry = verbatim.readable_members(card)
    named = (scalars.ident(entry.get("wa_id")), scalars.ident(entry.get("user_id")))
    return any(alias(each) in people for each in named if each)


def _compact(text: bytes) -> bytes:
    """Return a JSON text without white space; as it is when a strict reader refuses it."""
    try:
        return msgspec.json.format(text, indent=-1)
    except verbatim.REFUSALS:
        return text
