"""Pages of rows, newest first: a page begins below an id, so that new rows do not shift it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, Select
from sqlalchemy.sql.elements import ColumnElement

from tellwire.ids import id_floor
from tellwire.model.units import Micros

T = TypeVar("T")

MOST_BYTES = 4 * 1024 * 1024
"""A page ends with the row that exceeds this; the next page goes on from there."""


class Page(Struct, Generic[T], frozen=True):
    """Some rows; `after` is the id that the next page begins below, "" when there is none."""

    items: list[T]
    after: str


class PageRequest(Struct, frozen=True):
    """A request for a page: at most `limit` rows with an id below `before` ("": from the newest)."""

    limit: int
    before: str = ""


def newest(
    connection: Connection, query: Select[Any], key: ColumnElement[str], request: PageRequest, make: Callable[[Any], T]
) -> Page[T]:
    """Run a query for one page; `key` is the id that it is ordered by, and the row's attribute `id`.

    A page of large rows ends early, so that no list costs more than about `MOST_BYTES`.
    """
    if request.before:
        query = query.where(key < request.before)
    kept, more = first(connection.execute(query.order_by(key.desc()).limit(request.limit + 1)), request.limit)
    return Page([make(row) for row in kept], kept[-1].id if more else "")


def first(rows: Iterable[Any], limit: int, most: int = MOST_BYTES) -> tuple[list[Any], bool]:
    """Return the first rows, and whether there are more: `limit` at the most, and no further than the row with which
    they hold more than `most` bytes."""
    kept: list[Any] = []
    size = 0
    for row in rows:
        if len(kept) == limit or size > most:
            return kept, True
        kept.append(row)
        size += sum(len(value) for value in row if isinstance(value, bytes | str))
    return kept, False


def matching(query: Select[Any], *wanted: tuple[ColumnElement[str], str]) -> Select[Any]:
    """Restrict a query to rows whose columns have these values; "" filters nothing."""
    for column, value in wanted:
        if value:
            query = query.where(column == value)
    return query


def unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """Return the column as an expression that no index matches, where the planner would use the wrong index."""
    return column.concat("")


def since(
    query: Select[Any], key: ColumnElement[str], created_at: ColumnElement[int], at: Micros | None
) -> Select[Any]:
    """Restrict a query to rows created at `at` or later.

    Ids are never behind the clock, so the key bounds the search as well."""
    if at is None:
        return query
    return query.where(key >= id_floor(at), created_at >= at)


def columns(row: Any) -> dict[str, Any]:
    """Return a row's columns by name, as plain strings: SQLAlchemy's names are a subclass of `str`."""
    return {str.__str__(name): value for name, value in row._mapping.items()}  # noqa: SLF001 - its public name for it
