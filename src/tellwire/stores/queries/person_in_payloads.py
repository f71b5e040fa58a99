"""What stored POSTs hold about one person: found in portions without an index, then shown or removed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, delete, select, update

from tellwire import meta
from tellwire.meta.webhooks.items import Item, MessageItem, NotUnderstood, StandbyCopy, StatusUpdate
from tellwire.meta.webhooks.redaction import cut, is_about, pattern_of, pieces, values_of
from tellwire.model.erasures import Spans, theirs_at
from tellwire.model.inbound import Inbound, ItemReport, Outcome, owners_of, with_items
from tellwire.model.registry import Registry
from tellwire.model.units import MICROS, Seconds
from tellwire.ports.queues import PayloadMatches
from tellwire.privacy import tombstones
from tellwire.stores.queries import tombstones as tombstone_queries
from tellwire.stores.queries.paging import first
from tellwire.stores.records import inbound_rows
from tellwire.stores.schema.tables import held_items, inbound

_BATCH = 32
_MOST_BYTES = 256 * 1024
"""POSTs are gone through in portions of so many, or of so many bytes, that of the last one beside them: one may have 4
MiB, and it is read in a transaction."""
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
        .limit(_BATCH + 1)
    )
    rows, more = first(connection.execute(query), _BATCH, _MOST_BYTES)
    needles = [each.encode() for each in wanted.addresses]
    reports = {row.id: _reports.decode(row[2]) for row in rows} if wanted.key else {}
    known = _known(connection, registry, wanted, [each for some in reports.values() for each in some])
    ids = [
        row.id
        for row in rows
        if any(needle in row.body for needle in needles)
        or any((each.phone_number_id, each.wamid) in known for each in reports.get(row.id, ()))
    ]
    return PayloadMatches(tuple(ids), rows[-1].id if more else "")


def shown(connection: Connection, registry: Registry, wanted: PersonSearch, ids: Sequence[str]) -> list[PersonalPieces]:
    """Return the parts of these POSTs that are about the person."""
    return [
        PersonalPieces(each.kept, pieces(each.kept.body, each.about_person, each.others, wanted.addresses))
        for each in _split(connection, registry, wanted, ids)
    ]


class Cut(Struct, frozen=True):
    """A POST without the person: what to write of it. `kept` is the POST as it was read, `pointers` are those of
    the person's items, of which some may wait, `places` those of their messages."""

    kept: Inbound
    columns: dict[str, Any]
    pointers: frozenset[str]
    places: frozenset[tuple[str, str]]


def cuts(connection: Connection, registry: Registry, wanted: PersonSearch, ids: Sequence[str]) -> list[Cut]:
    """Return these POSTs without the person. That takes long, so do it outside of a transaction that writes."""
    return [_cut(each, wanted) for each in _split(connection, registry, wanted, ids)]


def erase(connection: Connection, registry: Registry, wanted: PersonSearch, done: Sequence[Cut], at: int) -> int:
    """Write what `cuts` has returned, and remove the person from held items; return how many POSTs changed. A POST that
    was changed in between is cut anew."""
    query = select(inbound).where(inbound.c.id.in_([each.kept.id for each in done])).order_by(inbound.c.id)
    now = {row["id"]: inbound_rows.inbound(row) for row in connection.execute(query).mappings()}
    fresh = [each for each in done if now.get(each.kept.id) == each.kept]
    cut_already = {each.kept.id for each in fresh}
    changed = [each for each in done if each.kept.id in now and each.kept.id not in cut_already]
    found = [*fresh, *cuts(connection, registry, wanted, [each.kept.id for each in changed])]
    for each in found:
        waits = held_items.c.inbound_id == each.kept.id
        connection.execute(delete(held_items).where(waits, held_items.c.pointer.in_(each.pointers)))
    if found:
        connection.execute(
            update(inbound)
            .where(inbound.c.id == bindparam("post"))
            .values({name.removeprefix("new_"): bindparam(name) for name in ("new_body", *_NEW)}),
            [each.columns for each in found],
        )
        places = frozenset[tuple[str, str]]().union(*(each.places for each in found))
        tombstone_queries.mark(connection, _marks(registry, wanted, places).values(), at)
    return len(found)


def _cut(split: _Split, wanted: PersonSearch) -> Cut:
    kept, about_person, others = split.kept, split.about_person, split.others
    pointers = frozenset(item.place.pointer for item in about_person)
    items = [_erased(each) if each.pointer in pointers else each for each in kept.items]
    found = dict(zip(_NEW, inbound_rows.reported(with_items(kept, items)), strict=True))
    places = frozenset((item.place.phone_number_id, wamid) for item in about_person for wamid in wamids(item))
    body = cut(kept.body, about_person, others, wanted.addresses)
    return Cut(kept, {"post": kept.id, "new_body": body} | found, pointers, places)


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
            theirs = any((item.place.phone_number_id, wamid) in known for wamid in wamids(item))
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


def wamids(item: Item) -> tuple[str, ...]:
    match item:
        case MessageItem():
            return item.wamid, item.edits, item.revokes
        case StatusUpdate() | StandbyCopy() | NotUnderstood():
            return (item.wamid,)
        case _:
            return ()


def _erased(report: ItemReport) -> ItemReport:
    return replace(report, outcome=Outcome.ERASED, wamid="", message_id="", reason=_GONE)
