"""PURE. Who an item is about (docs/reference/formats.md, "Who")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tellwire.meta import scalars
from tellwire.meta.phone_numbers import alias, same_address
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.items import WebhookContact


class Card(Struct, frozen=True, gc=False):
    """One entry of `contacts[]`. Addresses are in the form of `alias`, "" when absent or unusable; `wa_id` as given."""

    wa_id: str
    phone: str
    user_id: str
    name: str | None
    username: str | None


class People:
    """The `contacts[]` of one change, found by phone number or by user id without a search."""

    def __init__(self, cards: Sequence[Card] = ()) -> None:
        self.sole = cards[0] if len(cards) == 1 else None
        self._by_phone: dict[str, Card] = {}
        self._by_user_id: dict[str, Card] = {}
        for card in cards:
            if card.phone:
                self._by_phone.setdefault(card.phone, card)
            if card.user_id:
                self._by_user_id.setdefault(card.user_id, card)

    def matching(self, phone: str, user_id: str) -> tuple[Card, ...]:
        """Return the entries that have one of these addresses: none, one, or one by phone and one by user id."""
        by_phone, by_user_id = self._by_phone.get(phone), self._by_user_id.get(user_id)
        if by_phone is None:
            return () if by_user_id is None else (by_user_id,)
        return (by_phone,) if by_user_id is None or by_user_id is by_phone else (by_phone, by_user_id)


def read_people(contacts: bytes | None, *, business: str = "") -> People:
    """Read `contacts[]`: what can be read of an entry counts, an entry that is the business itself does not."""
    if contacts is None:
        return People()
    value, refused = verbatim.read(bytes(contacts))
    if refused:
        value = [verbatim.readable_members(piece) for piece in verbatim.elements(contacts) or ()]
    if not isinstance(value, list):
        return People()
    cards = [_card(entry) for entry in value if isinstance(entry, dict)]
    return People([card for card in cards if not same_address(card.phone, business)] if business else cards)


def is_group(address: str) -> bool:
    """Whether an address is the id of a group in the spelling that names it as one."""
    return address.endswith("@g.us")


def identify(
    known: People,
    given: str,
    user_id: str,
    *,
    fallbacks: Sequence[str] = (),
    adds: Sequence[str] = (),
    previous: Sequence[str] = (),
    with_aliases: bool = True,
) -> WebhookContact | None:
    """Return the person that an item is about.

    Args:
        known: the change's contacts.
        given: the address that an item names first (`from`, `recipient_id`), "" for none.
        user_id: the user id beside it, "" for none.
        fallbacks: further addresses to try when neither the item nor a contact gives one.
        adds: new addresses of this person.
        previous: addresses that the new ones replace.
        with_aliases: whether a contact may bring further aliases, or names only.

    Returns: None when there is no address at all.
    """
    phone = alias(given)
    cards = known.matching(phone, user_id)
    named = cards[0] if cards else known.sole
    if not cards and named is not None and _fits(named, phone, user_id):
        cards = (named,)
    address, aliases = given or user_id, [phone, user_id]
    if with_aliases:
        for card in cards:
            address = address or card.wa_id or card.user_id
            aliases += (card.phone, card.user_id)
    own = {phone, *previous} if previous else {alias(address), phone, user_id}
    if not address:
        address = next(iter(fallbacks), "")
        aliases = [] if previous else [alias(address)]
        own.update(aliases)
    if not address:
        return None
    aliases += previous
    new: list[str] = []
    if adds:
        new = [a for a in map(alias, adds) if a not in own]
        aliases = [a for a in aliases if a not in new]
    return WebhookContact(
        address=address,
        aliases=tuple(dict.fromkeys([a for a in aliases if a])),
        adds=tuple(dict.fromkeys(new)),
        name=named.name if named else None,
        username=named.username if named else None,
    )


def _fits(card: Card, phone: str, user_id: str) -> bool:
    """Return whether a change's only contact may be the person that an item names: no address of its card contradicts
    the item's."""
    if not (phone or user_id):
        return True
    if card.phone and not (phone and same_address(card.phone, phone)):
        return False
    return not (card.user_id and user_id and card.user_id != user_id)


def _card(entry: dict[str, Any]) -> Card:
    profile = entry.get("profile")
    if not isinstance(profile, dict):
        profile = {}
    wa_id = scalars.ident(entry.get("wa_id")) or ""
    return Card(
        wa_id,
        alias(wa_id),
        scalars.ident(entry.get("user_id")) or "",
        scalars.name(profile.get("name")),
        scalars.name(profile.get("username")),
    )
