"""PURE. Makes and looks up the keyed hashes of an erased person's messages and addresses, by which late copies are
recognised.

Without the key, which is encrypted under the master key, a hash reveals neither a number nor a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from tellwire.meta.webhooks.items import (
    AccountProblem,
    Item,
    MessageItem,
    Notice,
    NotUnderstood,
    Recorded,
    StandbyCopy,
    StatusUpdate,
)
from tellwire.meta.webhooks.redaction import addresses_of
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.registry import Registry
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, Account
from tellwire.model.units import DAY, MICROS, Micros

KEPT: Micros = 40 * DAY
"""How long a mark is kept: Meta sends a POST again for up to 7 days and statuses for up to 30."""

Mark = tuple[str, str]
"""organization id, keyed hash"""


def of_message(key: bytes, organization_id: str, account_id: str, wamid: str) -> Mark:
    """Return the mark of a message, by Meta's id; by our id when Meta's was not known at the erasure."""
    return organization_id, _hash(key, "message", account_id, wamid)


def of_address(key: bytes, organization_id: str, address: str) -> Mark:
    """Return the mark of a phone number's digits or of a user id."""
    return organization_id, _hash(key, "address", organization_id, address)


def _hash(key: bytes, *parts: str) -> str:
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), key=key, digest_size=16).hexdigest()


def marks_to_look_up(registry: Registry, keys: Keys) -> dict[Mark, tuple[str, str]]:
    """Return the marks to look up before a decision, each with its (account id, wamid) or (organization id,
    address)."""
    key, accounts = registry.erased_key, registry.accounts
    found: dict[Mark, tuple[str, str]] = {}
    for number, wamid in keys.messages | keys.statuses | keys.own:
        if account := accounts.get(number):
            found[of_message(key, account.organization_id, account.id, wamid)] = account.id, wamid
    for number, address in keys.addresses:
        organization_id = accounts[number].organization_id if number in accounts else DEFAULT_ORGANIZATION
        found[of_address(key, organization_id, address)] = organization_id, address
    return found


def load(ledger: Ledger, subjects: Mapping[Mark, tuple[str, str]], rows: Iterable[tuple[str, str, Micros]]) -> None:
    """Put the marks that were found into a ledger, each with the time of its erasure."""
    for organization_id, mark, erased_at in rows:
        ledger.erased[subjects[organization_id, mark]] = erased_at


def is_erased(ledger: Ledger, item: Item, account: Account) -> bool:
    """Return whether an item is about an erased person and from before the erasure, so that it must be ignored.

    True when it refers to an erased message, or when its person was erased and Meta's timestamp of the item is not
    later than the erasure. An item without a timestamp counts as new.
    """
    if not ledger.erased and not ledger.registry.erasing:
        return False
    return any(_erased(ledger, account, wamid) for wamid in _wamids(item)) or _too_old(ledger, item, account)


def mark_messages(ledger: Ledger, item: Item, account: Account) -> None:
    """Mark the messages that an item of an erased person refers to, so that later items about them are recognised
    too."""
    key, organization_id = ledger.registry.erased_key, account.organization_id
    ledger.new_marks |= {of_message(key, organization_id, account.id, wamid) for wamid in _wamids(item) if wamid}


def _too_old(ledger: Ledger, item: Item, account: Account) -> bool:
    if isinstance(item, AccountProblem | Notice | Recorded | NotUnderstood) or item.timestamp is None:
        return False
    at, organization_id = item.timestamp * MICROS, account.organization_id
    return any(at <= ledger.erased.get((organization_id, address), -1) for address in addresses_of(item))


def _wamids(item: Item) -> tuple[str, ...]:
    match item:
        case MessageItem():
            return item.wamid, item.edits, item.revokes
        case StatusUpdate():
            return item.wamid, item.callback_data
        case StandbyCopy() | NotUnderstood():
            return (item.wamid,)
        case _:
            return ()


def _erased(ledger: Ledger, account: Account, wamid: str) -> bool:
    if not wamid:
        return False
    known = ledger.messages.get((account.id, wamid)) or ledger.by_id.get(wamid)
    return (account.id, wamid) in ledger.erased or (known is not None and known.contact_id in ledger.registry.erasing)
