"""PURE. Apply Meta's notices about a business account: which accounts they concern, and what they change.

Most notices name no phone number id: they concern every account of the business account, or the one whose display
number they name.
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
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger, TemplateChange
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
    """Return the key that makes a repeated POST emit once, in place of a wamid; `digest` is the POST's."""
    return f"{digest}{item.place.pointer}"


def concerned(accounts: Iterable[Account], waba_id: str, display: str) -> list[Account]:
    """Return the accounts that a notice without a phone_number_id is about.

    With a display number these are the accounts of that number, or the only account of the business account if its own
    number is not known.
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
    """Return every account, with the changes of this transaction."""
    numbers = [*ledger.registry.accounts, *(n for n in ledger.new_accounts if n not in ledger.registry.accounts)]
    return [account for number in numbers if (account := ledger.account(number)) is not None]


def facts_to_load(registry: Registry, keys: Keys) -> set[tuple[str, str]]:
    """Return (account id, key) of the facts that notices need loaded."""
    if not keys.notices:
        return set()
    accounts = registry.accounts.values()
    return {(a.id, key) for waba_id, display, key in keys.notices for a in concerned(accounts, waba_id, display)}


def organizations(registry: Registry, keys: Keys) -> set[str]:
    """Return the ids of the organizations whose rows notices may change."""
    if not keys.notices:
        return set()
    accounts = registry.accounts.values()
    return {a.organization_id for waba_id, display, _ in keys.notices for a in concerned(accounts, waba_id, display)}


def apply(ledger: Ledger, item: Notice, account: Account, digest: str) -> Outcome:
    """Change what a notice is about and emit its event; a POST that comes again changes nothing."""
    name = _name(item)
    if not record_once(ledger, account, name, key_of(item, digest)):
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
    emit(ledger, account, name, {name: value for name, value in given.items() if value} | {"value": Raw(item.value)})
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


def record_once(ledger: Ledger, account: Account, name: str, key: str) -> bool:
    """Record that a notice is applied; return False when it was recorded before."""
    if (name, "") in ledger.facts.get((account.id, key), {}):
        return False
    ledger.put_fact(account.id, key, StatusFact(name=name, at=ledger.now // MICROS))
    return True


def emit(ledger: Ledger, account: Account, name: str, data: Mapping[str, object]) -> None:
    """Emit an operational event about an account; the events of one account keep their order."""
    event = OperationalEvent(
        name=name, data=_encode(data), account_id=account.id, phone_number_id=account.phone_number_id
    )
    ledger.emit(event.event(ledger.new_id(), account.organization_id, ledger.now))
