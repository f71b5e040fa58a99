"""PURE. Tell endpoints of the format `meta` what Meta sent: events of the entity `meta`, once each.

Source: docs/reference/formats.md, "One at a time".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from tellwire.accounts import notices
from tellwire.conversations import aliases, contacts
from tellwire.conversations.changes import seconds
from tellwire.inbox import given_back
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks import parting, units
from tellwire.meta.webhooks.items import Item, MessageItem, Place, StatusUpdate
from tellwire.meta.webhooks.units import Unit, Units
from tellwire.model.deliveries import Action, Event, Part, Snapshot
from tellwire.model.inbound import Inbound, ItemReport, ItemResult, Outcome, SpeaksFor, owners_of
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Contact
from tellwire.model.routing import order_key
from tellwire.model.tenancy import Account

TOLD = "meta.told"
"""The name of the fact that something of Meta's was told."""
_UNTOLD = (Outcome.ERASED, Outcome.UNROUTED)
_SAFE = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_raw = msgspec.json.Decoder(Raw).decode


class Verbatim(Struct, frozen=True):
    """What is needed of a POST to tell it: the body as it came, its units, its items, and a key of the whole. `fresh`:
    of a POST that was kept before, the pointers of the items that were not told then; None: of a new one, all."""

    body: bytes
    units: Units
    every: tuple[Item, ...]
    key: str
    fresh: frozenset[str] | None = None


class Told(Struct, frozen=True):
    """Whom an event is about, as far as that is known, and the key that it is ordered by."""

    order_key: str
    conversation_id: str = ""
    message_id: str = ""
    contact_id: str = ""
    external: bool = False


def read(body: bytes, items: tuple[Item, ...]) -> Verbatim:
    """Cut a new POST."""
    return Verbatim(body, units.cut(body), items, blake2b(body, digest_size=20).hexdigest())


def again(whole: Verbatim, items: tuple[Item, ...], kept: Inbound) -> Verbatim:
    """Return what is needed of a POST that was kept, when these of its items are applied again."""
    pointers = {item.place.pointer for item in items}
    unrouted = (each.pointer for each in kept.items if each.outcome == Outcome.UNROUTED)
    fresh = frozenset(pointers.intersection(unrouted))
    key = blake2b(f"{whole.key} {' '.join(sorted(fresh))}".encode(), digest_size=20).hexdigest()
    return replace(whole, every=items, key=key, fresh=fresh)


def add_keys(keys: Keys, items: Sequence[Item], whole: Verbatim) -> None:
    """Add the keys that tell whether these items, values that are told as a whole, and the POST were told before."""
    places = dict.fromkeys(replace(item.place, pointer="") for item in whole.every)
    for place in places:
        _add(keys, place, whole.key)
    for item in items:
        if unit := whole.units.get(item.place.pointer):
            _add(keys, item.place, unit.key)
    for item in whole.every:
        if unit := whole.units.get(units.change_of(item.place.pointer)):
            _add(keys, item.place, unit.key)
    if items and items[-1].place == whole.every[-1].place:  # with its last item the POST is told whole
        given_back.add_keys(keys, whole.every)


def _add(keys: Keys, place: Place, key: str) -> None:
    if place.phone_number_id:
        keys.statuses.add((place.phone_number_id, key))
    elif place.waba_id:
        keys.notices.add((place.waba_id, place.display_phone_number, key))


def tell_item(ledger: Ledger, whole: Verbatim, item: Item, result: ItemResult, account: Account | None) -> None:
    """Tell an item that is a unit by itself, whatever became of it, unless it is an erased person's or nobody's yet.

    Args:
        account: whose it is; None when the POST's secrets may not change it.
    """
    if account is None or result.outcome in _UNTOLD or account.organization_id not in ledger.registry.meta.items:
        return
    unit = whole.units.get(item.place.pointer)
    if unit is not None and notices.record_once(ledger, account, TOLD, unit.key):
        told = _told(ledger, account, item, result.message_id)
        alone = "/entry/0/changes/0/value/statuses/0"
        _emit_unit(ledger, [account], unit, given_back.within(unit.envelope, ledger, {alone: item}), told)


class _Change(Struct):
    """What is told of one change: its items, without those of erased people, which are `gone`; their reports."""

    items: list[Item] = []
    gone: list[Item] = []
    reports: list[ItemReport] = []


def tell_rest(ledger: Ledger, whole: Verbatim, speaks_for: SpeaksFor, inbound: Inbound) -> None:
    """Tell, once all items of a POST are decided, the values that are one unit, and the POST as it was received."""
    takers, posts = ledger.registry.meta, dict[str, dict[str, list[Account]]]()
    changes = _changes(whole, inbound)
    for pointer, change in changes.items():
        unit = whole.units.get(pointer)
        for organization_id, accounts in _whose(ledger, change, inbound, speaks_for).items():
            if organization_id in takers.posts and _is_fresh(change, whole):
                posts.setdefault(organization_id, {})[pointer] = accounts
            if unit is None or organization_id not in takers.items or not _once(ledger, accounts, unit.key):
                continue
            envelope = _without_erased(ledger, unit, pointer, change)
            _emit_unit(ledger, accounts, unit, envelope, _told_of(ledger, accounts, change))
    for organization_id, found in posts.items():
        everyone = sorted({a.id: a for some in found.values() for a in some}.values(), key=lambda a: a.id)
        if _once(ledger, everyone, whole.key):
            _emit_post(ledger, organization_id, whole, {each: changes[each] for each in found}, found)


def _changes(whole: Verbatim, inbound: Inbound) -> dict[str, _Change]:
    """Return the changes with something to tell, by their pointers, in the order of the POST."""
    reports = {each.pointer: each for each in inbound.items}
    found: dict[str, _Change] = {}
    for item in whole.every:
        pointer = units.change_of(item.place.pointer)
        report = reports.get(item.place.pointer)
        if not pointer or report is None:
            continue
        change = found.setdefault(pointer, _Change([], [], []))
        if report.outcome == Outcome.ERASED:
            change.gone.append(item)
        elif report.outcome not in _UNTOLD:
            change.items.append(item)
            change.reports.append(report)
    order = units.renumbered(found)
    return {pointer: found[pointer] for pointer in order if found[pointer].items}


def _is_fresh(change: _Change, whole: Verbatim) -> bool:
    return whole.fresh is None or any(item.place.pointer in whole.fresh for item in change.items)


def _whose(ledger: Ledger, change: _Change, inbound: Inbound, speaks_for: SpeaksFor) -> Mapping[str, list[Account]]:
    """Return the organizations that a change is told to, each with the accounts that it concerns."""
    place, owners = change.items[0].place, {each for r in change.reports for each in owners_of(inbound, r)}
    if place.phone_number_id:
        account = ledger.account(place.phone_number_id)
        found = [account] if account is not None and account.organization_id in owners else []
    elif place.waba_id:
        found = notices.concerned(notices.all_accounts(ledger), place.waba_id, place.display_phone_number)
        found = [each for each in found if not owners or each.organization_id in owners]
    else:
        found = []
    theirs: dict[str, list[Account]] = {}
    for account in sorted(found, key=lambda each: each.id):
        if speaks_for.may_change(account):
            theirs.setdefault(account.organization_id, []).append(account)
    return theirs


def _once(ledger: Ledger, accounts: Sequence[Account], key: str) -> bool:
    """Record that something was told to an organization; return False when it was told before."""
    if any((TOLD, "") in ledger.facts.get((account.id, key), {}) for account in accounts):
        return False
    return notices.record_once(ledger, accounts[0], TOLD, key)


def _without_erased(ledger: Ledger, unit: Unit, pointer: str, change: _Change) -> bytes:
    """Return the envelope of a whole value without what is of erased people, with what senders get back."""
    moved = {pointer: "/entry/0/changes/0"}
    gone, kept = ([parting.at(item, moved) for item in some] for some in (change.gone, change.items))
    envelope = given_back.within(unit.envelope, ledger, {item.place.pointer: item for item in kept})
    return parting.without(envelope, gone, kept)[0] if gone else envelope


# --- whom it is about -------------------------------------------------------------------------------------------------


def _told_of(ledger: Ledger, accounts: Sequence[Account], change: _Change) -> Told:
    """Return whom a whole value is about: one person, or else nobody in particular."""
    if len(accounts) > 1:
        return Told(order_key(accounts[0].organization_id, change.items[0].place.waba_id))
    if len(change.items) == 1 and not change.gone:
        return _told(ledger, accounts[0], change.items[0], change.reports[0].message_id)
    person = _sole_person(ledger, accounts[0], [*change.items, *change.gone])
    if person is None:
        return Told(accounts[0].id)
    return Told(order_key(accounts[0].id, person.id), contact_id=person.id)


def _told(ledger: Ledger, account: Account, item: Item, message_id: str) -> Told:
    group_id = item.group_id if isinstance(item, MessageItem | StatusUpdate) else ""
    message = ledger.by_id.get(message_id)
    if message is not None and message.account_id == account.id:
        conversation = ledger.conversations.get(message.conversation_id)
        party = conversation.party if conversation else group_id or message.contact_id
        key, external = order_key(account.id, party), message.kind == "external"
        person = _person(ledger, account, item) if group_id else None
        if person is not None:
            return Told(key, message_id=message_id, contact_id=person.id, external=external)
        return Told(key, message.conversation_id, message_id, external=external)
    person = _person(ledger, account, item)
    if person is None:
        return Told(order_key(account.id, group_id) if group_id else account.id)
    return Told(order_key(account.id, group_id or person.id), contact_id=person.id)


def _sole_person(ledger: Ledger, account: Account, items: Iterable[Item]) -> Contact | None:
    """Return the one person that all items are about."""
    people = [_person(ledger, account, item) for item in items]
    first = people[0] if people else None
    return first if first is not None and all(each is not None and each.id == first.id for each in people) else None


def _person(ledger: Ledger, account: Account, item: Item) -> Contact | None:
    """Return the contact of an item, if there is one by now: nobody is made a contact for being told of."""
    who = getattr(item, "who", None)
    if who is None:
        return None
    at = seconds(getattr(item, "timestamp", None), ledger.now)
    for address in (*who.aliases, *who.adds):
        owner = aliases.owner(ledger, account.organization_id, address, at)
        if owner is not None:
            return contacts.survivor(ledger, owner.contact_id)
    return None


# --- the events -------------------------------------------------------------------------------------------------------


def _emit_unit(ledger: Ledger, accounts: Sequence[Account], unit: Unit, envelope: bytes, told: Told) -> None:
    part = _part("/entry/0/changes/0", unit.field, accounts)
    _emit(ledger, accounts[0].organization_id, envelope, (part,), told, action="item")


def _emit_post(
    ledger: Ledger,
    organization_id: str,
    whole: Verbatim,
    changes: Mapping[str, _Change],
    accounts: Mapping[str, Sequence[Account]],
) -> None:
    gone = [item for change in changes.values() for item in change.gone]
    kept = [item for change in changes.values() for item in change.items]
    body = given_back.within(whole.body, ledger, {item.place.pointer: item for item in kept})
    body, moved = parting.without(body, gone, kept)
    parts = tuple(_part(moved[each], changes[each].items[0].place.field, accounts[each]) for each in changes)
    first = next(iter(accounts.values()))[0]
    person = None
    if len({part.account_id for part in parts}) == 1 and parts[0].account_id:
        person = _sole_person(ledger, first, [*kept, *gone])
    # POSTs come in the order of their account: one may be about many people.
    told = Told(first.id, contact_id=person.id if person else "")
    _emit(ledger, organization_id, body, parts, told, action="post")


def _part(pointer: str, field: str, accounts: Sequence[Account]) -> Part:
    if len(accounts) > 1:
        return Part(pointer, field, "", "")
    return Part(pointer, field, accounts[0].id, accounts[0].phone_number_id)


def _emit(
    ledger: Ledger, organization_id: str, envelope: bytes, parts: tuple[Part, ...], told: Told, *, action: Action
) -> None:
    """Emit an event of the entity `meta`."""
    account_ids, storable = {part.account_id for part in parts}, _storable(envelope)
    account_id = account_ids.pop() if len(account_ids) == 1 else ""
    ledger.emit(
        Event(
            id=ledger.new_id(),
            organization_id=organization_id,
            account_id=account_id,
            entity="meta",
            action=action,
            name=name_of(parts[0].field),
            order_key=told.order_key,
            snapshot=Snapshot(
                row=Raw(envelope if storable else b"{}"),
                phone_number_id=parts[0].phone_number_id if account_id else "",
                posted=b"" if storable else envelope,
                parts=parts,
            ),
            conversation_id=told.conversation_id,
            message_id=told.message_id,
            contact_id=told.contact_id,
            external=told.external,
            created_at=ledger.now,
        )
    )


def name_of(field: str) -> str:
    """Return the name of the event that tells of a webhook field: it is the value of a header."""
    return f"meta.{field}" if _SAFE.fullmatch(field) else "meta.unknown"


def _storable(envelope: bytes) -> bool:
    """Return whether JSON can hold an envelope, byte for byte, and be read again."""
    if envelope.count(b"[") + envelope.count(b"{") > verbatim.MAX_DEPTH and verbatim.is_deeper(
        envelope, verbatim.MAX_DEPTH
    ):
        return False
    try:
        return bytes(_raw(envelope)) == envelope
    except verbatim.REFUSALS:
        return False
