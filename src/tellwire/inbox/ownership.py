"""PURE. Whose the items of a POST are, and which accounts a POST may change or make (decision 0016)."""

from __future__ import annotations

from msgspec import Struct

from tellwire.accounts import notices
from tellwire.conversations.changes import Options
from tellwire.inbox.posts import Post
from tellwire.meta.webhooks.items import Item, Notice
from tellwire.model.inbound import ItemResult, Outcome
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


def apply_notice(ledger: Ledger, item: Notice, post: Post, whose: Owners) -> ItemResult:
    """Apply a notice to every account that it concerns and that the secret may change."""
    place = item.place
    if not place.waba_id:
        return ItemResult(Outcome.NOT_UNDERSTOOD, "it names no business account")
    found = notices.concerned(notices.all_accounts(ledger), place.waba_id, place.display_phone_number)
    found = [account for account in found if whose.admit(account)]
    changeable = [account for account in found if post.speaks_for.may_change(account)]
    if not changeable:
        number = f" and the number {place.display_phone_number}" if place.display_phone_number else ""
        why = f"no account has the waba_id {place.waba_id}{number}"
        why = "the secret that signed this POST does not speak for the account" if found else why
        return ItemResult(Outcome.UNROUTED, why)
    whose.now.update(account.organization_id for account in changeable)
    outcomes = [notices.apply(ledger, item, account, post.digest) for account in changeable]
    return ItemResult(Outcome.APPLIED if Outcome.APPLIED in outcomes else Outcome.DUPLICATE)


def make_account(ledger: Ledger, item: Item, options: Options) -> Account:
    account = Account(
        id=ledger.new_id(),
        organization_id=options.default_organization,
        phone_number_id=item.place.phone_number_id,
        display_phone_number=item.place.display_phone_number,
        waba_id=item.place.waba_id,
        created_at=ledger.now,
        updated_at=ledger.now,
    )
    ledger.put_account(account)
    return account
