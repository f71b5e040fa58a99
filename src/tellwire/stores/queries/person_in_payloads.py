"""What stored POSTs hold about one person: found in portions without an index, then shown or removed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, delete, select, update

from tellwire import meta
from tellwire.meta.webhooks.items import AccountProblem, AddressChange, CallMade, Item, MessageItem, Notice
from tellwire.meta.webhooks.redaction import cut, is_about, pattern_of, pieces, values_of
from tellwire.model.erasures import Spans, theirs_at
from tellwire.model.inbound import Inbound, ItemReport, Outcome, owners_of, with_items
from tellwire.model.registry import Registry
from tellwire.model.units import MICROS, Seconds
from tellwire.ports.queues import PayloadMatches
from tellwire.privacy import tombstones
from tellwire.stores.queries import tombstones as tombstone_queries
from tellwire.stores.records import inbound_rows
from tellwire.stores.schema.tables import held_items, inbound

_BATCH = 32
"""The most POSTs in memory at once: one may have 4 MiB."""
_GONE = "its person was erased"
_NEW = tuple(f"new_{name}" for name in inbound_rows.REPORTED)


class PersonSearch(Struct, frozen=True):
    """The person of an organization to search for: by all spellings of their addresses and, when erased, by marks
    under `key`. `nobodys`: also in items that are no organization's. `spans` as in `erasures.Subject`."""

    organization_id: str
    addresses: Collection[str]
    key: bytes = b""
    nobodys: bool = False
    spans: Spans = {}


class PersonalPieces(Struct, frozen=True):
    """A POST, and the parts of it that are about the person, verbatim."""

    inbound: Inbound
    pieces: list[bytes]


class _Split(Struct, frozen=True):
    """A POST with its items that are about the person, and the others of the same organization."""

    kept: Inbound
    about_person: list[Item]
    others: list[Item]


def search(
    connection: Connection, registry: Registry, wanted: PersonSearch, *, after: str, until: str
) -> PayloadMatches:
    """Search the next POSTs, those between the ids `after` and `until`."""
    query = (
        select(inbound.c.id, inbound.c.body, inbound.c["items"])
        .where(inbound.c.id > after, inbound.c.id < until, inbound.c.organization_id.in_((wanted.organization_id, "")))
        .order_by(inbound.c.id)
        .limit(_BATCH)
    )
    rows = connection.execute(query).all()
    needles = [each.encode() for each in wanted.addresses]
    reports = {row.id: _reports.decode(row[2]) for row in rows} if wanted.key else {}
    known = _known(connection, registry, wanted, [each for some in reports.values() for each in some])
    ids = [
        row.id
        for row in rows
        if any(needle in row.body for needle in needles)
        or any((each.phone_number_id, each.wamid) in known for each in reports.get(row.id, ()))
    ]
    return PayloadMatches(tuple(ids), rows[-1].id if len(rows) == _BATCH else "")


def shown(connection: Connection, registry: Registry, wanted: PersonSearch, ids: Sequence[str]) -> list[PersonalPieces]:
    """Return the parts of these POSTs that are about the person."""
    return [
        PersonalPieces(each.kept, pieces(each.kept.body, each.about_person, each.others, wanted.addresses))
        for each in _split(connection, registry, wanted, ids)
    ]


def erase(connection: Connection, registry: Registry, wanted: PersonSearch, ids: Sequence[str], at: int) -> int:
    """Remove the person from these POSTs and from the held items; return how many POSTs changed."""
    rows: list[dict[str, Any]] = []
    places: set[tuple[str, str]] = set()
    for split in _split(connection, registry, wanted, ids):
        kept, about_person, others = split.kept, split.about_person, split.others
        pointers = {item.place.pointer for item in about_person}
        items = [_erased(each) if each.pointer in pointers else each for each in kept.items]
        found = dict(zip(_NEW, inbound_rows.reported(with_items(kept, items)), strict=True))
        rows.append({"post": kept.id, "new_body": cut(kept.body, about_person, others, wanted.addresses)} | found)
        places |= {(item.place.phone_number_id, wamid) for item in about_person for wamid in _wamids(item)}
        if any(each.outcome in (Outcome.HELD, Outcome.UNROUTED) for each in kept.items if each.pointer in pointers):
            waits = held_items.c.inbound_id == kept.id
            connection.execute(delete(held_items).where(waits, held_items.c.pointer.in_(pointers)))
    if rows:
        connection.execute(
            update(inbound)
            .where(inbound.c.id == bindparam("post"))
            .values({name.removeprefix("new_"): bindparam(name) for name in ("new_body", *_NEW)}),
            rows,
        )
        tombstone_queries.mark(connection, _marks(registry, wanted, places).values(), at)
    return len(rows)


_reports = msgspec.json.Decoder(list[ItemReport])


def _split(connection: Connection, registry: Registry, wanted: PersonSearch, ids: Sequence[str]) -> Iterator[_Split]:
    """Yield the POSTs that are about the person."""
    query = select(inbound).where(inbound.c.id.in_(ids)).order_by(inbound.c.id)
    posts = [inbound_rows.inbound(row) for row in connection.execute(query).mappings()]
    known = _known(connection, registry, wanted, [each for kept in posts for each in kept.items])
    pattern = pattern_of(wanted.addresses)
    for kept in posts:
        values = values_of(kept.body)
        over = {each.pointer for each in kept.items if each.outcome == Outcome.ERASED}
        about_person: list[Item] = []
        others: list[Item] = []
        owners = {each.pointer: owners_of(kept, each) for each in kept.items}
        for item in meta.parse(kept.body):
            if item.place.pointer in over or not _is_theirs(wanted, owners.get(item.place.pointer, ())):
                continue
            theirs = any((item.place.phone_number_id, wamid) in known for wamid in _wamids(item))
            sought = theirs_at(wanted.addresses, wanted.spans, _time_of(item, kept))
            words = pattern if len(sought) == len(wanted.addresses) else pattern_of(sought)
            (about_person if theirs or is_about(item, values, sought, words) else others).append(item)
        if about_person:
            yield _Split(kept, about_person, others)


def _time_of(item: Item, kept: Inbound) -> Seconds:
    """Return Meta's time of an item, else the time of receipt."""
    return getattr(item, "timestamp", None) or kept.received_at // MICROS


def _is_theirs(wanted: PersonSearch, owners: Collection[str]) -> bool:
    return wanted.organization_id in owners if owners else wanted.nobodys


def _known(
    connection: Connection, registry: Registry, wanted: PersonSearch, reports: Collection[ItemReport]
) -> set[tuple[str, str]]:
    """Return the (phone_number_id, wamid) of messages that were erased."""
    if not wanted.key:
        return set()
    marks = _marks(registry, wanted, [(each.phone_number_id, each.wamid) for each in reports])
    there = tombstone_queries.marked(connection, marks.values())
    return {place for place, mark in marks.items() if mark in there}


def _marks(
    registry: Registry, wanted: PersonSearch, places: Collection[tuple[str, str]]
) -> dict[tuple[str, str], tombstones.Mark]:
    """Return, by (phone_number_id, wamid), the marks of messages of the organization's accounts."""
    owner = wanted.organization_id
    return {
        (number, wamid): tombstones.of_message(wanted.key, owner, account.id, wamid)
        for number, wamid in places
        if wamid and (account := registry.accounts.get(number)) is not None and account.organization_id == owner
    }


def _wamids(item: Item) -> tuple[str, ...]:
    if isinstance(item, AddressChange | CallMade | AccountProblem | Notice):
        return ()
    return (item.wamid, item.edits, item.revokes) if isinstance(item, MessageItem) else (item.wamid,)


def _erased(report: ItemReport) -> ItemReport:
    return replace(report, outcome=Outcome.ERASED, wamid="", message_id="", reason=_GONE)
