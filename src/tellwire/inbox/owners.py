"""PURE. Whose an item of a POST is (decision 0016)."""

from __future__ import annotations

from msgspec import Struct

from tellwire.inbox.posts import Post
from tellwire.meta.webhooks.items import Item
from tellwire.model.ledger import Ledger
from tellwire.model.tenancy import Account


class Owners(Struct):
    """The organizations that an item is of: `before`, if it was kept earlier, and `now`. What was an organization's
    never becomes another's, even when that one has its number since then."""

    before: frozenset[str]
    now: set[str]

    def admit(self, account: Account) -> bool:
        """Return whether the item may be the account's organization's."""
        return not self.before or account.organization_id in self.before


def owners_before(ledger: Ledger, before: frozenset[str]) -> Owners:
    """Return whose an item is before it is looked at: what a source sends is its organization's, whatever it is."""
    if not before and (source := ledger.registry.sources.get(ledger.source)) is not None:
        before = frozenset((source.organization_id,))
    return Owners(before, set(before))


def account_of(ledger: Ledger, item: Item, post: Post, whose: Owners) -> tuple[Account | None, bool]:
    """Return the account of an item's number, and whether the item may not change it; if it may, note whose it is."""
    account = ledger.account(item.place.phone_number_id) if item.place.phone_number_id else None
    if account is None or not whose.admit(account):
        return None, False
    if not post.speaks_for.may_change(account):
        return account, True
    whose.now.add(account.organization_id)
    return account, False
