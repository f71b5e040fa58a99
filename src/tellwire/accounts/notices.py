"""PURE. News of a business account: whom they concern, and what they do to accounts and templates.

Most name no phone number: they concern every account of the business account, or the one whose number is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from tellwire.accounts import facts
from tellwire.meta.phone_numbers import same_address
from tellwire.meta.webhooks.items import AccountNotice, AccountProblem, Notice, TemplateNotice
from tellwire.model.inbound import Outcome
from tellwire.model.ledger import Keys, Ledger, TemplateChange
from tellwire.model.messaging import StatusFact
from tellwire.model.operational_events import OperationalEvent
from tellwire.model.registry import Registry
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS

WARNING = "account.warning"
UPDATED = "account.updated"
TEMPLATE = "template.updated"

_encode = msgspec.json.Encoder().encode


def key_of(item: Notice | AccountProblem, digest: str) -> str:
    """What stands in for a wamid, so that a POST that comes again tells once; `digest` is the POST's."""
    return f"{digest}{item.place.pointer}"


def concerned(accounts: Iterable[Account], waba_id: str, display: str) -> list[Account]:
    """The accounts that news without a phone_number_id are about.

    Where a number is shown it is those of that number, or the only one of the business account while its own is not
    known.
    """
    own = [account for account in accounts if account.waba_id in ("", waba_id)]
    within = [account for account in own if account.waba_id and account.waba_id == waba_id]
    if not display:
        return within
    shown = [
        account
        for account in own
        if account.display_phone_number and same_address(account.display_phone_number, display)
    ]
    return shown or [account for account in within if len(within) == 1 and not account.display_phone_number]


def all_accounts(ledger: Ledger) -> list[Account]:
    """Every account as this transaction has it."""
    numbers = [*ledger.registry.accounts, *(n for n in ledger.new_accounts if n not in ledger.registry.accounts)]
    return [account for number in numbers if (account := ledger.account(number)) is not None]


def wanted(registry: Registry, keys: Keys) -> set[tuple[str, str]]:
    """(account id, key) of the facts that news need to have loaded."""
    if not keys.notices:
        return set()
    accounts = registry.accounts.values()
    return {(a.id, key) for waba_id, display, key in keys.notices for a in concerned(accounts, waba_id, display)}


def organizations(registry: Registry, keys: Keys) -> set[str]:
    """Whose rows news may touch."""
    if not keys.notices:
        return set()
    accounts = registry.accounts.values()
    return {a.organization_id for waba_id, display, _ in keys.notices for a in concerned(accounts, waba_id, display)}


def apply(ledger: Ledger, item: Notice, account: Account, digest: str) -> Outcome:
    """Change what the news are about, and tell of it; once for a POST, however often it comes."""
    name = _name(item)
    if not first(ledger, account, name, key_of(item, digest)):
        return Outcome.DUPLICATE
    if isinstance(item, TemplateNotice):
        _change_template(ledger, item, account)
    elif item.facts:
        at = ledger.now // MICROS if item.timestamp is None else item.timestamp
        known = facts.merged(account.about, item.facts, at)
        ledger.change_account(replace(account, about=known, updated_at=max(ledger.now, account.updated_at + 1)))
    given = {
        "account_id": account.id,
        "phone_number_id": account.phone_number_id,
        "waba_id": item.place.waba_id or account.waba_id,
        "field": item.place.field,
        "event": item.event,
    }
    if isinstance(item, TemplateNotice):
        given |= {"template_id": item.meta_id, "template_name": item.name, "template_language": item.language}
    tell(ledger, account, name, {name: value for name, value in given.items() if value} | {"value": Raw(item.value)})
    return Outcome.APPLIED


def _name(item: Notice) -> str:
    if isinstance(item, AccountNotice):
        return WARNING if item.warns else UPDATED
    return TEMPLATE


def _change_template(ledger: Ledger, item: TemplateNotice, account: Account) -> None:
    change = TemplateChange(
        organization_id=account.organization_id,
        waba_id=item.place.waba_id or account.waba_id,
        meta_id=item.meta_id,
        name=item.name,
        language=item.language,
        values=item.changes,
    )
    if change not in ledger.template_changes:
        ledger.template_changes.append(change)


def first(ledger: Ledger, account: Account, name: str, key: str) -> bool:
    """Take down that this is told; False when it was before."""
    if (name, "") in ledger.facts.get((account.id, key), {}):
        return False
    ledger.put_fact(account.id, key, StatusFact(name=name, at=ledger.now // MICROS))
    return True


def tell(ledger: Ledger, account: Account, name: str, data: Mapping[str, object]) -> None:
    """Record an operational event about an account; those of one account go in order."""
    told = OperationalEvent(name=name, data=_encode(data), account_id=account.id)
    ledger.emit(told.event(ledger.new_id(), account.organization_id, ledger.now))
