"""A POST of Meta's as it was received, what became of each of its items, and whose each item is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from tellwire.model.id_form import looks_like_id
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros


class Outcome(StrEnum):
    """What became of one item of a POST, from best to worst: a POST's own outcome is its worst item's."""

    APPLIED = "applied"
    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    ERASED = "erased"
    HELD = "held"
    UNROUTED = "unrouted"
    NOT_UNDERSTOOD = "not_understood"


_DONE = (Outcome.APPLIED, Outcome.RECORDED, Outcome.DUPLICATE)
_SEVERITY = {outcome: rank for rank, outcome in enumerate(Outcome)}


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome of a POST whose items have these (docs/reference/rest-api.md, "Received POSTs"); of no items,
    `recorded`."""
    return max(outcomes, key=_SEVERITY.__getitem__, default=Outcome.RECORDED)


class ItemResult(Struct, frozen=True, gc=False):
    """What applying an item came to: why, where it was not plainly applied, and the id of its message's row.

    `retry_at`: when a held item is applied again though what it waits for has not come, 0 for never. `waits`: it was
    applied, and is to be applied once more when the message comes that it is about.
    """

    outcome: Outcome
    reason: str = ""
    message_id: str = ""
    retry_at: Micros = 0
    waits: bool = False


class ItemReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The report of one item of a POST, as `inbound` lists it.

    `owners`: the organizations whose item it is, where the whole POST is not one organization's.
    """

    pointer: str
    field: str = ""
    kind: str = ""
    wamid: str = ""
    phone_number_id: str = ""
    outcome: Outcome = Outcome.APPLIED
    reason: str = ""
    message_id: str = ""
    owners: tuple[str, ...] = ()


class SpeaksFor(Struct, frozen=True, omit_defaults=True):
    """What the secrets that signed a POST may change. Ids that a body may hold and ids of ours are never compared.

    `everything`: every account. `meta_ids`: the accounts of these WABA ids and phone number ids. `account_ids`: the
    accounts, by our ids, that have such a secret of their own; it makes no account. `organization_id`: every account of
    that organization, also a later one; it makes none either.
    """

    everything: bool = False
    meta_ids: tuple[str, ...] = ()
    account_ids: tuple[str, ...] = ()
    organization_id: str = ""

    def may_change(self, account: Account) -> bool:
        """Return whether an account may be changed."""
        return (
            self.everything
            or account.organization_id == self.organization_id
            or account.id in self.account_ids
            or account.phone_number_id in self.meta_ids
            or (account.waba_id != "" and account.waba_id in self.meta_ids)
        )

    def may_create(self, phone_number_id: str, waba_id: str) -> bool:
        """Return whether an account may be made for a number that none has."""
        bound = phone_number_id in self.meta_ids or waba_id in self.meta_ids
        return (self.everything or bound) and not looks_like_id(phone_number_id)


EVERYTHING = SpeaksFor(everything=True)


def together(some: Sequence[SpeaksFor]) -> SpeaksFor:
    """Return what several secrets may change that signed the same POST."""
    if len(some) == 1:
        return some[0]
    if any(each.everything for each in some):
        return EVERYTHING
    return SpeaksFor(
        meta_ids=tuple(dict.fromkeys(name for each in some for name in each.meta_ids)),
        account_ids=tuple(dict.fromkeys(name for each in some for name in each.account_ids)),
    )


class Inbound(Struct, frozen=True, kw_only=True):
    """A POST from Meta as received.

    `organization_id`: whose every item is, else "". `shares`: then the organizations that some items belong to, each
    with the outcome of these, as `|id:outcome|id:outcome|`; "" for none. `source_id`: the source that sent it, "" for
    Meta.
    """

    id: str
    received_at: Micros
    body: bytes
    outcome: Outcome
    items: tuple[ItemReport, ...] = ()
    organization_id: str = ""
    speaks_for: SpeaksFor = EVERYTHING
    shares: str = ""
    source_id: str = ""


class WaitingPost(Struct, frozen=True):
    """A POST that was kept with items that wait; `pointers` names these."""

    inbound: Inbound
    pointers: frozenset[str]


def owners_of(inbound: Inbound, report: ItemReport) -> tuple[str, ...]:
    """Return the organizations whose item a report is of; () for nobody's, which only operators see."""
    return (inbound.organization_id,) if inbound.organization_id else report.owners


def owned(inbound: Inbound, report: ItemReport) -> ItemReport:
    """Return a report of an item that says itself whose the item is."""
    return replace(report, owners=owners_of(inbound, report))


def share(organization_id: str, outcome: str = "") -> str:
    """Return what `Inbound.shares` holds for an organization with this outcome, or where that begins."""
    return f"|{organization_id}:{outcome}|" if outcome else f"|{organization_id}:"


def sole_owner(owners: Sequence[tuple[str, ...]]) -> str:
    """Return the organization that all of a POST's items are of, given that of each; "" when there is none. Almost
    every POST has one, and its reports then need not say it."""
    first = owners[0] if owners else ()
    return first[0] if len(first) == 1 and owners.count(first) == len(owners) else ""


def owned_by(inbound: Inbound, owners: Sequence[tuple[str, ...]]) -> Inbound:
    """Return a new POST whose items are of these organizations, in their order."""
    if only := sole_owner(owners):
        return inbound if inbound.organization_id == only else replace(inbound, organization_id=only)
    items = [replace(report, owners=each) for report, each in zip(inbound.items, owners, strict=True)]
    return with_items(inbound, items)


def with_items(inbound: Inbound, items: Sequence[ItemReport]) -> Inbound:
    """Return the POST with these reports, each with its owners, and what follows from them: outcome and owners."""
    owners = [owners_of(inbound, each) or each.owners for each in items]
    outcome = worst(each.outcome for each in items)
    everyone = set(owners)
    if len(everyone) == 1 and len(only := everyone.pop()) == 1:
        plain = tuple(replace(each, owners=()) if each.owners else each for each in items)
        return replace(inbound, organization_id=only[0], items=plain, outcome=outcome, shares="")
    theirs: dict[str, list[Outcome]] = {}
    for whose, report in zip(owners, items, strict=True):
        for organization_id in whose:
            theirs.setdefault(organization_id, []).append(report.outcome)
    shares = "".join(f"|{each}:{worst(outcomes)}" for each, outcomes in sorted(theirs.items()))
    return replace(inbound, items=tuple(items), outcome=outcome, shares=shares + "|" if shares else "")


def with_reports(inbound: Inbound, reports: Mapping[str, ItemReport]) -> Inbound:
    """Return the POST with new reports of items, by pointer; what was an organization's stays its."""
    items = []
    for known in inbound.items:
        new = reports.get(known.pointer)
        if new is None or (new.outcome == Outcome.HELD and known.outcome in _DONE):  # another commit has released it
            items.append(known)
        else:
            items.append(replace(new, owners=known.owners or new.owners))
    known_ones = {each.pointer for each in inbound.items}
    added = [report for pointer, report in reports.items() if pointer not in known_ones]
    if not added:
        return with_items(inbound, items)
    return with_items(replace(inbound, organization_id=""), [*(owned(inbound, each) for each in items), *added])


def seen_by(inbound: Inbound, organization_id: str) -> Inbound:
    """Return what an organization sees of the POST's reports: its own; the body is for `meta.webhooks.own_part`."""
    if inbound.organization_id == organization_id:
        return inbound
    own = tuple(each for each in inbound.items if organization_id in each.owners)
    return replace(inbound, organization_id=organization_id, items=own, outcome=worst(each.outcome for each in own))
