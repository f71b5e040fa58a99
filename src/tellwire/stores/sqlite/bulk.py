"""SQLite: many rows per statement, so that a batch costs a handful of calls into the library.

Each call releases Python's global lock and must get it back from a busy event loop; that, not SQLite, is the cost of
row-by-row work.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from tellwire.stores.records.inserts import TableRows

_CHUNKS = (64, 56, 48, 40, 32, 28, 24, 20, 16, 14, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1)
"""The sizes of chunks: any number up to 64 takes at most two statements, and so few sizes all stay prepared."""
KEYS = "(SELECT json_extract(value,'$[0]') AS a, json_extract(value,'$[1]') AS b FROM json_each(?))"
"""Pairs as rows (a, b), for a statement whose parameter is their JSON."""
_encode = msgspec.json.Encoder().encode


@cache
def _statement(head: str, width: int, count: int, tail: str) -> str:
    row = "(" + ",".join("?" * width) + ")"
    return f"{head} VALUES {','.join([row] * count)} {tail}"


def write_rows(db: sqlite3.Connection, head: str, rows: Sequence[Sequence[Any]], tail: str = "") -> int:
    """Run `<head> VALUES (…),(…) <tail>` over all rows, in chunks of cached statements; return how many it changed."""
    start, total, changed = 0, len(rows), 0
    if not total:
        return 0
    width = len(rows[0])
    for size in _CHUNKS:
        while total - start >= size:
            chunk = rows[start : start + size]
            changed += db.execute(_statement(head, width, size, tail), [v for row in chunk for v in row]).rowcount
            start += size
    return changed


def insert_rows(db: sqlite3.Connection, some: TableRows) -> None:
    """Insert rows into their table; the statement says what happens to rows that exist already."""
    if some.rows:
        write_rows(db, some.insert.head, some.rows, some.insert.tail)


def read_json(db: sqlite3.Connection, query: str, keys: Any, *more: Any) -> Any:
    """Run a query that returns all its rows as one JSON text, and decode it; `keys` is its JSON parameter."""
    (text,) = db.execute(query, (_encode(keys).decode(), *more)).fetchone()
    return msgspec.json.decode(text)
