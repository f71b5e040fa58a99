"""What events that hold POSTs of Meta's, or values about many people, say of one person: shown or removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Raw, Struct
from msgspec.structs import replace
from sqlalchemy import Connection, delete, select, text, update

from tellwire import meta
from tellwire.meta.raw_json.replace import NULL, replaced
from tellwire.meta.webhooks import parting, units
from tellwire.meta.webhooks.items import Item
from tellwire.meta.webhooks.redaction import instead, is_about, pattern_of, pieces, values_of
from tellwire.model.deliveries import DeliveryState, Event
from tellwire.model.erasures import Counts, Erasure, Phase, theirs_at
from tellwire.model.units import MICROS, Micros
from tellwire.ports.queues import ErasureBatch
from tellwire.privacy import tombstones
from tellwire.security.vault import Vault
from tellwire.stores.queries import erasures
from tellwire.stores.queries import tombstones as tombstone_queries
from tellwire.stores.queries.erasure_batches import erase_events, strip_attempts
from tellwire.stores.queries.paging import first, unindexed
from tellwire.stores.queries.person_in_payloads import PersonSearch, wamids
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.deliveries import OF_MANY
from tellwire.stores.schema.tables import deliveries, events, replay_edits

_EVENT = tuple(events.c[name] for name in ledger_rows.EVENT)
_BATCH = 32
_MOST_BYTES = 256 * 1024
_TO_MAKE = (DeliveryState.PENDING, DeliveryState.DELIVERING, DeliveryState.RETRYING)


class SharedEvent(Struct, frozen=True):
    """An event that is about a person and maybe others; `items`: what it says of the person, verbatim."""

    event: Event
    items: list[bytes]


class _Split(Struct, frozen=True):
    event: Event
    body: bytes
    about_person: list[Item]
    others: list[Item]


def page(
    connection: Connection, wanted: PersonSearch, *, after: str, until: str = "~"
) -> tuple[list[SharedEvent], str]:
    """Return what the next events say of a person, and the id to go on behind, "" at the end."""
    found, after = _splits(connection, wanted, after=after, until=until)
    return [
        SharedEvent(each.event, pieces(each.body, each.about_person, each.others, wanted.addresses)) for each in found
    ], after


def erase_some(connection: Connection, vault: Vault, now: Micros, erasure: Erasure) -> ErasureBatch:
    """Remove the person from some events: all of an event in which nothing is of others."""
    subject = erasure.subject
    wanted = PersonSearch(
        erasure.organization_id, subject.addresses, tombstone_queries.key(connection, vault), spans=subject.spans
    )
    found, after = _splits(connection, wanted, after=erasure.cursor, until=subject.until)
    left = [(each.event.id, _without(each, wanted)) for each in found]
    gone = [name for name, event in left if event is None]
    cancelled = erase_events(connection, now, erasure.organization_id, gone) if gone else []
    shared = [event for _, event in left if event is not None]
    for event in shared:
        _write(connection, event)
    counts = Counts(events=len(found), deliveries_cancelled=len(cancelled))
    moved = _read_anew(connection, now, erasure.organization_id, [event.id for event in shared])
    phase: Phase = "meta" if after else "answers"
    return ErasureBatch(erasures.advance(connection, erasure, counts, phase=phase, cursor=after), [*cancelled, *moved])


def _splits(connection: Connection, wanted: PersonSearch, *, after: str, until: str) -> tuple[list[_Split], str]:
    """Return those of the next events that are about the person, each with its items, and the id to go on behind."""
    query = select(*_EVENT).where(
        events.c.organization_id == wanted.organization_id, events.c.id > after, events.c.id < until, text(OF_MANY)
    )
    rows, more = first(connection.execute(query.order_by(events.c.id).limit(_BATCH + 1)), _BATCH, _MOST_BYTES)
    found = [_split(connection, wanted, ledger_rows.event(row)) for row in rows]
    return [each for each in found if each.about_person], rows[-1].id if more else ""


def _split(connection: Connection, wanted: PersonSearch, event: Event) -> _Split:
    body = event.snapshot.posted or bytes(event.snapshot.row)
    items, values = meta.parse(body), values_of(body)
    known, pattern = _marked(connection, wanted, event, items), pattern_of(wanted.addresses)
    about_person: list[Item] = []
    others: list[Item] = []
    for item in items:
        at = getattr(item, "timestamp", None) or event.created_at // MICROS
        sought = theirs_at(wanted.addresses, wanted.spans, at)
        words = pattern if len(sought) == len(wanted.addresses) else pattern_of(sought)
        theirs = item.place.pointer in known or is_about(item, values, sought, words)
        (about_person if theirs else others).append(item)
    return _Split(event, body, about_person, others)


def _marked(connection: Connection, wanted: PersonSearch, event: Event, items: Iterable[Item]) -> set[str]:
    """Return the pointers of the items that speak of an erased message."""
    if not wanted.key:
        return set()
    accounts = {part.pointer: part.account_id for part in event.snapshot.parts}
    marks = {
        tombstones.of_message(
            wanted.key, wanted.organization_id, accounts.get(units.change_of(item.place.pointer), ""), wamid
        ): item.place.pointer
        for item in items
        for wamid in wamids(item)
        if wamid
    }
    there = tombstone_queries.marked(connection, marks)
    return {pointer for mark, pointer in marks.items() if mark in there}


def _without(split: _Split, wanted: PersonSearch) -> Event | None:
    """Return the event without the person; None when nothing is left of it. What was not understood may be about others
    too: of that only what names the person goes."""
    values, pattern = values_of(split.body), pattern_of(wanted.addresses)
    rests: dict[str, bytes] = {}
    gone: list[Item] = []
    for item in split.about_person:
        rest = instead(values, item, pattern)
        if rest == NULL:
            gone.append(item)
        else:
            rests[item.place.pointer] = rest
    others = [*split.others, *(item for item in split.about_person if item.place.pointer in rests)]
    if not others:
        return None
    body, moved = parting.without(replaced(split.body, rests), gone, others, wanted.addresses)
    kept = split.event.snapshot
    parts = tuple(replace(part, pointer=moved[part.pointer]) for part in kept.parts if part.pointer in moved)
    if kept.posted:
        return replace(split.event, snapshot=replace(kept, posted=body, parts=parts))
    return replace(split.event, snapshot=replace(kept, row=Raw(body), parts=parts))


def _write(connection: Connection, event: Event) -> None:
    columns = dict(zip(ledger_rows.EVENT, ledger_rows.event_row(event), strict=True))
    mine = (events.c.organization_id == event.organization_id) & (events.c.id == event.id)
    connection.execute(update(events).where(mine).values(body=columns["body"]))


def _read_anew(connection: Connection, now: Micros, organization_id: str, event_ids: Sequence[str]) -> list[str]:
    """Erase what attempts quote of events, and return the deliveries of them that are still to be made: they are due by
    themselves from now on, which are read when they are due, because a process may hold the events as they were."""
    mine = unindexed(deliveries.c.organization_id) == organization_id
    query = select(deliveries.c.id, deliveries.c.state).where(deliveries.c.event_id.in_(event_ids), mine)
    found = connection.execute(query).all() if event_ids else []
    strip_attempts(connection, [row.id for row in found])
    theirs = replay_edits.c.organization_id == organization_id
    connection.execute(delete(replay_edits).where(theirs, replay_edits.c.delivery_id.in_([row.id for row in found])))
    moved = [row.id for row in found if row.state in _TO_MAKE]
    if moved:
        owned = deliveries.c.organization_id == organization_id
        late = {"lane": "late", "state": DeliveryState.PENDING, "out_of_order": True, "due_at": now, "updated_at": now}
        live = deliveries.c.lane == "live"
        connection.execute(update(deliveries).where(owned, deliveries.c.id.in_(moved), live).values(late))
    return moved
