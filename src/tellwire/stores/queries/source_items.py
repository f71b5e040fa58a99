"""What one source brought and another did not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, exists, func, select

from tellwire.model.inbound import ItemReport
from tellwire.model.sources import ItemKind
from tellwire.model.units import Micros
from tellwire.stores.schema.sources import source_items
from tellwire.stores.schema.tables import inbound

_reports = msgspec.json.Decoder(list[ItemReport])


class Comparison(Struct, frozen=True, kw_only=True):
    """The sources `a` and `b` (ids, or `META`) to compare, over what came from `since` until `until`.

    `by_content`: by what items say, because one of the two does not name Meta's ids. `kinds`: what both of them tell.
    `accounts`: only items of these; None for all.
    """

    organization_id: str
    a: str
    b: str
    since: Micros
    until: Micros
    by_content: bool
    kinds: tuple[ItemKind, ...]
    accounts: frozenset[str] | None = None


class Difference(Struct, frozen=True, kw_only=True):
    """An item that `source` brought and the other did not; `report` of its POST, None where that is gone."""

    source: str
    kind: ItemKind
    account_id: str
    inbound_id: str
    at: Micros
    report: ItemReport | None


class Counts(Struct, frozen=True):
    """How many items a source brought, and how many of them the other did not."""

    items: int
    only: int


def differences(connection: Connection, wanted: Comparison, *, after: int, limit: int) -> tuple[list[Difference], bool]:
    """Return a page of the differences, the oldest first, and whether there are more; `after` is how many to skip."""
    mine = source_items.alias("mine")
    query = (
        select(mine)
        .where(*_within(mine, wanted), ~_had_by_the_other(mine, wanted))
        .order_by(mine.c.at, mine.c.inbound_id, mine.c.pointer, mine.c.key)
        .offset(after)
        .limit(limit + 1)
    )
    rows = connection.execute(query).all()
    reports = _reported(connection, {row.inbound_id for row in rows[:limit]})
    found = [
        Difference(
            source=row.source,
            kind=row.kind,
            account_id=row.account_id,
            inbound_id=row.inbound_id,
            at=row.at,
            report=reports.get((row.inbound_id, row.pointer)),
        )
        for row in rows[:limit]
    ]
    return found, len(rows) > limit


def counts(connection: Connection, wanted: Comparison) -> dict[str, Counts]:
    """Return the counts of both sources."""
    mine = source_items.alias("mine")
    query = select(mine.c.source, func.count()).where(*_within(mine, wanted)).group_by(mine.c.source)
    every = {row[0]: row[1] for row in connection.execute(query)}
    only = {row[0]: row[1] for row in connection.execute(query.where(~_had_by_the_other(mine, wanted)))}
    return {name: Counts(every.get(name, 0), only.get(name, 0)) for name in (wanted.a, wanted.b)}


def _within(mine: Any, wanted: Comparison) -> list[ColumnElement[bool]]:
    conditions = [
        mine.c.organization_id == wanted.organization_id,
        mine.c.at >= wanted.since,
        mine.c.at < wanted.until,
        mine.c.source.in_((wanted.a, wanted.b)),
        mine.c.kind.in_(wanted.kinds),
    ]
    if wanted.accounts is not None:
        conditions.append(mine.c.account_id.in_(sorted(wanted.accounts)))
    return conditions


def _had_by_the_other(mine: Any, wanted: Comparison) -> ColumnElement[bool]:
    other = source_items.alias("other")
    same = other.c.fingerprint == mine.c.fingerprint if wanted.by_content else other.c.key == mine.c.key
    return exists().where(
        other.c.organization_id == wanted.organization_id,
        same,
        other.c.source.in_((wanted.a, wanted.b)),
        other.c.source != mine.c.source,
    )


def _reported(connection: Connection, posts: Collection[str]) -> dict[tuple[str, str], ItemReport]:
    """Return the reports of POSTs by (inbound id, pointer)."""
    query = select(inbound.c.id, inbound.c["items"]).where(inbound.c.id.in_(sorted(posts)))
    return {(row[0], each.pointer): each for row in connection.execute(query) for each in _reports.decode(row[1])}
